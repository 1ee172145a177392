"""What a nucleus may look like: no gaps in a mask, no holes in a nucleus, neither too small nor too long."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.segment.runs import BAND_ROWS, Runs


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
    boxes = runs.boxes()
    filled = fill_nuclei(runs.plane(numbers(wanted)), np.concatenate([boxes[:1], boxes[wanted]]))
    return np.ascontiguousarray(filled[1:-1, 1:-1])


def fill_nuclei(plane: NDArray[np.int32], boxes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Fill the holes of all nuclei; what lies in a hole becomes part of the nucleus around it.

    Parameters
    ----------
    plane : ndarray of shape (M, N), dtype int32
        Nuclei 1..n, each 4-connected; the outermost rows and columns are 0. Not modified.
    boxes : ndarray of shape (n + 1, 4), dtype int64
        First row, first column, and the row and column after the last of each; that of 0 is not used.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        Nuclei 1..m, without those that lay in holes.
    """
    holed = np.flatnonzero(euler(plane, len(boxes)) < 1)
    holed = holed[holed > 0]
    if len(holed) == 0:
        return plane
    out, left = plane.copy(), np.ones(len(boxes), bool)
    left[0] = False
    from scipy.ndimage import binary_fill_holes  # rarely needed, and slow to load

    for label in holed[np.argsort(-diagonals(boxes[holed]), kind="stable")]:  # the outer before the inner
        top, start, bottom, end = boxes[label]
        crop = out[top:bottom, start:end]
        whole = binary_fill_holes(crop == label)
        left[crop[whole & (crop != label)]] = False
        crop[whole] = label
    return out if left[1:].all() else numbers(left).take(out)


def euler(plane: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """One less the number of holes of each 4-connected label; a bay that only a corner closes counts as a hole.

    Parameters
    ----------
    plane : ndarray of shape (M, N), dtype int32
        Labels below `count`; the outermost rows and columns are 0. Not modified.
    count : int

    Returns
    -------
    ndarray of shape (count,), dtype int64
        That of label 0 has no meaning.

    Notes
    -----
    Runs along the rows less contacts of runs in neighbouring rows is pieces less holes where holes are 8-connected;
    less the places where a label meets itself at a corner only, where they are 4-connected [1]_.

    References
    ----------
    .. [1] Gray, IEEE Trans. Comput. C-20(5), 551-561, 1971.

    Examples
    --------
    >>> euler(np.pad(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.int32), 1), 2)[1]
    np.int64(0)
    """
    total = np.zeros(count)
    for top in range(1, plane.shape[0] - 1, BAND_ROWS):
        total += _euler_of_band(plane[top : min(top + BAND_ROWS, plane.shape[0] - 1) + 1], count)
    return total.astype(np.int64)


def _euler_of_band(rows: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """What all rows but the last add to `euler`; the last is only looked at."""
    width, flat = rows.shape[1], rows.ravel()
    here, under = flat[:-width], flat[width:]
    below, beside = here == under, here[1:] == here[:-1]
    touch = below[1:] & ~(below[:-1] & beside)
    uneven = np.flatnonzero(touch == beside)  # a run begins or a contact begins, not both
    total = np.bincount(here[uneven + 1], np.where(touch[uneven], -1.0, 1.0), count)
    for inner, lower, far in (
        (here[:-1], below[:-1], under[1:]),
        (here[1:], below[1:], under[:-1]),
    ):
        corner = np.flatnonzero(~(beside | lower))
        label = inner[corner]
        total = total - np.bincount(label[label == far[corner]], minlength=count)
    return np.asarray(total, np.float64)
