"""Positions and outlines of nuclei."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid, smooth
from ihcscore.phantom.outlines import Shapes, contact_steps, outlines
from ihcscore.phantom.tissue import Tissue

KINDS = ("tumor", "stroma", "lymphocyte", "macrophage")
TUMOR, STROMA, LYMPHOCYTE, MACROPHAGE = range(4)
GAP_UM = 0.8
"""A nucleus that is not laid against another keeps at least this distance."""
MAX_OVERLAP = 0.25
"""A nucleus that would hide more than this share of itself under others is not placed."""
MIN_AREA_UM2 = 3.0
CANDIDATES_PER_NUCLEUS = 4


@dataclass(frozen=True)
class Layout:
    """Nuclei of a tile.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32
        0 is background, nuclei are 1..n without gaps, each one connected.
    under : ndarray of shape (M, N), dtype int32
        The nucleus that lies hidden below the one in `nuclei`, 0 for none.
    kind : ndarray of shape (n,), dtype int8
        Index into `KINDS`.
    candidate : ndarray of shape (n,), dtype int64
        Place of each nucleus among the candidates.
    tried : int
        How many candidates there were.
    """

    nuclei: NDArray[np.int32]
    under: NDArray[np.int32]
    kind: NDArray[np.int8]
    candidate: NDArray[np.int64]
    tried: int

    # one draw per candidate, not per nucleus: a nucleus more or less leaves the looks of all others as they are

    def normal(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw a standard normal number for each nucleus."""
        return rng.standard_normal(self.tried)[self.candidate]

    def uniform(self, rng: np.random.Generator, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Draw an even number for each nucleus."""
        return rng.uniform(low, high, self.tried)[self.candidate]


@dataclass(frozen=True)
class Candidates:
    """Nuclei that may be placed, in the order in which they are tried."""

    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    kind: NDArray[np.int8]
    against: NDArray[np.bool_]
    outline_um: NDArray[np.float64]


def place(rng: np.random.Generator, grid: Grid, tissue: Tissue, drawn: Mapping[str, float]) -> Layout:
    """Place nuclei in the tissue until the wanted share of each region is covered.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws every candidate before the first is placed, so that a small change in one place stays there.
    drawn : mapping of str to float
        Uses `tumor_coverage`, `stroma_coverage`, `touching_share`, `lymphocyte_share`,
        `macrophage_share` and what `outlines` uses.

    Returns
    -------
    Layout
        Time and memory grow with the number of nuclei: each is compared with the pixels it would cover.
    """
    candidates = propose(rng, grid, tissue, drawn)
    pixel_um2 = grid.mpp**2
    tumor_um2 = np.count_nonzero(~tissue.glass & ~tissue.stroma) * pixel_um2
    room = [tumor_um2 * drawn["tumor_coverage"], np.count_nonzero(tissue.stroma) * pixel_um2 * drawn["stroma_coverage"]]
    nuclei, under = np.zeros(grid.shape, np.int32), np.zeros(grid.shape, np.int32)
    rows, columns = grid.indices(candidates.x_um, candidates.y_um)
    placed: list[int] = []
    for i in np.flatnonzero(~tissue.glass[rows, columns]):
        region = int(candidates.kind[i] != TUMOR)
        if room[region] <= 0 or nuclei[rows[i], columns[i]]:
            continue
        covered = _lay(nuclei, under, grid, candidates, int(i), len(placed) + 1)
        if covered:
            placed.append(int(i))
            room[region] -= covered * pixel_um2
    chosen = np.array(placed, np.int64)
    return Layout(nuclei, under, candidates.kind[chosen], chosen, len(candidates.kind))


def propose(rng: np.random.Generator, grid: Grid, tissue: Tissue, drawn: Mapping[str, float]) -> Candidates:
    """Draw positions, kinds and outlines; a candidate laid against another follows it in the order."""
    margin = 2 * drawn["nucleus_radius_um"]
    height, width = grid.height * grid.mpp + 2 * margin, grid.width * grid.mpp + 2 * margin
    covered = max(drawn["tumor_coverage"], drawn["stroma_coverage"])
    count = int(CANDIDATES_PER_NUCLEUS * covered * height * width / (np.pi * drawn["nucleus_radius_um"] ** 2)) + 1
    x, y = rng.uniform(-margin, width - margin, count), rng.uniform(-margin, height - margin, count)
    against = rng.random(count) < drawn["touching_share"]
    against[0] = False
    first = np.maximum.accumulate(np.where(against, 0, np.arange(count)))
    x, y = x[first], y[first]
    rows, columns = grid.indices(x, y)
    kind = _kinds(rng, grid, tissue.stroma[rows, columns], (rows, columns), drawn)[first]
    shapes = Shapes(kind != TUMOR, kind == LYMPHOCYTE, kind == MACROPHAGE, tissue.across[rows, columns])
    outline = outlines(rng, shapes, drawn)
    step = contact_steps(rng, outline)
    walked = np.cumsum(np.where(against[:, None], step, 0), axis=0)
    walked -= walked[first]
    return Candidates(x + walked[:, 0], y + walked[:, 1], kind, against, outline)


def _kinds(
    rng: np.random.Generator,
    grid: Grid,
    stroma: NDArray[np.bool_],
    where: tuple[NDArray[np.intp], NDArray[np.intp]],
    drawn: Mapping[str, float],
) -> NDArray[np.int8]:
    """Make the asked shares of the stroma's nuclei lymphocytes, in clusters, and macrophages."""
    crowd = smooth(rng, grid, 40.0)[where] + 0.5 * rng.standard_normal(len(stroma))
    kind = np.where(stroma, STROMA, TUMOR).astype(np.int8)
    if stroma.any():
        cut = np.quantile(crowd[stroma], 1 - drawn["lymphocyte_share"])
        kind[stroma & (crowd > cut)] = LYMPHOCYTE
    if drawn["macrophage_share"] > 0:
        kind[stroma & (rng.random(len(stroma)) < drawn["macrophage_share"])] = MACROPHAGE
    return kind


def _lay(
    nuclei: NDArray[np.int32], under: NDArray[np.int32], grid: Grid, candidates: Candidates, i: int, label: int
) -> int:
    """Write one nucleus into the labels if there is room; return the pixels it took."""
    center = np.array([candidates.x_um[i], candidates.y_um[i]])
    outline = candidates.outline_um[i]
    grown = outline * (1 + GAP_UM / np.hypot(*outline.T).mean())
    low = np.maximum(np.floor((center + grown.min(axis=0)) / grid.mpp).astype(int) - 1, 0)
    high = np.minimum(np.ceil((center + grown.max(axis=0)) / grid.mpp).astype(int) + 2, (grid.width, grid.height))
    if np.any(high <= low):
        return 0
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    taken, size = nuclei[window] > 0, high - low
    if not candidates.against[i] and np.any(taken & _filled((center + grown) / grid.mpp - low, size)):
        return 0
    whole = _filled((center + outline) / grid.mpp - low, size)
    free = _largest_piece(whole & ~taken)
    area = int(np.count_nonzero(free))
    if area * grid.mpp**2 < MIN_AREA_UM2 or area < (1 - MAX_OVERLAP) * np.count_nonzero(whole):
        return 0
    nuclei[window][free] = label
    under[window][whole & taken] = label
    return area


def _filled(points: NDArray[np.float64], size: NDArray[np.int_]) -> NDArray[np.bool_]:
    mask = np.zeros((size[1], size[0]), np.uint8)
    # a pixel's center is at half a pixel; fillPoly takes whole numbers as centers, here in 1/16 pixel
    cv2.fillPoly(mask, [np.round((points - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return mask > 0


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    return np.asarray(labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]), dtype=np.bool_)
