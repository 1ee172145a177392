"""Clean masks and labels: fill gaps and holes, drop what is too small or too long."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.split import measure_labels, renumber_labels


def fill_gaps(mask: NDArray[np.uint8], widest: int) -> NDArray[np.uint8]:
    """Fill pixels that a mask encloses along the row, the column and both diagonals.

    Parameters
    ----------
    mask : ndarray of shape (M, N), dtype uint8
        0 or 1. Not modified.
    widest : int
        Gaps of at most this many pixels are filled, rounded up to an even number (a line with a center pixel shifts
        nothing); 0 fills none.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8

    Notes
    -----
    The intersection of four closings by lines. Unlike a filling of holes its reach is bounded, and the pale center of a
    nucleus whose rim has a break is filled too.

    Examples
    --------
    >>> fill_gaps(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8), 1).all()
    np.True_
    """
    row = np.ones((1, (widest + 1) | 1), np.uint8)
    diagonal = np.eye(round(row.size / np.sqrt(2)) | 1, dtype=np.uint8)
    lines = (row, row.T.copy(), diagonal, np.ascontiguousarray(diagonal[::-1]))
    filled = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, lines[0]), np.uint8)
    for line in lines[1:]:
        filled &= np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, line), np.uint8)
    return filled


def diagonals(boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the diagonal of each box.

    Examples
    --------
    >>> diagonals(np.array([[1, 1, 4, 5]]))
    array([5.])
    """
    return np.asarray(np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]))


@dataclass(frozen=True)
class Sizes:
    """Sizes of the labels 0, 1, ... of a plane.

    Parameters
    ----------
    areas : ndarray of shape (n,), dtype int64
        Pixels; 0 for label 0.
    boxes : ndarray of shape (n, 4), dtype int64
        First row, first column, and the row and column after the last; zeros for label 0 and without pixels.
    euler : ndarray of shape (n,), dtype int64
        Of a 4-connected label, one less the number of its holes; a bay that only a corner closes counts as a hole.

    Notes
    -----
    Runs along the rows less pairs of runs in neighboring rows that overlap is pieces less holes where holes are
    8-connected; less those that meet at a corner only, where they are 4-connected [1]_.

    References
    ----------
    .. [1] Gray, IEEE Trans. Comput. C-20(5), 551-561, 1971.

    Examples
    --------
    >>> Sizes.of(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.int32)).euler
    array([0, 0])
    """

    areas: NDArray[np.int64]
    boxes: NDArray[np.int64]
    euler: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[np.int32]) -> "Sizes":
        """Measure the labels of a plane, of shape (M, N)."""
        return cls(*measure_labels(labels))


def nuclei_of(labels: NDArray[np.int32], sizes: Sizes, wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Renumber the wanted labels of a plane 1..n and fill their holes.

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
        Each 4-connected. Overwritten.
    sizes : Sizes
        Of the labels.
    wanted : ndarray of shape (n,), dtype bool
        By label; that of label 0 is not looked at.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        What lies in the hole of a nucleus is part of it.

    Examples
    --------
    >>> labels = np.array([[3, 0, 5]], np.int32)
    >>> nuclei_of(labels, Sizes.of(labels), np.arange(6) == 5)
    array([[0, 0, 1]], dtype=int32)
    """
    wanted = wanted & (sizes.areas > 0)
    renumber_labels(labels, _numbers(wanted))
    boxes, holed = sizes.boxes[wanted], np.flatnonzero(sizes.euler[wanted] < 1)
    left = np.ones(len(boxes) + 1, bool)
    left[0] = False
    for k in holed[np.argsort(-diagonals(boxes[holed]), kind="stable")]:  # the outer before the inner
        top, start, bottom, end = boxes[k]
        crop = labels[top:bottom, start:end]
        whole = _without_holes(crop == k + 1)
        left[crop[whole & (crop != k + 1)]] = False
        crop[whole] = k + 1
    if not left[1:].all():
        renumber_labels(labels, _numbers(left))
    return labels


def _numbers(wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return new numbers for labels: 1..n for the wanted in their order, 0 for the others."""
    return np.cumsum(wanted, dtype=np.int32) * wanted


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill holes, with 4-connected background."""
    around = np.pad(mask.view(np.uint8), 1)
    cv2.floodFill(around, None, (0, 0), 2, flags=4)
    return np.asarray(around[1:-1, 1:-1] != 2)
