"""DAB along rays out of a nucleus: what a cell's membrane is looked for in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import um_to_px
from ihcscore.native import run

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
    od : ndarray of shape (n, 32, 24), dtype float32
        DAB OD.
    other : ndarray of shape (n, 32, 24), dtype bool
        Where another nucleus lies.
    edge_um : ndarray of shape (n, 32), dtype float32
        Distance from the centroid at which the ray leaves the nucleus; the sample `BEFORE` is the first outside.
    """

    od: NDArray[np.float32]
    other: NDArray[np.bool_]
    edge_um: NDArray[np.float32]

    def away_um(self) -> NDArray[np.float32]:
        """Distance of each sample from the centroid, um; shape (n, 32, 24)."""
        return np.asarray(self.edge_um[..., None] + STEP_UM * (np.arange(SAMPLES) - BEFORE), np.float32)


def read_profiles(
    dab: NDArray[np.float32], nuclei: NDArray[np.int32], xy: NDArray[np.float64], cells: range, mpp: float
) -> Profiles:
    """Read the DAB around some cells.

    Parameters
    ----------
    dab : ndarray of shape (M, N), dtype float32
        DAB OD, not clipped. Not modified.
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
    od, other = np.empty((count, RAYS, SAMPLES), np.float32), np.empty((count, RAYS, SAMPLES), np.bool_)
    edge = np.empty((count, RAYS), np.int32)
    own = cells.start + 1
    run("read_profiles", count, *dab.shape, dab, nuclei, own, middle, steps, od, other.view(np.uint8), edge)
    return Profiles(od, other, np.asarray(edge * STEP_UM, np.float32))


def _steps(mpp: float) -> NDArray[np.int32]:
    """Give where each ray is, from `BEFORE` steps before its centre on, in 1/32 px."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    length = np.arange(-BEFORE, LONGEST + SAMPLES) * um_to_px(STEP_UM, mpp)
    way = np.stack([np.cos(angle), np.sin(angle)])[..., None]
    return np.asarray(np.rint(PARTS * way * length), np.int32)
