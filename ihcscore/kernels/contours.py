"""Trace the outlines of labels, and write polygons as well-known binary."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.label_runs import Ints
from ihcscore.kernels.library import check_shapes, run

Points = NDArray[np.float64]


def trace_labels(runs: tuple[Ints, Ints, Ints, Ints], *, joined: bool, whole: bool) -> tuple[Points, Ints, Ints]:
    """Trace the piece of each label that has its first pixel.

    Parameters
    ----------
    runs : tuple of ndarray
        Row, start, stop and number, as returned by `ihcscore.kernels.label_runs.find_runs`.
    joined : bool
        Whether pixels that meet at a corner only are connected.
    whole : bool
        Whether labels with holes or other pieces are skipped.

    Returns
    -------
    xy : ndarray of shape (n, 2), dtype float64
        Corners of all outlines, one after the other.
    size : ndarray of shape (count,), dtype int64
        Corners of each; 0 for skipped labels.
    measures : ndarray of shape (count, 3), dtype int64
        Straight and diagonal steps of each outline, and eight times its signed area.
    """
    row, start, stop, number = runs
    count = len(number)
    check_shapes(row=(row.shape, (int(number.sum()),)))
    xy = np.empty((6 * len(row) + count, 2))
    size, measures = np.empty(count, np.int64), np.zeros((count, 3), np.int64)
    written = run("trace", count, number, row, start, stop, joined, whole, xy, size, measures)
    return xy[:written], size, measures


def write_polygons(
    xy: Points, size: Ints, origin: tuple[float, float], scale: float, head_bytes: int
) -> tuple[NDArray[np.uint8], Ints]:
    """Write outlines as polygons in little-endian well-known binary.

    Parameters
    ----------
    xy, size : ndarray
        As returned by `trace_labels`.
    origin : tuple of 2 float
        Added to the coordinates, which are then multiplied by `scale`.
    head_bytes : int
        Bytes of a polygon before its corners.

    Returns
    -------
    stop : ndarray of shape (count,), dtype int64
        End of each polygon's bytes.
    """
    check_shapes(xy=(xy.shape, (int(size.sum()), 2)))
    count = len(size)
    data, stop = np.empty(16 * len(xy) + head_bytes * count, np.uint8), np.empty(count, np.int64)
    run("write_wkb", count, size, xy, *origin, scale, data, stop)
    return data[: stop[-1] if count else 0], stop
