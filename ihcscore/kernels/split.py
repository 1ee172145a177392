"""Split a height map into hills, and sizes and numbers of labels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run

Plane = NDArray[np.uint8]
Labels = NDArray[np.int32]


class Saddles(NamedTuple):
    """When two hills are one: by the depth of the saddle, or a lesser depth where no denser stain lies between."""

    depth: int
    stain: Plane
    stain_depth: int
    denser: int


def label_hills(height: Plane, mask: NDArray[np.bool_], saddles: Saddles) -> Labels:
    """Label the hills of a height map.

    Parameters
    ----------
    height : ndarray of shape (M, N), dtype uint8
    mask : ndarray of shape (M, N), dtype bool
        Pixels to label.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
    """
    check_shapes(mask=(mask.shape, height.shape), stain=(saddles.stain.shape, height.shape))
    hills = np.empty(height.shape, np.int32)
    if not hills.size:
        return hills
    scratch = np.empty((3, height.shape[1] + 2), np.uint8), np.empty(height.shape, np.uint8)
    where = np.ascontiguousarray(mask).view(np.uint8)
    stain = np.ascontiguousarray(saddles.stain), saddles.stain_depth, saddles.denser
    run("hills", *height.shape, np.ascontiguousarray(height), where, saddles.depth, *stain, *scratch, hills)
    return hills


def measure_labels(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Measure labels 0..n: pixels, bounding boxes (n + 1, 4), and Euler numbers."""
    count = int(labels.max(initial=0)) + 1
    areas, boxes, euler = np.empty(count, np.int64), np.empty((count, 4), np.int64), np.empty(count, np.int64)
    run("sizes", *labels.shape, labels, count, areas, boxes, euler)
    return areas, boxes, euler


def highest_values(labels: Labels, values: Plane, count: int) -> Plane:
    """Return the highest value of each label 0..count - 1; labels must be below `count`."""
    check_shapes(values=(values.shape, labels.shape))
    out = np.empty(count, np.uint8)
    run("highest", labels.size, labels, values, count, out)
    return out


def renumber_labels(labels: Labels, number: NDArray[np.int32]) -> None:
    """Replace each label by its number, in place; values that are no index of `number` become 0."""
    run("renumber", labels.size, labels, len(number), number)
