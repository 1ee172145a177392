"""An image in memory as a slide of one level."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ArraySlide:
    """A slide of one level whose pixels are in memory.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Level-0 pixels. Not modified.
    mpp : float
        um per pixel.
    mpp_origin : str
        Where the pixel size comes from.
    name : str
        File name without folders.
    files : tuple of Path
        The file it was read from, if any.
    notes : tuple of str
        What was decided while reading.
    reader : str
        What decoded it.
    """

    rgb: NDArray[np.uint8]
    mpp: float
    mpp_origin: str = "given"
    name: str = "image"
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    reader: str = "array"
    icc_sha256: str | None = None

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """Width and height of the one level."""
        return (self.dimensions,)

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """1."""
        return (1.0,)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """All of it."""
        return 0, 0, *self.dimensions

    def read_level(self, level: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Return a view of the pixels; see `ihcscore.io.slides.base.Slide`."""
        if level != 0:
            raise IndexError(f"level {level} of an image with one level")
        y0, x0, y1, x1 = window
        return self.rgb[y0:y1, x0:x1]

    def close(self) -> None:
        """Nothing to close."""
