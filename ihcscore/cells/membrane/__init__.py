"""Detect the membrane of each cell along rays out of its nucleus, by a small network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.membrane.profiles import RAYS, STEP_UM, read_profiles
from ihcscore.cells.membrane.reader import read_membranes
from ihcscore.kernels.membrane_borders import StainedRays, measure_lines, sum_membranes
from ihcscore.table.schema import (
    COMPLETENESS_COLUMN,
    LINEAR_COLUMN,
    RIDGE_DECILES,
    RIDGE_MEAN_COLUMN,
    THICKNESS_COLUMN,
    ridge_column,
)

LINE = 0.7
"""Probability from which a border counts as a stained line."""
BEND_UM = 2.0
"""Two neighboring rays' borders are one line if their distances from the centroid differ by no more."""
ROUNDING = 1e-6
"""Shares of a border are known to this."""
BATCH_CELLS = 512
"""Cells worked on at once, so that their profiles stay in the processor's cache."""

Rays = NDArray[np.float32]


@dataclass(frozen=True)
class Borders:
    """Detections along the rays of each cell; arrays of shape (n, 32), dtype float32 unless stated.

    Parameters
    ----------
    od : ndarray
        DAB OD of the membrane, wherever the border is.
    stained : ndarray, dtype bool
        Whether it shows as a line.
    radius_um : ndarray
        Distance from the centroid, um.
    width_um : ndarray
        Width at half its height, um.
    share : ndarray
        Part of the cell's perimeter that each ray represents; rows add up to 1, or to 0 where nuclei are all around.
    """

    od: Rays
    stained: NDArray[np.bool_]
    radius_um: Rays
    width_um: Rays
    share: Rays


def measure_membranes(
    levels: NDArray[np.uint8],
    nuclei: NDArray[np.int32],
    xy: NDArray[np.float64],
    mpp: float,
    texture: Sequence[float],
) -> dict[str, Rays]:
    """Measure the membrane of each cell.

    Parameters
    ----------
    levels : ndarray of shape (2, M, N), dtype uint8
        DAB and luma, as `ihcscore.stains.levels.both_levels` gives them. Not modified.
    nuclei : ndarray of shape (M, N), dtype int32
        Labels; nucleus i at row i - 1 of `xy`, and higher labels of others.
    xy : ndarray of shape (n, 2)
        Centroids, px.
    mpp : float
        um per pixel.
    texture : sequence of float
        Of the slide, see `ihcscore.stains.texture`.

    Returns
    -------
    dict of str to ndarray of shape (n,), dtype float32
        Columns of `ihcscore.table.schema`; NaN where other nuclei leave no room for a membrane.
    """
    starts = range(0, len(xy), BATCH_CELLS) or range(1)
    batches = (range(k, min(k + BATCH_CELLS, len(xy))) for k in starts)
    parts = [_columns(find_borders(levels, nuclei, xy, cells, mpp, texture)) for cells in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def find_borders(
    levels: NDArray[np.uint8],
    nuclei: NDArray[np.int32],
    xy: NDArray[np.float64],
    cells: range,
    mpp: float,
    texture: Sequence[float],
) -> Borders:
    """Detect the membranes of some cells.

    Parameters
    ----------
    levels, nuclei, xy, mpp, texture
        As of `measure_membranes`.
    cells : range
        Rows of `xy`.

    Notes
    -----
    From 1 um inside the edge of the nucleus to 11 um outside, 32 rays are read every 0.5 um; a network trained on
    phantoms says of each where the border lies, how dense the membrane is and whether it shows as a line. It knows the
    slide's texture: what is haze beside strong membranes is a weak membrane on another slide.
    """
    if not len(cells):
        empty = np.zeros((0, RAYS), np.float32)
        return Borders(empty, empty.astype(np.bool_), empty, empty, empty)
    profiles = read_profiles(levels, nuclei, xy, cells, mpp)
    found = read_membranes(profiles, texture)
    sampled = profiles.level[0], profiles.other, profiles.edge_um
    stained, width, share = measure_lines(*sampled, found.line, found.radius_um, LINE, STEP_UM)
    return Borders(found.od, stained, found.radius_um, width, share)


def _columns(borders: Borders) -> dict[str, Rays]:
    names = [RIDGE_MEAN_COLUMN, COMPLETENESS_COLUMN, LINEAR_COLUMN, THICKNESS_COLUMN]
    names += map(ridge_column, RIDGE_DECILES)
    below = np.array(RIDGE_DECILES) / 100 - ROUNDING
    rays = StainedRays(borders.od, borders.stained, borders.radius_um, borders.width_um, borders.share)
    out = sum_membranes(rays, BEND_UM, below)
    return dict(zip(names, out.T, strict=True))
