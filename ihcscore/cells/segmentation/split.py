"""Split touching nuclei on a height map: steepest ascent to the maxima, then merging over high saddles.

Only whole numbers are compared, and only with neighbors; ties go by raster order, which is the same in every window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.split import Saddles, label_hills


@dataclass(frozen=True)
class Stained:
    """Where stain separates hills with a shallow saddle.

    Parameters
    ----------
    plane : ndarray of shape (M, N), dtype uint8
        How dense the stain is. Not modified.
    depth : int
        Depth of a saddle from which on it separates, if the border is stained; >= 1.
    denser : int
        How much denser the border's mean has to be than both summits, in the units of `plane`; >= 0.
    """

    plane: NDArray[np.uint8]
    depth: int
    denser: int


def split(
    height: NDArray[np.uint8], mask: NDArray[np.bool_], depth: int, stained: Stained | None = None
) -> NDArray[np.int32]:
    """Label the hills of a height map.

    Raises ValueError if the shapes differ, a depth is below 1, or `denser` is negative.

    Each pixel climbs to the highest of its four neighbors until it reaches a maximum. Two hills are one if the way
    between them goes down by less than `depth` from the lower summit. With `stained`, hills are first made one with its
    depth; then those whose common border is denser stained than both of their summits stay apart, and the others are
    made one with `depth`, if there is a way.

    Parameters
    ----------
    height : ndarray of shape (M, N), dtype uint8
        0 counts as 1. Not modified.
    mask : ndarray of shape (M, N), dtype bool
        Where hills are. Not modified.
    depth : int
        Depth of a saddle below the lower summit from which on it separates, in the units of `height`; >= 1.
    stained : Stained, optional
        Stain changes nothing unless given, nor if its depth is not less than `depth`.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        0 outside the mask and more than 32 steps from a summit: an ascent has a bounded reach, and so have the rounds
        of merging, four with each depth. Hills have numbers from 1 on, with gaps, and each is 4-connected; where the
        mask has holes, so may they. An empty mask gives 0 everywhere.

    Examples
    --------
    >>> height = np.array([[1, 5, 4, 5, 1, 6, 1]], np.uint8)
    >>> split(height, height > 0, depth=2)
    array([[1, 1, 1, 1, 3, 3, 3]], dtype=int32)
    >>> brown = Stained(np.array([[0, 0, 9, 0, 0, 0, 0]], np.uint8), depth=1, denser=4)
    >>> split(height, height > 0, 2, brown)
    array([[1, 1, 2, 2, 3, 3, 3]], dtype=int32)
    """
    stained = stained or Stained(height, depth, 0)
    shapes = height.shape, mask.shape, stained.plane.shape
    if len(set(shapes)) > 1 or height.ndim != 2:
        raise ValueError(f"expected height, mask and stain of one shape (M, N), found {', '.join(map(str, shapes))}")
    if min(depth, stained.depth) < 1:
        raise ValueError(f"depth must be 1 or more, found {depth} and {stained.depth}")
    if stained.denser < 0:
        raise ValueError(f"denser must be 0 or more, found {stained.denser}")
    return label_hills(height, mask, Saddles(depth, stained.plane, stained.depth, stained.denser))
