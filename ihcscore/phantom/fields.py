"""Smooth random fields in micrometres."""

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

COARSE_PX = 16
"""Knots at least this far apart are interpolated by products of matrices."""

CUBIC_DEVIATION = 0.857
"""Standard deviation of independent knots of deviation 1 after cubic interpolation, over all places."""


@dataclass(frozen=True)
class Grid:
    """The pixels of a tile.

    Parameters
    ----------
    height, width : int
        Size in pixels.
    mpp : float
        Micrometres per pixel.
    """

    height: int
    width: int
    mpp: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def area_mm2(self) -> float:
        """Area of the tile in mm2."""
        return self.height * self.width * self.mpp**2 / 1e6

    def indices(
        self, x_um: NDArray[np.float64], y_um: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the pixels nearest to positions, which may lie outside the tile."""
        rows = np.clip(np.floor(np.asarray(y_um) / self.mpp), 0, self.height - 1).astype(np.intp)
        columns = np.clip(np.floor(np.asarray(x_um) / self.mpp), 0, self.width - 1).astype(np.intp)
        return rows, columns


def smooth(rng: np.random.Generator, grid: Grid, scale_um: float, octaves: int = 1) -> NDArray[np.float32]:
    """Draw a smooth random field of mean 0 and standard deviation 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Advanced by as many draws as the tile has knots, whatever its pixel size: the same seed gives the same field at
        another `mpp`.
    grid : Grid
        The pixels.
    scale_um : float
        Distance between the knots of the field; positive.
    octaves : int, default 1
        Fields of half the scale and half the weight added, for a less even outline.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        A tile smaller than `scale_um` sees one piece of a wide field, nearly even; a pixel larger than `scale_um` sees
        an average.

    Examples
    --------
    >>> field = smooth(np.random.default_rng(0), Grid(64, 64, 0.5), 4.0)
    >>> field.shape, 0.8 < float(field.std()) < 1.2
    ((64, 64), True)
    """
    total, variance = _interpolated(rng, grid, scale_um), 1.0
    for octave in range(1, octaves):
        total += np.float32(0.5**octave) * _interpolated(rng, grid, scale_um / 2**octave)
        variance += 0.25**octave
    return total / np.float32(CUBIC_DEVIATION * variance**0.5)


def lognormal(rng: np.random.Generator, grid: Grid, scale_um: float, spread: float) -> NDArray[np.float32]:
    """Draw a positive field with mean about 1 that varies by a factor of ``exp(spread)``.

    Examples
    --------
    >>> float(lognormal(np.random.default_rng(0), Grid(8, 8, 0.5), 1.0, 0.0).max())
    1.0
    """
    field = smooth(rng, grid, scale_um)
    return np.asarray(np.exp(np.float32(spread) * field - np.float32(spread**2 / 2)), dtype=np.float32)


def streaks(
    rng: np.random.Generator, grid: Grid, direction: NDArray[np.float32], width_um: float, length_um: float
) -> NDArray[np.float32]:
    """Draw a random field drawn out along a direction: fibers.

    Parameters
    ----------
    direction : ndarray of shape (M, N), dtype float32
        Angle of the fibers from the x axis, in radians.
    width_um, length_um : float
        Thickness and length of a fibre.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        Mean about 0, standard deviation 1.
    """
    field = smooth(rng, grid, width_um)
    columns, rows = np.meshgrid(np.arange(grid.width, dtype=np.float32), np.arange(grid.height, dtype=np.float32))
    dx, dy = np.cos(direction), np.sin(direction)
    step = np.float32(width_um / grid.mpp)
    while step < length_um / grid.mpp:
        # averaging with a copy moved by a step that doubles smears along the curve in few passes
        moved = cv2.remap(field, columns + step * dx, rows + step * dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        field = np.asarray((field + moved) / 2, dtype=np.float32)
        step = step * 2
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def _interpolated(rng: np.random.Generator, grid: Grid, scale_um: float) -> NDArray[np.float32]:
    knots = [ceil(n * grid.mpp / scale_um) + 2 for n in grid.shape]
    values = rng.standard_normal(knots, dtype=np.float32)
    pixels = scale_um / grid.mpp
    if pixels >= COARSE_PX:
        # few knots: two small products, where resizing would make whole knots far beyond the tile
        down, right = (_cubic(n, k, pixels) for n, k in zip(grid.shape, knots, strict=True))
        return np.asarray(down @ values @ right.T, dtype=np.float32)
    size = [max(round(k * pixels), n) for k, n in zip(knots, grid.shape, strict=True)]
    method = cv2.INTER_CUBIC if pixels >= 1 else cv2.INTER_AREA
    large = cv2.resize(values, (size[1], size[0]), interpolation=method)
    top, left = (min(int(pixels), s - n) for s, n in zip(size, grid.shape, strict=True))
    return np.ascontiguousarray(large[top : top + grid.height, left : left + grid.width], dtype=np.float32)


def _cubic(count: int, knots: int, pixels: float) -> NDArray[np.float32]:
    """Weights of cubic interpolation (as in OpenCV) of `count` pixels between knots `pixels` apart."""
    place = (np.arange(count) + 0.5) / pixels + 0.5
    away = np.abs(place[:, None] - np.arange(knots))
    near = 1.25 * away**3 - 2.25 * away**2 + 1
    far = -0.75 * away**3 + 3.75 * away**2 - 6 * away + 3
    weights = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
