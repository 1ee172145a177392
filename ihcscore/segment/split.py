"""Split touching nuclei on a height map: steepest ascent to the summits, then merging over high saddles.

Only whole numbers are compared, and only with neighbours; ties go by raster order, which is the same in every window.
"""

import numpy as np
from numpy.typing import NDArray

from ihcscore.native import run


def split(height: NDArray[np.uint8], mask: NDArray[np.bool_], depth: int) -> NDArray[np.int32]:
    """Label the hills of a height map.

    Each pixel climbs to the highest of its four neighbours until it stands on a summit. Two hills are one if the way
    between them goes down by less than `depth` from the lower summit.

    Parameters
    ----------
    height : ndarray of shape (M, N), dtype uint8
        0 counts as 1. Not modified.
    mask : ndarray of shape (M, N), dtype bool
        Where hills are. Not modified.
    depth : int
        Depth of a saddle below the lower summit from which on it separates, in the units of `height`; >= 1.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        0 outside the mask and more than 32 steps from a summit: an ascent has a bounded reach, and so have the four
        rounds of merging. Hills have numbers from 1 on, with gaps, and each is 4-connected; where the mask has holes,
        so may they. An empty mask gives 0 everywhere.

    Raises
    ------
    ValueError
        If the shapes differ, or `depth` is below 1.

    Examples
    --------
    >>> height = np.array([[1, 5, 4, 5, 1, 6, 1]], np.uint8)
    >>> split(height, height > 0, depth=2)
    array([[1, 1, 1, 1, 3, 3, 3]], dtype=int32)
    """
    if height.shape != mask.shape or height.ndim != 2:
        raise ValueError(f"expected a height map and a mask of one shape (M, N), found {height.shape} and {mask.shape}")
    if depth < 1:
        raise ValueError(f"depth must be 1 or more, found {depth}")
    hills = np.empty(height.shape, np.int32)
    scratch = np.empty((3, height.shape[1] + 2), np.uint8), np.empty(height.shape, np.uint8)
    where = np.ascontiguousarray(mask).view(np.uint8)
    run("hills", *height.shape, np.ascontiguousarray(height), where, depth, *scratch, hills)
    return hills
