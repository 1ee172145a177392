"""Level-0 pixels to working pixels, any window of them, the same whatever the window."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import Frame

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class WorkingImage:
    """An image as seen at the working pixel size.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Level-0 pixels.
    frame : Frame
        How working pixels lie on them.
    """

    rgb: NDArray[np.uint8]
    frame: Frame

    def read(self, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Give a window of working pixels.

        Parameters
        ----------
        window : tuple of int
            ``(y0, x0, y1, x1)`` in working pixels, half open, inside the image.

        Returns
        -------
        ndarray of shape (y1 - y0, x1 - x0, 3), dtype uint8
            Mean light of the area each working pixel covers; between level-0 pixels, where they are coarser, by linear
            interpolation. A pixel's value does not depend on the window.
        """
        y0, x0, y1, x1 = window
        scale = self.frame.scale
        if scale == 1:
            return self.rgb[y0:y1, x0:x1]
        if scale == int(scale):
            step = int(scale)
            part = self.rgb[y0 * step : y1 * step, x0 * step : x1 * step]
            return np.asarray(cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA), np.uint8)
        rows, first_row = _weights(y0, y1, scale, self.rgb.shape[0])
        cols, first_col = _weights(x0, x1, scale, self.rgb.shape[1])
        part = self.rgb[first_row : first_row + rows.shape[1], first_col : first_col + cols.shape[1]]
        height, width, _ = part.shape
        down = (rows @ part.reshape(height, -1)).reshape(-1, width, 3)
        across = cols @ down.transpose(1, 0, 2).reshape(width, -1)
        light = across.reshape(x1 - x0, y1 - y0, 3).transpose(1, 0, 2)
        return np.ascontiguousarray(np.floor(light + 0.5).clip(0, 255).astype(np.uint8))


def _weights(start: int, stop: int, scale: float, length: int) -> tuple["csr_array", int]:
    """Weights of level-0 pixels in the working pixels `start` to `stop` along one axis, and the first one used."""
    edges = np.arange(start, stop + 1) * scale
    if scale > 1:
        first = np.floor(edges[:-1]).astype(int)
        reach = int(np.ceil(scale)) + 1
        index = first[:, None] + np.arange(reach)
        overlap = np.minimum(index + 1, edges[1:, None]) - np.maximum(index, edges[:-1, None])
        weight = np.maximum(overlap, 0) / scale
    else:
        centre = (edges[:-1] + edges[1:]) / 2 - 0.5
        first = np.floor(centre).astype(int)
        index = first[:, None] + np.arange(2)
        share = centre - first
        weight = np.column_stack([1 - share, share])
    index = index.clip(0, length - 1)
    low, high = int(index.min()), int(index.max()) + 1
    indptr = np.arange(0, index.size + 1, index.shape[1])
    from scipy.sparse import csr_array  # slow to load, and most scales are whole numbers

    matrix = csr_array((weight.ravel(), (index - low).ravel(), indptr), shape=(stop - start, high - low))
    return matrix, low
