"""A plane of labels as runs of equal values: size and place of every label in one pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BAND_ROWS = 64
"""Rows worked on at once where a step makes several passes, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class Runs:
    """A plane of labels as runs of equal values in raster order.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the plane; its outermost rows and columns are 0, so that a label's run stays in its row.
    label : ndarray of shape (r,), dtype int32
        Value of each run, those of 0 too.
    start : ndarray of shape (r + 1,), dtype int64
        Flat index at which each run starts, and the size of the plane.

    Examples
    --------
    >>> plane = np.zeros((4, 5), np.int32)
    >>> plane[1:3, 1:4] = 2
    >>> runs = Runs.of(plane)
    >>> runs.areas(), runs.boxes()[2]
    (array([0, 0, 6]), array([1, 1, 3, 4]))
    >>> runs.renumber(np.array([0, 0, 1], np.int32)).drawn()[1]
    array([0, 1, 1, 1, 0], dtype=int32)
    """

    shape: tuple[int, int]
    label: NDArray[np.int32]
    start: NDArray[np.int64]

    @classmethod
    def of(cls, plane: NDArray[np.int32]) -> "Runs":
        """Find the runs of a plane whose outermost rows and columns are 0."""
        flat = plane.ravel()
        change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        start = np.concatenate([[0], change, [flat.size]])
        return cls((plane.shape[0], plane.shape[1]), flat[start[:-1]], start)

    @property
    def count(self) -> int:
        """One more than the highest label."""
        return int(self.label.max(initial=0)) + 1

    def areas(self) -> NDArray[np.int64]:
        """Pixels of each label; 0 for label 0."""
        area = np.bincount(self.label, weights=np.diff(self.start), minlength=self.count).astype(np.int64)
        area[0] = 0
        return area

    def boxes(self) -> NDArray[np.int64]:
        """First row, first column, and the row and column after the last of each label; zeros if it has no pixel."""
        some = np.flatnonzero(self.label)
        label = self.label[some]
        row, column = np.divmod(self.start[some], self.shape[1])
        end = column + self.start[some + 1] - self.start[some]
        box = np.zeros((4, self.count), np.int64)
        box[0, label[::-1]] = row[::-1]  # raster order: the first row is written last
        box[2, label] = row + 1
        box[1, label] = self.shape[1]
        np.minimum.at(box[1], label, column)
        np.maximum.at(box[3], label, end)
        return np.ascontiguousarray(box.T)

    def drawn(self) -> NDArray[np.int32]:
        """Draw the plane."""
        return np.repeat(self.label, np.diff(self.start)).reshape(self.shape)

    def renumber(self, number: NDArray[np.int32]) -> "Runs":
        """Give labels new numbers; runs of equal labels may then lie side by side."""
        return Runs(self.shape, number[self.label], self.start)

    def joined(self) -> "Runs":
        """Make one of runs of equal labels that lie side by side."""
        begins = np.append(True, self.label[1:] != self.label[:-1])
        return Runs(self.shape, self.label[begins], self.start[np.append(begins, True)])
