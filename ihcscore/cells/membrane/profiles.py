"""Sample DAB and luma along rays out of nuclei."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import um_to_px
from ihcscore.kernels.membrane_profiles import sample_rays

RAYS = 32
"""Directions in which the membrane is looked for."""
STEP_UM = 0.5
"""Distance between two samples of a ray."""
LONGEST = 28
"""Steps from its centroid after which a nucleus is left at the latest."""
BEFORE = 2
"""Samples inside the nucleus: outlines are not exact."""
SAMPLES = 24
"""Samples of a ray, from 1 um inside the nucleus to 11 um outside."""
REACH_UM = (SAMPLES - BEFORE) * STEP_UM + 1.0
"""How far from the nucleus something can matter."""
PARTS = 32
"""Positions are whole 1/32 pixels: the same wherever a window begins."""


@dataclass(frozen=True)
class Profiles:
    """DAB and luma along the rays of some cells, aligned at the edge of each nucleus.

    Parameters
    ----------
    level : ndarray of shape (2, n, 32, 24), dtype uint8
        DAB, then luma, see `ihcscore.stains.levels.both_levels`.
    other : ndarray of shape (n, 32, 24), dtype bool
        Where another nucleus lies.
    edge_um : ndarray of shape (n, 32), dtype float32
        Distance from the centroid at which the ray leaves the nucleus; the sample `BEFORE` is the first outside.
    """

    level: NDArray[np.uint8]
    other: NDArray[np.bool_]
    edge_um: NDArray[np.float32]


def read_profiles(
    levels: NDArray[np.uint8], nuclei: NDArray[np.int32], xy: NDArray[np.float64], cells: range, mpp: float
) -> Profiles:
    """Sample DAB and luma around some cells.

    Raises ValueError if `levels` and `nuclei` are not of such shapes, or `nuclei` has 2**30 pixels or more.

    Parameters
    ----------
    levels : ndarray of shape (2, M, N), dtype uint8
        As `ihcscore.stains.levels.both_levels` gives them. Not modified.
    nuclei : ndarray of shape (M, N), dtype int32
        Labels; nucleus i at row i - 1 of `xy`, and higher labels of others.
    xy : ndarray of shape (n, 2)
        Centroids, px.
    cells : range
        Rows of `xy`.
    mpp : float
        um per pixel.
    """
    if levels.shape != (2, *nuclei.shape) or nuclei.size >= 2**30:
        raise ValueError(
            f"expected levels (2, M, N) and nuclei (M, N), of less than 2**30 pixels, found {levels.shape} and "
            f"{nuclei.shape}"
        )
    middle = np.rint((xy[cells.start : cells.stop] - 0.5) * PARTS).astype(np.int32)
    level, other, edge = sample_rays(levels, nuclei, cells.start + 1, middle, _steps(mpp))
    return Profiles(level, other, np.asarray(edge * STEP_UM, np.float32))


@lru_cache(maxsize=4)
def _steps(mpp: float) -> NDArray[np.int32]:
    """Return the sample offsets along each ray, starting `BEFORE` steps before its center, in 1/32 px."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    length = np.arange(-BEFORE, LONGEST + SAMPLES) * um_to_px(STEP_UM, mpp)
    way = np.stack([np.cos(angle), np.sin(angle)])[..., None]
    steps = np.asarray(np.rint(PARTS * way * length), np.int32)
    steps.flags.writeable = False
    return steps
