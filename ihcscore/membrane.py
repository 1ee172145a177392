"""A cell's membrane: the ridge of DAB around its nucleus, found along rays, not a ring of fixed width."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import um_to_px
from ihcscore.schema import (
    CONTRAST_COLUMN,
    LINEAR_COLUMN,
    RIDGE_DECILES,
    RIDGE_MEAN_COLUMN,
    THICKNESS_COLUMN,
    ridge_column,
)

RAYS = 32
"""Directions in which the membrane is looked for."""
LONGEST_NUCLEUS_UM = 14.0
"""How far from its centroid a nucleus is left at the latest."""
REACH_UM = 10.0
"""How far beyond the nucleus the membrane is looked for."""
INSIDE_UM = 0.5
"""How far inside the nucleus' outline a ridge may lie: outlines are not exact."""
WINDOW_UM = 2.0
"""How far to either side of a ridge its surroundings are looked at."""
SIGMA_UM = 0.65
"""Width of a ridge as light shows it: a membrane of 1 um through a microscope, at 0.5 um per pixel."""
NARROWEST_UM = 1.0
"""Where the next nucleus is as near, there is no room for a membrane that could be told: such rays do not count."""
FAINTEST_OD = 0.05
"""A ridge that stands out less is none, ..."""
CONTRAST = 0.4
"""... nor is one that stands out less than this times what is around it."""
SHARPENED = 1.75
"""Times that a membrane is denser than its ridge stands out after optics and pixels; the least error on phantoms."""
MOST_CONTRAST = 100.0
BEND_UM = 2.0
"""Two neighbouring rays' ridges are one line if their distances from the centroid differ by no more."""
PARTS = 32
"""Positions are whole 1/32 pixels, as OpenCV reads them: the same wherever a window begins."""
BATCH_CELLS = 256
"""Cells worked on at once, so that their profiles stay in the processor's cache."""

Rays = NDArray[np.float32]


@dataclass(frozen=True)
class Ridges:
    """What was found along the rays of each cell; every array of shape (n, 32), dtype float32.

    Parameters
    ----------
    height : ndarray
        How much DAB OD the ridge stands out; 0 where there is none.
    around : ndarray
        DAB OD beside it.
    radius : ndarray
        Distance from the centroid, um; where there is no ridge, the median of the cell's others.
    width : ndarray
        Width at half its height, um; NaN where there is no ridge.
    share : ndarray
        Part of the cell's perimeter that each ray stands for; rows add up to 1, or to 0 where nuclei are all around.
    """

    height: Rays
    around: Rays
    radius: Rays
    width: Rays
    share: Rays

    @property
    def od(self) -> Rays:
        """DAB OD of the membrane itself; 0 where there is none."""
        return np.where(self.height > 0, self.around + np.float32(SHARPENED) * self.height, 0).astype(np.float32)


def measure_membranes(
    dab: NDArray[np.float32], nuclei: NDArray[np.integer], xy: NDArray[np.float64], mpp: float
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

    Returns
    -------
    dict of str to ndarray of shape (n,), dtype float32
        Columns of `ihcscore.schema`; NaN where other nuclei leave no room for a membrane.
    """
    parts = [
        _columns(find_ridges(dab, nuclei, xy, range(first, min(first + BATCH_CELLS, len(xy))), mpp))
        for first in range(0, len(xy), BATCH_CELLS)
    ] or [_columns(Ridges(*[np.zeros((0, RAYS), np.float32)] * 5))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def find_ridges(
    dab: NDArray[np.float32], nuclei: NDArray[np.integer], xy: NDArray[np.float64], cells: range, mpp: float
) -> Ridges:
    """Find the membrane of some cells.

    Parameters
    ----------
    dab, nuclei, xy, mpp
        As of `measure_membranes`.
    cells : range
        Rows of `xy`.

    Returns
    -------
    Ridges

    Notes
    -----
    From the edge of the nucleus outwards, up to the next nucleus or 10 um, the place is taken where a line as wide as a
    membrane looks stands out most from a slope through what lies up to 2 um beside it.
    """
    ridge, beside, half = _kernels(mpp)
    inside = round(um_to_px(INSIDE_UM, mpp))
    before = inside + half
    out, reach = int(um_to_px(LONGEST_NUCLEUS_UM, mpp)) + 1, int(um_to_px(REACH_UM, mpp)) + 1 + before + half
    steps = _steps(before, out + reach)
    own = np.arange(cells.start, cells.stop, dtype=nuclei.dtype)[:, None, None] + 1
    middle = np.rint((xy[cells.start : cells.stop] - 0.5) * PARTS).astype(np.int32)
    x, y = (middle[:, k, None, None] + steps[k][:, before : before + out] for k in (0, 1))
    edge = (_nearest(nuclei, x, y) == own).sum(axis=2)  # steps of a pixel from the centroid
    at = np.arange(RAYS)[:, None] * steps.shape[2] + edge[..., None] + np.arange(reach)
    x, y = (middle[:, k, None, None] + steps[k].ravel().take(at) for k in (0, 1))
    away = edge[..., None] - before + np.arange(reach)
    profile = _along(dab, x, y)
    labels = _nearest(nuclei, x, y)
    clear = np.logical_and.accumulate((labels == 0) | (labels == own), axis=2)
    looked = slice(half, reach - half)
    rows = profile.reshape(-1, reach)
    stands_out, around = (
        cv2.filter2D(rows, cv2.CV_32F, kernel[None]).reshape(profile.shape)[..., looked] for kernel in (ridge, beside)
    )
    allowed = clear[..., looked] & (away[..., looked] > 0)
    best = np.where(allowed, stands_out, np.float32(-9)).argmax(axis=2)[..., None]
    top, base = (np.take_along_axis(values, best, 2)[..., 0] for values in (stands_out, around))
    radius = np.asarray(np.take_along_axis(away, best + half, 2)[..., 0] * mpp, np.float32)
    is_ridge = allowed.any(axis=2) & (top >= FAINTEST_OD) & (top >= CONTRAST * base)
    room = (clear[..., half:].sum(axis=2) - inside) * mpp
    across = np.take_along_axis(profile, best + np.arange(2 * half + 1), 2) - base[..., None]
    width = np.asarray((across >= across[..., half : half + 1] / 2).sum(axis=2) * mpp, np.float32)
    return _ridges(is_ridge, top, base, radius, width, room > NARROWEST_UM)


def _steps(before: int, after: int) -> NDArray[np.int32]:
    """Give where each ray is, from `before` pixels before its centre on, in 1/32 px; shape (2, 32, before + after)."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    length = np.arange(-before, after)
    return np.rint(PARTS * np.stack([np.cos(angle), np.sin(angle)])[..., None] * length).astype(np.int32)


def _ridges(
    is_ridge: NDArray[np.bool_],
    top: NDArray[Any],
    base: NDArray[Any],
    radius: Rays,
    width: Rays,
    roomy: NDArray[np.bool_],
) -> Ridges:
    is_ridge = is_ridge & roomy
    known = np.where(is_ridge, radius, np.nan)
    known[~is_ridge.any(axis=1)] = 1
    radius = np.where(is_ridge, radius, np.nanmedian(known, axis=1, keepdims=True))
    weight = np.where(roomy, radius, 0)
    share = np.divide(weight, weight.sum(axis=1, keepdims=True), out=np.zeros_like(weight), where=weight > 0)
    values = (np.where(is_ridge, top, 0), base, radius, np.where(is_ridge, width, np.nan), share)
    return Ridges(*(np.asarray(v, np.float32) for v in values))


def _kernels(mpp: float) -> tuple[Rays, Rays, int]:
    """Give what fits a ridge on a slope by least squares: its height, the slope's value under it; half their length."""
    half = max(2, round(um_to_px(WINDOW_UM, mpp)))
    r = np.arange(-half, half + 1) * mpp
    model = np.column_stack([np.ones_like(r), r, np.exp(-((r / SIGMA_UM) ** 2) / 2)])
    fit = np.linalg.pinv(model).astype(np.float32)
    return fit[2], fit[0], half


def _nearest(labels: NDArray[np.integer], x: NDArray[np.int32], y: NDArray[np.int32]) -> NDArray[np.integer]:
    """Read labels at positions in 1/32 px."""
    rows, columns = labels.shape
    x, y = (np.clip((v + PARTS // 2) >> 5, 0, length - 1) for v, length in ((x, columns), (y, rows)))
    return np.asarray(labels.ravel().take(y * columns + x))


def _along(image: NDArray[np.float32], x: NDArray[np.int32], y: NDArray[np.int32]) -> Rays:
    """Read an image at positions in 1/32 px, between pixels linearly."""
    left, top = (np.multiply(v, np.float32(1 / PARTS), dtype=np.float32).reshape(-1, v.shape[2]) for v in (x, y))
    read = cv2.remap(image, left, top, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read.reshape(x.shape), np.float32)


def _columns(ridges: Ridges) -> dict[str, Rays]:
    share, od = ridges.share, ridges.od
    nowhere = share.sum(axis=1) == 0
    mean = (share * np.where(ridges.height > 0, od, ridges.around)).sum(axis=1)
    order = np.argsort(od, axis=1, kind="stable")
    below = np.cumsum(np.take_along_axis(share, order, 1), axis=1)
    sorted_od = np.take_along_axis(od, order, 1)
    columns = {RIDGE_MEAN_COLUMN: mean}
    for percent in RIDGE_DECILES:
        at = np.minimum((below < percent / 100 - 1e-6).sum(axis=1), RAYS - 1)
        columns[ridge_column(percent)] = np.take_along_axis(sorted_od, at[:, None], 1)[:, 0]
    stained = ridges.height > 0
    line = np.zeros_like(stained)
    for turn in (-1, 1):
        near = np.abs(ridges.radius - np.roll(ridges.radius, turn, 1)) <= BEND_UM
        line |= np.roll(stained, turn, 1) & near
    total = (share * stained).sum(axis=1)
    linear = np.divide((share * (stained & line)).sum(axis=1), total, out=np.full(len(od), np.nan), where=total > 0)
    columns[LINEAR_COLUMN] = linear
    number = stained.sum(axis=1)
    width = np.where(stained, ridges.width, 0).sum(axis=1)
    columns[THICKNESS_COLUMN] = np.divide(width, number, out=np.full(len(od), np.nan), where=number > 0)
    around = np.where(stained, ridges.around, 0).sum(axis=1)
    contrast = np.divide(ridges.height.sum(axis=1), around, out=np.full(len(od), MOST_CONTRAST), where=around > 0)
    columns[CONTRAST_COLUMN] = np.where(number > 0, np.minimum(contrast, MOST_CONTRAST), np.nan)
    return {name: np.where(nowhere, np.nan, values).astype(np.float32) for name, values in columns.items()}
