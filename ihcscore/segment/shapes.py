"""What a nucleus may look like: no gaps in a mask, no holes in a nucleus, neither too small nor too long."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.segment.runs import Runs
from ihcscore.spans import ranges


def fill_gaps(mask: NDArray[np.uint8], widest: int) -> NDArray[np.uint8]:
    """Fill what a mask encloses from all sides: along the row, the column and both diagonals.

    Parameters
    ----------
    mask : ndarray of shape (M, N), dtype uint8
        0 or 1. Not modified.
    widest : int
        Gaps of at most this many pixels are filled, rounded up to an even number (a line with a centre pixel shifts
        nothing); 0 fills none.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8

    Notes
    -----
    The intersection of four closings by lines. Unlike a filling of holes its reach is bounded, and the pale centre of a
    nucleus whose rim has a break is filled too.

    Examples
    --------
    >>> fill_gaps(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8), 1).all()
    np.True_
    """
    row = np.ones((1, (widest + 1) | 1), np.uint8)
    diagonal = np.eye(round(row.size / np.sqrt(2)) | 1, dtype=np.uint8)
    lines = (row, row.T.copy(), diagonal, np.ascontiguousarray(diagonal[::-1]))
    return np.asarray(np.bitwise_and.reduce([cv2.morphologyEx(mask, cv2.MORPH_CLOSE, line) for line in lines]))


def diagonals(boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Diagonal of each box: no two pixels in it are farther apart.

    Examples
    --------
    >>> diagonals(np.array([[1, 1, 4, 5]]))
    array([5.])
    """
    return np.asarray(np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]))


def numbers(wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """New numbers for labels: 1..n for the wanted in their order, 0 for the others.

    Examples
    --------
    >>> numbers(np.array([False, True, False, True]))
    array([0, 1, 0, 2], dtype=int32)
    """
    new = np.cumsum(wanted, dtype=np.int32)
    new *= wanted
    return new


def nuclei_of(runs: Runs, wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Draw the wanted labels of a plane as nuclei, 1..n without gaps and without holes, and leave its margin out.

    Parameters
    ----------
    runs : Runs
        Of 4-connected labels in a plane with a margin of one pixel.
    wanted : ndarray of shape (runs.count,), dtype bool
        Only labels that have pixels; that of label 0 is not looked at.

    Returns
    -------
    ndarray of shape (M - 2, N - 2), dtype int32

    Examples
    --------
    >>> nuclei_of(Runs.of(np.pad(np.array([[3, 0, 5]], np.int32), 1)), np.arange(6) == 5)
    array([[0, 0, 1]], dtype=int32)
    """
    wanted = wanted.copy()
    wanted[0] = False
    return np.ascontiguousarray(fill_nuclei(runs.renumber(numbers(wanted)))[1:-1, 1:-1])


def fill_nuclei(runs: Runs) -> NDArray[np.int32]:
    """Draw nuclei and fill their holes; what lies in a hole becomes part of the nucleus around it.

    Parameters
    ----------
    runs : Runs
        Of nuclei 1..n, each 4-connected, in a plane whose outermost rows and columns are 0.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        Nuclei 1..m, without those that lay in holes.
    """
    runs = runs.joined()
    plane = runs.drawn()
    holed = np.flatnonzero(euler(runs) < 1)
    holed = holed[holed > 0]
    if len(holed) == 0:
        return plane
    boxes = runs.boxes()
    left = np.ones(len(boxes), bool)
    left[0] = False
    for label in holed[np.argsort(-diagonals(boxes[holed]), kind="stable")]:  # the outer before the inner
        top, start, bottom, end = boxes[label]
        crop = plane[top:bottom, start:end]
        whole = _without_holes(crop == label)
        left[crop[whole & (crop != label)]] = False
        crop[whole] = label
    return plane if left[1:].all() else numbers(left).take(plane)


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what cannot be reached from outside in steps along rows and columns."""
    around = np.pad(mask.view(np.uint8), 1)
    cv2.floodFill(around, None, (0, 0), 2, flags=4)
    return np.asarray(around[1:-1, 1:-1] != 2)


def euler(runs: Runs) -> NDArray[np.int64]:
    """One less the number of holes of each 4-connected label; a bay that only a corner closes counts as a hole.

    Parameters
    ----------
    runs : Runs
        Of a plane whose outermost rows and columns are 0, no two of a label side by side (`Runs.joined`).

    Returns
    -------
    ndarray of shape (runs.count,), dtype int64
        That of label 0 has no meaning.

    Notes
    -----
    Runs along the rows less pairs of runs in neighbouring rows that overlap is pieces less holes where holes are
    8-connected; less those that meet at a corner only, where they are 4-connected [1]_.

    References
    ----------
    .. [1] Gray, IEEE Trans. Comput. C-20(5), 551-561, 1971.

    Examples
    --------
    >>> euler(Runs.of(np.pad(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.int32), 1)))[1]
    np.int64(0)
    """
    filled = np.flatnonzero(runs.label)
    label, start, stop = runs.label[filled], runs.start[filled], runs.start[filled + 1]
    above = start - runs.shape[1], stop - runs.shape[1]
    first = np.searchsorted(stop, above[0])  # of the runs that overlap or touch a corner of this one, in the row above
    number = np.searchsorted(start, above[1], side="right") - first
    meeting = ranges(first, number)
    own = np.repeat(label, number)
    meets = np.bincount(own[label[meeting] == own], minlength=runs.count)
    return np.bincount(label, minlength=runs.count) - meets
