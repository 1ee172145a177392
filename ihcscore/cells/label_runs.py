"""Label images as runs, stretches of one label along a row, from which sizes and moments follow.

All sums are of whole numbers, so that a result does not depend on where in an image its label lies.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.label_runs import find_runs, sum_runs

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LabelRuns:
    """The runs of labels 1..count, sorted by label and within it in raster order.

    Parameters
    ----------
    row, start, stop : ndarray of shape (s,), dtype int64
        Row, first column and the column after the last of each run.
    number : ndarray of shape (count,), dtype int64
        Number of runs of each label.

    Examples
    --------
    >>> spans = LabelRuns.of(np.array([[0, 1, 1], [2, 2, 1]], np.int32), 2)
    >>> spans.areas, spans.boxes()[0]
    (array([3, 2]), array([0, 1, 2, 3]))
    """

    row: Ints
    start: Ints
    stop: Ints
    number: Ints

    @classmethod
    def of(cls, labels: NDArray[np.int32], count: int) -> "LabelRuns":
        """Find the runs of a label image.

        Parameters
        ----------
        labels : ndarray of shape (M, N), dtype int32
            0 and labels above `count` are left out. Not modified.
        count : int
            Highest label.
        """
        return cls(*find_runs(labels, count))

    @property
    def arrays(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Row, start, stop and number."""
        return self.row, self.start, self.stop, self.number

    def select(self, labels: NDArray[np.intp]) -> "LabelRuns":
        """Return the runs of some labels, renumbered 1.. in the given order; `labels` counts from 0."""
        number = self.number[labels]
        at = ranges(self.first[labels], number)
        return LabelRuns(self.row[at], self.start[at], self.stop[at], number)

    def moved(self, rows: int, columns: int) -> "LabelRuns":
        """Shift all runs down and to the right."""
        return LabelRuns(self.row + rows, self.start + columns, self.stop + columns, self.number)

    @cached_property
    def first(self) -> Ints:
        """Index of the first run of each label."""
        return np.cumsum(self.number) - self.number

    def drawn(self, k: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """Draw label k + 1, which has pixels: the mask of its box, and row and column of the box."""
        own = slice(self.first[k], self.first[k] + self.number[k])
        row, start, stop = self.row[own], self.start[own], self.stop[own]
        top, left = int(row.min()), int(start.min())
        column = np.arange(left, int(stop.max()))
        mask = np.zeros((int(row.max()) + 1 - top, len(column)), np.bool_)
        np.logical_or.at(mask, row - top, (column >= start[:, None]) & (column < stop[:, None]))
        return mask, (top, left)

    @cached_property
    def _sums(self) -> Ints:
        return sum_runs(*self.arrays)

    @property
    def areas(self) -> Ints:
        """Pixels of each label."""
        return self._sums[:, 0]

    def boxes(self) -> Ints:
        """First row, first column, and the row and column after the last of each label; zeros if it has no pixel."""
        return self._sums[:, 6:10]

    def centroids(self, origin: tuple[int, int] = (0, 0)) -> NDArray[np.float64]:
        """Compute the centroid of each label, pixel (0, 0) covering [0, 1) x [0, 1).

        Parameters
        ----------
        origin : tuple of int, default (0, 0)
            Row and column of the first pixel.

        Returns
        -------
        ndarray of shape (count, 2), dtype float64
            x, y; NaN for a label without pixels.

        Examples
        --------
        >>> LabelRuns.of(np.array([[1, 1], [0, 2]], np.int32), 2).centroids()
        array([[1. , 0.5],
               [1.5, 1.5]])
        """
        x, y = (self._sums[:, k] + origin[2 - k] * self.areas for k in (1, 2))
        with np.errstate(invalid="ignore"):
            return np.column_stack([x, y]) / self.areas[:, None] + 0.5

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Long and short axis of the ellipse with each label's second moments (a pixel is a square: 1/12 each way)."""
        _, x, y, squares_x, squares_y, products, *_ = self._sums.T
        n = np.maximum(self.areas, 1)
        xx = (n * squares_x - x * x) / n**2 + 1 / 12
        yy = (n * squares_y - y * y) / n**2 + 1 / 12
        xy = (n * products - x * y) / n**2
        half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        return 4 * np.sqrt(half + root), 4 * np.sqrt(np.maximum(half - root, 0))

    def hull_areas(self) -> NDArray[np.float64]:
        """Area of the convex hull of each label's outline, as `ihcscore.cells.contours` draws it.

        Notes
        -----
        That outline's hull is the hull of the pixel centers, thickened by a diamond of radius 1/2. The area of such a
        sum is that of the hull, that of the diamond and, for each edge of the hull, half its longer extent.

        Examples
        --------
        >>> LabelRuns.of(np.array([[1, 1], [1, 1]], np.int32), 1).hull_areas()
        array([3.5])
        """
        return self._sums[:, 10] / 2


def ranges(first: Ints, length: Ints) -> Ints:
    """Concatenate the ranges ``first, first + 1, ...`` of `length` numbers each.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    first, length = first[length > 0], length[length > 0]
    stop = np.cumsum(length)
    out = np.ones(stop[-1] if len(stop) else 0, np.int64)
    if len(out):
        out[0] = first[0]
        out[stop[:-1]] = first[1:] - (first[:-1] + length[:-1] - 1)
    return np.cumsum(out, out=out)
