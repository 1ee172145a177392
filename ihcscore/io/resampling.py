"""Pixels of a slide to working pixels, any window of them, the same whatever the window."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import SNAP, Frame
from ihcscore.io.slides.base import Slide

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Window = tuple[int, int, int, int]

BAND_PIXELS = 2_000_000
"""Pixels of the slide that are resampled at once."""


@dataclass(frozen=True)
class WorkingImage:
    """A slide as seen at a working pixel size.

    Parameters
    ----------
    frame : Frame
        How working pixels lie on its level-0 pixels.
    """

    slide: Slide
    frame: Frame

    @cached_property
    def level(self) -> int:
        """The coarsest level that is no coarser than the working pixels."""
        fine = [
            k for k, factor in enumerate(self.slide.level_downsamples) if factor <= self.frame.scale * (1 + SNAP / 10)
        ]
        return max(fine, key=lambda k: self.slide.level_downsamples[k], default=0)

    @cached_property
    def scale(self) -> float:
        """Pixels of that level per working pixel."""
        scale = self.frame.scale / self.slide.level_downsamples[self.level]
        return float(round(scale)) if abs(scale - round(scale)) < 1e-6 * scale else scale

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read a window of working pixels.

        Parameters
        ----------
        window : tuple of int
            ``(y0, x0, y1, x1)`` in working pixels, half open, inside the image.

        Returns
        -------
        ndarray of shape (y1 - y0, x1 - x0, 3), dtype uint8
            Mean light of the area each working pixel covers; between the slide's pixels, where they are coarser, by
            linear interpolation. A pixel's value does not depend on the window.
        """
        if self.scale == 1:
            return self._level_pixels(window)
        bands = [self._resampled(band) for band in _bands(window, self.scale)]
        return bands[0] if len(bands) == 1 else np.concatenate(bands)

    def _resampled(self, window: Window) -> NDArray[np.uint8]:
        y0, x0, y1, x1 = window
        if self.scale == int(self.scale):
            step = int(self.scale)
            part = self._level_pixels((y0 * step, x0 * step, y1 * step, x1 * step))
            return np.asarray(cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA), np.uint8)
        width, height = self.slide.level_dimensions[self.level]
        rows, first_row = _weights(y0, y1, self.scale, height)
        cols, first_col = _weights(x0, x1, self.scale, width)
        last_row, last_col = first_row + rows.shape[1], first_col + cols.shape[1]
        part = self.slide.read_level(self.level, (first_row, first_col, last_row, last_col))
        height, width, _ = part.shape
        down = (rows @ part.reshape(height, -1)).reshape(-1, width, 3)
        across = cols @ down.transpose(1, 0, 2).reshape(width, -1)
        light = across.reshape(x1 - x0, y1 - y0, 3).transpose(1, 0, 2)
        return np.ascontiguousarray(np.floor(light + 0.5).clip(0, 255).astype(np.uint8))

    def _level_pixels(self, window: Window) -> NDArray[np.uint8]:
        """Pixels of the level; those that its rounded size lacks at the far edges are as the last ones."""
        y0, x0, y1, x1 = window
        width, height = self.slide.level_dimensions[self.level]
        if y1 <= height and x1 <= width:
            return self.slide.read_level(self.level, window)
        top, left = min(y0, height - 1), min(x0, width - 1)
        part = self.slide.read_level(self.level, (top, left, min(y1, height), min(x1, width)))
        rows = np.arange(y0, y1).clip(0, height - 1) - top
        cols = np.arange(x0, x1).clip(0, width - 1) - left
        return np.ascontiguousarray(part[rows][:, cols])


def _bands(window: Window, scale: float) -> Iterator[Window]:
    """Cut a window into bands of rows, so that few pixels of the slide are held at once."""
    y0, x0, y1, x1 = window
    rows = max(1, int(BAND_PIXELS / ((x1 - x0) * max(scale, 1) ** 2)))
    for top in range(y0, y1, rows):
        yield top, x0, min(top + rows, y1), x1


def _weights(start: int, stop: int, scale: float, length: int) -> tuple["csr_array", int]:
    """Weights of a level's pixels in the working pixels `start` to `stop` along one axis, and the first one used."""
    edges = np.arange(start, stop + 1) * scale
    if scale > 1:
        first = np.floor(edges[:-1]).astype(int)
        reach = int(np.ceil(scale)) + 1
        index = first[:, None] + np.arange(reach)
        overlap = np.minimum(index + 1, edges[1:, None]) - np.maximum(index, edges[:-1, None])
        weight = np.maximum(overlap, 0) / scale
    else:
        center = (edges[:-1] + edges[1:]) / 2 - 0.5
        first = np.floor(center).astype(int)
        index = first[:, None] + np.arange(2)
        share = center - first
        weight = np.column_stack([1 - share, share])
    index = index.clip(0, length - 1)
    low, high = int(index.min()), int(index.max()) + 1
    indptr = np.arange(0, index.size + 1, index.shape[1])
    from scipy.sparse import csr_array  # slow to load, and most scales are whole numbers

    matrix = csr_array((weight.ravel(), (index - low).ravel(), indptr), shape=(stop - start, high - low))
    return matrix, low
