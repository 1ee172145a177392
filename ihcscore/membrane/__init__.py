"""A cell's membrane: looked for along rays out of its nucleus by a small network, not a ring of fixed width."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.membrane.profiles import BEFORE, RAYS, SAMPLES, STEP_UM, Profiles, read_profiles
from ihcscore.membrane.reader import read_membranes
from ihcscore.schema import LINEAR_COLUMN, RIDGE_DECILES, RIDGE_MEAN_COLUMN, THICKNESS_COLUMN, ridge_column

LINE = 0.65
"""Probability from which a border counts as a stained line."""
ROOMY = 3
"""Where another nucleus takes each of the first samples outside, there is no room for a membrane that could be told."""
BEND_UM = 2.0
"""Two neighbouring rays' borders are one line if their distances from the centroid differ by no more."""
BESIDE = 4
"""Samples to either side of a line in which its width is looked for."""
BATCH_CELLS = 256
"""Cells worked on at once, so that their profiles stay in the processor's cache."""

Rays = NDArray[np.float32]


@dataclass(frozen=True)
class Borders:
    """What was found along the rays of each cell; every array of shape (n, 32), dtype float32 if not said otherwise.

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
        Part of the cell's perimeter that each ray stands for; rows add up to 1, or to 0 where nuclei are all around.
    """

    od: Rays
    stained: NDArray[np.bool_]
    radius_um: Rays
    width_um: Rays
    share: Rays


def measure_membranes(
    dab: NDArray[np.float32],
    nuclei: NDArray[np.integer],
    xy: NDArray[np.float64],
    mpp: float,
    texture: Sequence[float],
) -> dict[str, Rays]:
    """Measure the membrane of each cell.

    Parameters
    ----------
    dab : ndarray of shape (M, N), dtype float32
        DAB OD, not clipped. Not modified.
    nuclei : ndarray of shape (M, N), integer
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
        Columns of `ihcscore.schema`; NaN where other nuclei leave no room for a membrane.
    """
    starts = range(0, len(xy), BATCH_CELLS) or range(1)
    batches = (range(k, min(k + BATCH_CELLS, len(xy))) for k in starts)
    parts = [_columns(find_borders(dab, nuclei, xy, cells, mpp, texture)) for cells in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def find_borders(
    dab: NDArray[np.float32],
    nuclei: NDArray[np.integer],
    xy: NDArray[np.float64],
    cells: range,
    mpp: float,
    texture: Sequence[float],
) -> Borders:
    """Find the membrane of some cells.

    Parameters
    ----------
    dab, nuclei, xy, mpp, texture
        As of `measure_membranes`.
    cells : range
        Rows of `xy`.

    Returns
    -------
    Borders

    Notes
    -----
    From 1 um inside the edge of the nucleus to 11 um outside, 32 rays are read every 0.5 um; a network trained on
    phantoms says of each where the border lies, how dense the membrane is and whether it shows as a line. It knows the
    slide's texture: what is haze beside strong membranes is a weak membrane on another slide.
    """
    if not len(cells):
        empty = np.zeros((0, RAYS), np.float32)
        return Borders(empty, empty.astype(np.bool_), empty, empty, empty)
    profiles = read_profiles(dab, nuclei, xy, cells, mpp)
    found = read_membranes(profiles, texture)
    roomy = ~profiles.other[..., BEFORE : BEFORE + ROOMY].all(axis=2)
    weight = np.where(roomy, found.radius_um, np.float32(0))
    total = weight.sum(axis=1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    return Borders(found.od, roomy & (found.line >= LINE), found.radius_um, _width(profiles, found.radius_um), share)


def _width(profiles: Profiles, radius_um: Rays) -> Rays:
    """Width of what stands out at the border, at half its height over the lowest DAB beside it."""
    at = np.rint((radius_um - profiles.edge_um) / STEP_UM).astype(np.intp) + BEFORE
    near = np.clip(at + np.arange(-BESIDE, BESIDE + 1)[:, None, None], 0, SAMPLES - 1)
    across = profiles.od.ravel().take(near + np.arange(0, at.size * SAMPLES, SAMPLES).reshape(at.shape))
    middle = across[BESIDE - 1 : BESIDE + 2].max(axis=0)
    half = (middle + across.min(axis=0)) / 2
    return np.asarray((across >= half).sum(axis=0, dtype=np.int8) * STEP_UM, np.float32)


def _columns(borders: Borders) -> dict[str, Rays]:
    share, stained = borders.share, borders.stained
    od = np.where(stained, borders.od, np.float32(0))
    columns = {RIDGE_MEAN_COLUMN: (share * borders.od).sum(axis=1)}
    order = np.argsort(od, axis=1, kind="stable")
    below = np.cumsum(np.take_along_axis(share, order, 1), axis=1)
    sorted_od = np.take_along_axis(od, order, 1)
    for percent in RIDGE_DECILES:
        at = np.minimum((below < percent / 100 - 1e-6).sum(axis=1), RAYS - 1)
        columns[ridge_column(percent)] = np.take_along_axis(sorted_od, at[:, None], 1)[:, 0]
    line = np.zeros_like(stained)
    for turn in (-1, 1):
        near = np.abs(borders.radius_um - np.roll(borders.radius_um, turn, 1)) <= BEND_UM
        line |= np.roll(stained, turn, 1) & near
    unknown = np.full(len(od), np.nan)
    total = (share * stained).sum(axis=1)
    columns[LINEAR_COLUMN] = np.divide(
        (share * (stained & line)).sum(axis=1), total, out=unknown.copy(), where=total > 0
    )
    number = stained.sum(axis=1)
    width = np.where(stained, borders.width_um, 0).sum(axis=1)
    columns[THICKNESS_COLUMN] = np.divide(width, number, out=unknown.copy(), where=number > 0)
    nowhere = share.sum(axis=1) == 0
    return {name: np.where(nowhere, np.nan, values).astype(np.float32) for name, values in columns.items()}
