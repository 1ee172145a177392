"""DAB along rays out of a nucleus: what a cell's membrane is looked for in."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.geometry import um_to_px
from ihcscore.native import run
from ihcscore.stains.density import check_light
from ihcscore.stains.unmix import DAB, shares_of_light
from ihcscore.stains.vectors import StainMatrix

LOWEST_OD, STEPS_PER_OD = -0.2, 100
"""DAB is looked at in 256 levels, 100 for each OD, of which -0.2 is the lowest: denser than 2.35 lets next to no light
through."""

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
    """DAB along the rays of some cells, aligned at the edge of each nucleus.

    Parameters
    ----------
    level : ndarray of shape (n, 32, 24), dtype uint8
        DAB, see `dab_levels`.
    other : ndarray of shape (n, 32, 24), dtype bool
        Where another nucleus lies.
    edge_um : ndarray of shape (n, 32), dtype float32
        Distance from the centroid at which the ray leaves the nucleus; the sample `BEFORE` is the first outside.
    """

    level: NDArray[np.uint8]
    other: NDArray[np.bool_]
    edge_um: NDArray[np.float32]


def dab_levels(rgb: NDArray[np.uint8], background: ArrayLike, stains: StainMatrix) -> NDArray[np.uint8]:
    """Give the DAB of light in levels.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    background : array_like of shape () or (3,)
        Light without tissue; positive.
    stains : StainMatrix

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
        0 at -0.2 OD and less, 255 at 2.35 OD and more.

    Raises
    ------
    TypeError, ValueError
        As `ihcscore.stains.optical_density`.

    Examples
    --------
    >>> dab_levels(np.full((1, 1, 3), 255, np.uint8), 255, StainMatrix())
    array([[20]], dtype=uint8)
    """
    check_light(rgb)
    out = np.empty(rgb.shape[:2], np.uint8)
    shares = shares_of_light(background, stains)[DAB]
    run("levels_of_light", out.size, np.ascontiguousarray(rgb), shares, LOWEST_OD, STEPS_PER_OD, out)
    return out


def read_profiles(
    dab: NDArray[np.uint8], nuclei: NDArray[np.int32], xy: NDArray[np.float64], cells: range, mpp: float
) -> Profiles:
    """Read the DAB around some cells.

    Parameters
    ----------
    dab : ndarray of shape (M, N), dtype uint8
        As `dab_levels` gives it. Not modified.
    nuclei : ndarray of shape (M, N), dtype int32
        Labels; nucleus i at row i - 1 of `xy`, and higher labels of others.
    xy : ndarray of shape (n, 2)
        Centroids, px.
    cells : range
        Rows of `xy`.
    mpp : float
        um per pixel.

    Returns
    -------
    Profiles

    Raises
    ------
    ValueError
        If the shapes of `dab` and `nuclei` differ, or they have 2**31 pixels or more.
    """
    if dab.shape != nuclei.shape or dab.size >= 2**31:
        raise ValueError(
            f"expected DAB and nuclei of one shape, of less than 2**31 pixels, found {dab.shape} and {nuclei.shape}"
        )
    steps, count = _steps(mpp), len(cells)
    middle = np.rint((xy[cells.start : cells.stop] - 0.5) * PARTS).astype(np.int32)
    level, other = np.empty((count, RAYS, SAMPLES), np.uint8), np.empty((count, RAYS, SAMPLES), np.bool_)
    edge = np.empty((count, RAYS), np.int32)
    own = cells.start + 1
    run("read_profiles", count, *dab.shape, dab, nuclei, own, middle, steps, level, other.view(np.uint8), edge)
    return Profiles(level, other, np.asarray(edge * STEP_UM, np.float32))


@lru_cache(maxsize=4)
def _steps(mpp: float) -> NDArray[np.int32]:
    """Give where each ray is, from `BEFORE` steps before its centre on, in 1/32 px."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    length = np.arange(-BEFORE, LONGEST + SAMPLES) * um_to_px(STEP_UM, mpp)
    way = np.stack([np.cos(angle), np.sin(angle)])[..., None]
    steps = np.asarray(np.rint(PARTS * way * length), np.int32)
    steps.flags.writeable = False
    return steps
