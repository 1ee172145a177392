"""Label images as spans, the stretches of one label along rows: far fewer than pixels, and sizes follow from them.

All sums are of whole numbers, so that a result does not depend on where in an image its label lies.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Whole = TypeVar("Whole", np.int32, np.int64)


@dataclass(frozen=True)
class Spans:
    """The spans of labels 1..count, sorted by label and within it in raster order.

    Parameters
    ----------
    row, start, stop : ndarray of shape (s,), dtype int64
        Row, first column and the column after the last of each span.
    number : ndarray of shape (count,), dtype int64
        How many spans each label has.

    Examples
    --------
    >>> spans = Spans.of(np.array([[0, 1, 1], [2, 2, 1]], np.int32), 2)
    >>> spans.areas, spans.boxes()[0]
    (array([3, 2]), array([0, 1, 2, 3]))
    """

    row: Ints
    start: Ints
    stop: Ints
    number: Ints

    @classmethod
    def of(cls, labels: NDArray[np.integer], count: int) -> "Spans":
        """Find the spans of a label image.

        Parameters
        ----------
        labels : ndarray of shape (M, N), integer
            0 and labels above `count` are left out. Not modified.
        count : int
            Highest label.
        """
        begin, length, number = stretches(labels, count)
        row, start = np.divmod(begin, np.int32(max(1, labels.shape[1])))
        return cls(row.astype(np.int64), start.astype(np.int64), start + length.astype(np.int64), number)

    def select(self, labels: NDArray[np.intp]) -> "Spans":
        """Give the spans of some labels, numbered 1.. in the order given; `labels` counts from 0."""
        number = self.number[labels]
        at = ranges(self.first[labels], number)
        return Spans(self.row[at], self.start[at], self.stop[at], number)

    @cached_property
    def first(self) -> Ints:
        """Where the spans of each label begin."""
        return np.cumsum(self.number) - self.number

    @cached_property
    def areas(self) -> Ints:
        """Pixels of each label."""
        return self.total(self.stop - self.start)

    def total(self, values: Ints) -> Ints:
        """Add up a value of each span over each label; 0 for a label without pixels."""
        return self._reduced(np.add, values)

    def _reduced(self, how: np.ufunc, values: Ints) -> Ints:
        out = np.zeros(len(self.number), np.int64)
        filled = self.number > 0
        if filled.any():
            out[filled] = how.reduceat(values, self.first[filled])
        return out

    def boxes(self) -> Ints:
        """First row, first column, and the row and column after the last of each label; zeros if it has no pixel."""
        ends = ((np.minimum, self.row), (np.minimum, self.start), (np.maximum, self.row + 1), (np.maximum, self.stop))
        return np.column_stack([self._reduced(how, values) for how, values in ends])

    def centroids(self, origin: tuple[int, int] = (0, 0)) -> NDArray[np.float64]:
        """Give the centroid of each label, pixel (0, 0) covering [0, 1) x [0, 1).

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
        >>> Spans.of(np.array([[1, 1], [0, 2]], np.int32), 2).centroids()
        array([[1. , 0.5],
               [1.5, 1.5]])
        """
        length = self.stop - self.start
        x = self.total((self.start + self.stop - 1) * length // 2) + origin[1] * self.areas
        y = self.total(self.row * length) + origin[0] * self.areas
        with np.errstate(invalid="ignore"):
            return np.column_stack([x, y]) / self.areas[:, None] + 0.5

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Long and short axis of the ellipse with each label's second moments (a pixel is a square: 1/12 each way)."""
        n = np.maximum(self.areas, 1)
        length, row = self.stop - self.start, self.row
        sum_x = (self.start + self.stop - 1) * length // 2
        x, y = self.total(sum_x), self.total(row * length)
        squares = self.total(_squares_below(self.stop) - _squares_below(self.start))
        xx = (n * squares - x * x) / n**2 + 1 / 12
        yy = (n * self.total(row * row * length) - y * y) / n**2 + 1 / 12
        xy = (n * self.total(row * sum_x) - x * y) / n**2
        half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        return 4 * np.sqrt(half + root), 4 * np.sqrt(np.maximum(half - root, 0))

    def hull_areas(self) -> NDArray[np.float64]:
        """Area of the convex hull of each label's outline, as `ihcscore.outlines` draws it.

        Notes
        -----
        That outline's hull is the hull of the pixel centres, thickened by a diamond of radius 1/2. The area of such a
        sum is that of the hull, that of the diamond and, for each edge of the hull, half its longer extent.

        Examples
        --------
        >>> Spans.of(np.array([[1, 1], [1, 1]], np.int32), 1).hull_areas()
        array([3.5])
        """
        of = np.repeat(np.arange(len(self.number)), self.number)
        opens = np.ones(len(of), bool)
        opens[1:] = (self.row[1:] != self.row[:-1]) | (of[1:] != of[:-1])
        leftmost = np.flatnonzero(opens)
        rightmost = np.append(leftmost[1:], len(of)) - 1 if len(of) else leftmost
        side = np.concatenate([2 * of[leftmost], 2 * of[leftmost] + 1])
        way = np.concatenate([self.start[leftmost], 1 - self.stop[rightmost]])  # both sides bulge to smaller values
        side, row, way = _bulging(side, np.tile(self.row[leftmost], 2), way)
        same = np.flatnonzero(side[1:] == side[:-1])
        down, across = row[same + 1] - row[same], way[same + 1] - way[same]
        twice = np.maximum(down, np.abs(across)) - (way[same + 1] + way[same]) * down
        area = np.bincount(side[same] // 2, twice, minlength=len(self.number)) / 2
        ends = np.diff(side, prepend=-1, append=-1) != 0
        for is_end in (ends[:-1], ends[1:]):  # the upper and the lower edge, along their rows
            area -= np.bincount(side[is_end] // 2, way[is_end], minlength=len(self.number)) / 2
        return np.where(self.number > 0, area + 0.5, 0)


def stretches(labels: NDArray[np.integer], count: int) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints]:
    """Give the spans of a label image as flat index and length, and how many each label has; as in `Spans.of`."""
    flat = labels.ravel()
    begins = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: max(1, labels.shape[1])] = True
    begin = np.flatnonzero(begins).astype(np.int32)
    length = np.diff(begin, append=np.int32(flat.size))
    label = flat.take(begin)
    wanted = np.flatnonzero((label > 0) & (label <= count))
    label = label.take(wanted)
    # a stable sort of 16-bit numbers is a radix sort
    order = wanted.take(np.argsort(label.astype(np.uint16) if count < 2**16 else label, kind="stable"))
    return begin.take(order), length.take(order), np.bincount(label, minlength=count + 1)[1:]


def ranges(first: NDArray[Whole], length: NDArray[np.integer]) -> NDArray[Whole]:
    """Give ``first, first + 1, ...`` for `length` numbers, one such range after the other.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    first, length = first[length > 0], length[length > 0]
    stop = np.cumsum(length)
    out = np.ones(stop[-1] if len(stop) else 0, first.dtype)
    if len(out):
        out[0] = first[0]
        out[stop[:-1]] = first[1:] - (first[:-1] + length[:-1] - 1)
    return np.cumsum(out, out=out)


def _squares_below(n: Ints) -> Ints:
    """Sum of the squares of 0..n - 1."""
    return (n - 1) * n * (2 * n - 1) // 6


def _bulging(side: Ints, row: Ints, way: Ints) -> tuple[Ints, Ints, Ints]:
    """Keep of each side's points, one a row, those that bulge to smaller values: a chain of the convex hull."""
    while True:
        down, across = np.diff(row), np.diff(way)
        inner = (side[2:] == side[:-2]) & (across[:-1] * down[1:] >= across[1:] * down[:-1])
        if not inner.any():
            return side, row, way
        keep = np.concatenate([[True], ~inner, [True]])
        side, row, way = side[keep], row[keep], way[keep]
