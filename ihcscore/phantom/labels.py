"""Measures on label images."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid


def per_label(values: NDArray[np.float64], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Paint a value per object, ``values[0]`` for label 1, and 0 where there is none.

    Examples
    --------
    >>> per_label(np.array([5.0, 7.0]), np.array([[0, 2, 1]], np.int32)).tolist()
    [[0.0, 7.0, 5.0]]
    """
    return np.concatenate([[0.0], values]).astype(np.float32)[labels]


def centroids_px(labels: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute x, y of the centroid of each object 1..n, pixel (0, 0) covering [0, 1) x [0, 1).

    Examples
    --------
    >>> centroids_px(np.array([[0, 1, 1]], np.int32))
    (array([2.]), array([0.5]))
    """
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns]
    n = int(labels.max(initial=0)) + 1
    area = np.maximum(np.bincount(own, minlength=n), 1)[1:]
    x = np.bincount(own, columns + 0.5, n)[1:] / area
    y = np.bincount(own, rows + 0.5, n)[1:] / area
    return x, y


def depth(labels: NDArray[np.int32], grid: Grid) -> NDArray[np.float32]:
    """Distance of each labeled pixel from the border of its object, in um; the border's pixels have one pixel.

    Examples
    --------
    >>> depth(np.array([[0, 1, 1, 1, 2, 2]], np.int32), Grid(1, 6, 0.5)).tolist()
    [[0.0, 0.5, 1.0, 0.5, 0.5, 1.0]]
    """
    border = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        border[tuple(first)] |= differs
        border[tuple(second)] |= differs
    # without any border the transform is without bound
    distance = np.minimum(cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 5), sum(labels.shape))
    return np.where(labels > 0, (distance + 1) * np.float32(grid.mpp), np.float32(0))


def touching(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which objects touch another one (8-connected).

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
        Labels 1..n.

    Returns
    -------
    ndarray of shape (n,), dtype bool

    Examples
    --------
    >>> touching(np.array([[1, 2, 0, 3]], np.int32)).tolist()
    [True, True, False]
    """
    found = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    rows, columns = labels.shape
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = labels[: rows - down, max(-right, 0) : columns - max(right, 0)]
        b = labels[down:, max(right, 0) : columns - max(-right, 0)]
        meets = (a != b) & (a > 0) & (b > 0)
        found[a[meets]] = True
        found[b[meets]] = True
    return found[1:]


def at_border(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which objects touch the image border.

    Examples
    --------
    >>> at_border(np.pad(np.array([[1, 2]], np.int32), ((1, 1), (0, 1)))).tolist()
    [True, False]
    """
    found = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    for line in (labels[:1], labels[-1:], labels[:, :1], labels[:, -1:]):
        found[line] = True
    return found[1:]
