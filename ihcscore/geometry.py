"""Pixels and micrometres, rows and columns, working pixels and level-0 pixels.

Frames: a *level-0 pixel* is a pixel of the image as stored, a *working pixel* one of the image resampled for analysis.
In both, positions are ``x`` (right), ``y`` (down), and pixel (0, 0) covers ``[0, 1) x [0, 1)``, as in QuPath. Arrays
are indexed ``(row, col)``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORKING_MPP = 0.5
"""Pixel size of the analysis in um, QuPath's default for cell detection [#]_.

.. [#] Bankhead et al., Sci. Rep. 7, 16878, 2017; `requestedPixelSizeMicrons` of positive cell detection.
"""

COARSEST_MPP = 1.0
"""Coarser pixels than this do not resolve nuclei, in um."""

FINEST_MPP = 0.02
"""Finer pixels than this come from no light microscope, in um: the number is of another unit."""

SNAP = 0.02
"""A scale this close to a whole number, relatively, is taken as that number."""


@dataclass(frozen=True)
class Frame:
    """How working pixels lie on an image's level-0 pixels.

    Parameters
    ----------
    width, height : int
        Size of the image in level-0 pixels.
    mpp : float
        um per level-0 pixel.
    scale : float
        Level-0 pixels per working pixel, along each axis.

    Examples
    --------
    >>> frame = frame_for(1000, 500, mpp=0.25)
    >>> frame.scale, frame.working_mpp, frame.shape
    (2.0, 0.5, (250, 500))
    """

    width: int
    height: int
    mpp: float
    scale: float

    @property
    def working_mpp(self) -> float:
        """um per working pixel."""
        return self.mpp * self.scale

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the working image; what does not fill a working pixel at the far edges is left out."""
        return self._whole(self.height), self._whole(self.width)

    def _whole(self, length: int) -> int:
        return max(1, int(length / self.scale + 1e-6))

    def to_level0(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions in working pixels to level-0 pixels."""
        return np.asarray(xy, np.float64) * self.scale

    def to_um(self, xy_level0: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions in level-0 pixels to um from the image's origin."""
        return np.asarray(xy_level0, np.float64) * self.mpp


def frame_for(width: int, height: int, *, mpp: float, working_mpp: float = WORKING_MPP) -> Frame:
    """Lay working pixels on an image. Raises ValueError if the pixel size is not positive or coarser than 1.0 um.

    Parameters
    ----------
    width, height : int
        Size of the image in pixels.
    mpp : float
        um per pixel, 0.02 <= mpp <= 1.0.
    working_mpp : float, default 0.5
        um per working pixel.

    Returns
    -------
    Frame
        Its scale is exact, unless within 2 % of a whole number: 0.499 um/px is not resampled by 1.002, which would only
        blur, and every micrometre in the result is computed from the true pixel size.

    Examples
    --------
    >>> frame_for(100, 100, mpp=0.499).scale
    1.0
    """
    check_mpp(mpp)
    scale = working_mpp / mpp
    if abs(scale - round(scale)) <= SNAP * scale and round(scale) >= 1:
        scale = float(round(scale))
    return Frame(width, height, float(mpp), scale)


def check_mpp(mpp: float) -> None:
    """Refuse a pixel size that cannot be scored.

    Raises ValueError if it is not a positive number, finer than 0.02 um or coarser than 1.0 um.
    """
    if not np.isfinite(mpp) or mpp <= 0:
        raise ValueError(f"pixel size must be a positive number of um per pixel, found {mpp}")
    if mpp < FINEST_MPP:
        raise ValueError(f"pixel size {mpp:g} um is finer than any light microscope's: give it in um per pixel")
    if mpp > COARSEST_MPP:
        raise ValueError(
            f"pixel size {mpp:g} um is too coarse: nuclei need {COARSEST_MPP:g} um/px or finer; use a higher resolution"
        )


def um_to_px(length_um: float, mpp: float) -> float:
    """Convert a length in um to pixels of `mpp` um.

    Examples
    --------
    >>> um_to_px(5, 0.5)
    10.0
    """
    return length_um / mpp


def px2_to_um2(area_px: NDArray[np.float64], mpp: float) -> NDArray[np.float64]:
    """Convert areas in pixels of `mpp` um to um^2."""
    return np.asarray(area_px, np.float64) * mpp**2


@dataclass(frozen=True)
class Placement:
    """Where an image's pixels lie in the frame that the outlines are written in.

    Parameters
    ----------
    x, y : float
        Of the image's origin.
    scale : float
        Units of that frame per level-0 pixel.
    """

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0

    def __call__(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions in level-0 pixels, shape (n, 2)."""
        return np.asarray(xy * self.scale + (self.x, self.y))

    def inverse(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions back to level-0 pixels."""
        return np.asarray((xy - (self.x, self.y)) / self.scale)

    @property
    def back(self) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
        """What converts positions back to level-0 pixels; None where they are such."""
        return None if self == HERE else self.inverse


HERE = Placement()
