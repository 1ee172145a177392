"""The grid of tiles, anchored at the image's origin whatever region is measured.

A tile *owns* the cells whose nucleus centroid lies in its core; it is read with a halo, so that the cells it owns are
complete. Pure geometry in working pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CORE_PX = 2048
"""Side of a tile's core in working pixels (1024 um at 0.5 um/px). Larger ones read less for halos, but need more
memory."""


@dataclass(frozen=True)
class Tile:
    """One tile: its core and the window it is read with, half open, in working pixels.

    Parameters
    ----------
    row, col : int
        Position in the grid.
    core, window : tuple of int
        ``(y0, x0, y1, x1)``.
    """

    row: int
    col: int
    core: tuple[int, int, int, int]
    window: tuple[int, int, int, int]

    def owns(self, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which positions (x, y in working pixels, shape (n, 2)) lie in the core."""
        y0, x0, y1, x1 = self.core
        x, y = xy[:, 0], xy[:, 1]
        return np.asarray((x >= x0) & (x < x1) & (y >= y0) & (y < y1))


@dataclass(frozen=True)
class Grid:
    """Tiles of an image.

    Parameters
    ----------
    height, width : int
        Size of the image in working pixels.
    halo : int
        Margin around the core, in working pixels: at least every step's influence radius plus the largest
        nucleus. A window ends at the image.
    core : int, default 2048
        Side of a core.

    Examples
    --------
    >>> [tile.core for tile in Grid(600, 3000, halo=100)]
    [(0, 0, 600, 2048), (0, 2048, 600, 3000)]
    """

    height: int
    width: int
    halo: int
    core: int = CORE_PX

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return math.ceil(self.height / self.core), math.ceil(self.width / self.core)

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    def __iter__(self) -> Iterator[Tile]:
        rows, cols = self.shape
        for row in range(rows):
            for col in range(cols):
                yield self.tile(row, col)

    def tile(self, row: int, col: int) -> Tile:
        """Return the tile at a position of the grid. Raises IndexError if the grid has no such tile."""
        rows, cols = self.shape
        if not (0 <= row < rows and 0 <= col < cols):
            raise IndexError(f"tile ({row}, {col}) is outside the grid of {rows} x {cols}")
        y0, x0 = row * self.core, col * self.core
        y1, x1 = min(y0 + self.core, self.height), min(x0 + self.core, self.width)
        window = (
            max(0, y0 - self.halo),
            max(0, x0 - self.halo),
            min(self.height, y1 + self.halo),
            min(self.width, x1 + self.halo),
        )
        return Tile(row, col, (y0, x0, y1, x1), window)
