"""Runs of equal labels along rows, and sums over them."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run

Ints = NDArray[np.int64]
SUMS = 11
"""Numbers per label that `sum_runs` returns."""


def find_runs(labels: NDArray[np.int32], count: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Find the runs of labels 1..count, sorted by label and within it in raster order.

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
        Other values are skipped.
    count : int
        Highest label.

    Returns
    -------
    row, start, stop : ndarray of shape (s,), dtype int64
        Row, first column, and the column after the last of each run.
    number : ndarray of shape (count,), dtype int64
        Runs of each label.
    """
    room, found = labels.size // 16 + 16, -1
    while found < 0 or found > room:  # rarely are there more
        room = max(room, found)
        raster = np.empty((4, room), np.int32)
        found = run("find_spans", *labels.shape, labels, count, room, *raster)
    number, (row, start, stop) = np.empty(count, np.int64), np.empty((3, found), np.int64)
    run("sort_spans", found, *raster, count, number, row, start, stop)
    return row, start, stop, number


def sum_runs(row: Ints, start: Ints, stop: Ints, number: Ints) -> Ints:
    """Sum over the pixels of each label: moments, bounding box, area of the convex hull.

    Parameters
    ----------
    row, start, stop, number : ndarray, dtype int64
        As returned by `find_runs`.

    Returns
    -------
    ndarray of shape (count, 11), dtype int64
        Pixels; sums of x, y, x**2, y**2 and x*y; box; twice the area of the outline's hull.
    """
    check_shapes(start=(start.shape, row.shape), stop=(stop.shape, row.shape), row=(row.shape, (int(number.sum()),)))
    out = np.empty((len(number), SUMS), np.int64)
    run("sum_spans", len(number), number, row, start, stop, out)
    return out
