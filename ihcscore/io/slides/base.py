"""What a slide is, in OpenSlide's words; each file format is an adapter to this."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Slide(Protocol):
    """A pyramid of pixels: level 0 is the finest, pixel (0, 0) of every level covers the same corner.

    Attributes
    ----------
    name : str
        File name without folders.
    dimensions : tuple of int
        Width and height of level 0, of the full canvas.
    level_dimensions : tuple of tuple of int
        Width and height of each level.
    level_downsamples : tuple of float
        Level-0 pixels per pixel of each level; a whole number where the level's size is that of level 0 divided by one
        and rounded.
    mpp : float
        um per level-0 pixel.
    mpp_origin : str
        Where the pixel size comes from.
    bounds : tuple of int
        ``(x, y, width, height)`` of what was scanned, in level-0 pixels; the full canvas where that is not stated.
    icc_sha256 : str or None
        Of the color profile in the file, which is not applied.
    reader : str
        Package and version that decodes it.
    files : tuple of Path
        Every file it is stored in, in a fixed order.
    notes : tuple of str
        What was decided while opening, for the result.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def dimensions(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]: ...  # noqa: D102
    @property
    def level_downsamples(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def mpp(self) -> float: ...  # noqa: D102
    @property
    def mpp_origin(self) -> str: ...  # noqa: D102
    @property
    def bounds(self) -> tuple[int, int, int, int]: ...  # noqa: D102
    @property
    def icc_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def reader(self) -> str: ...  # noqa: D102
    @property
    def files(self) -> tuple[Path, ...]: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102

    def read_level(self, level: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Read pixels of a level. Raises UnreadableImage if it cannot be decoded.

        Parameters
        ----------
        window : tuple of int
            ``(y0, x0, y1, x1)`` in pixels of that level, half open, inside the level, with pixels.

        Returns
        -------
        ndarray of shape (y1 - y0, x1 - x0, 3), dtype uint8
            Light as stored; white where nothing was scanned. A pixel's value does not depend on the window.
        """
        ...

    def close(self) -> None:
        """Close the file; nothing can be read after that."""
        ...
