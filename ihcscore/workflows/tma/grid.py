"""The cores of a tissue microarray on their grid, from where the slide has tissue."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import IhcscoreError
from ihcscore.survey.tissue import TISSUE, TissueMap

COARSE_UM = 32.0
"""Pixel size at which cores are looked for: the smallest of 0.3 mm are 9 pixels wide."""
LEAST_FILL = 0.2
"""Share of a core's disc that has tissue; below, it is debris, or the core is gone."""
DRIFT = 0.35
"""How far a core may lie from where its neighbors expect it, as a part of the grid's pitch."""
UPRIGHT = 0.36
"""Tangent of the angle by which a grid may be turned: 20 degrees."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OK, MISSING = "ok", "missing"

Points = NDArray[np.float64]
Index = tuple[int, int]


@dataclass(frozen=True)
class Core:
    """One place of the grid.

    Parameters
    ----------
    name : str
        Letter of the row and number of the column: "A-1".
    row, column : int
        From 0.
    x_um, y_um : float
        Center, from the slide's origin.
    status : str
        "ok", or "missing" where there is no tissue to score.
    """

    name: str
    row: int
    column: int
    x_um: float
    y_um: float
    diameter_um: float
    status: str = OK


@dataclass(frozen=True)
class CoreGrid:
    """The cores of a slide.

    Parameters
    ----------
    cores : tuple of Core
        Row by row, every place of the grid.
    off_grid : tuple of (x_um, y_um)
        Tissue of a core's size that fits no place.
    """

    cores: tuple[Core, ...]
    off_grid: tuple[tuple[float, float], ...] = ()

    @property
    def present(self) -> tuple[Core, ...]:
        """Those that are there."""
        return tuple(core for core in self.cores if core.status == OK)

    @property
    def overlapping(self) -> tuple[tuple[Core, Core], ...]:
        """Pairs of them that share a part of the slide."""
        return tuple(
            (one, other)
            for one, other in combinations(self.present, 2)
            if math.hypot(one.x_um - other.x_um, one.y_um - other.y_um) < (one.diameter_um + other.diameter_um) / 2
        )


def core_name(row: int, column: int) -> str:
    """Name a place: letters for rows (A to Z, then AA, AB), numbers from 1 for columns.

    Examples
    --------
    >>> core_name(0, 0), core_name(27, 11)
    ('A-1', 'AB-12')
    """
    letters = ""
    at = row + 1
    while at:
        at, rest = divmod(at - 1, len(LETTERS))
        letters = LETTERS[rest] + letters
    return f"{letters}-{column + 1}"


def find_cores(tissue: TissueMap, diameter_um: float | None = None) -> CoreGrid:
    """Find the cores of a tissue microarray.

    Raises IhcscoreError if there is no grid to be seen; it says what to do.

    Parameters
    ----------
    diameter_um : float, optional
        Of a core; estimated from the slide unless given.

    Returns
    -------
    CoreGrid
        With a place for each row and column, missing cores included.

    Notes
    -----
    Cores are peaks of the share of tissue in a disc of their size, centerd on its tissue. They are numbered outwards
    from one of them, each by the neighbors found before, so that rows that bend or drift keep their numbers. The grid
    may be turned by up to 20 degrees, and neighbors lie at most two steps apart.
    """
    mask, um = _coarser(tissue)
    diameter_um = diameter_um or _diameter_um(mask, um)
    centers = _centers(mask, diameter_um / um)
    if len(centers) < 4:
        raise IhcscoreError(
            f"no grid of cores: {len(centers)} pieces of tissue {diameter_um / 1000:.2f} mm wide; "
            "give --core-mm or --grid"
        )
    places, across, down = _numbered(centers)
    return _grid(centers * um, places, across * um, down * um, diameter_um)


def _coarser(tissue: TissueMap) -> tuple[NDArray[np.float32], float]:
    """Return the share of tissue at about `COARSE_UM` per pixel, and the pixel size."""
    step = max(1, round(COARSE_UM / tissue.um))
    mask = (tissue.codes == TISSUE).astype(np.float32)
    rows, columns = (-(-length // step) * step for length in mask.shape)
    padded = np.zeros((rows, columns), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    shares = padded.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))
    return np.ascontiguousarray(shares, np.float32), tissue.um * step


def _diameter_um(mask: NDArray[np.float32], um: float) -> float:
    """Estimate a core's diameter: the median of pieces as wide as high that fill their box as discs do."""
    solid = cv2.morphologyEx((mask > 0.3).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    width, height, area = (
        stats[1:, k].astype(float) for k in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA)
    )
    large = np.maximum(width, height) * um >= 250
    round_ = large & (np.abs(np.log(width / height)) < 0.3) & (area / (width * height) > 0.55)
    if round_.sum() < 4:
        raise IhcscoreError("no grid of cores: fewer than four round pieces of tissue; give --core-mm or --grid")
    return float(np.median(np.sqrt(width * height)[round_])) * um


def _centers(mask: NDArray[np.float32], diameter: float) -> Points:
    """Return the centers (x, y) of discs with enough tissue, in pixels, each moved to its tissue's centroid."""
    radius = max(2, round(diameter / 2))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2).astype(np.float32)
    fill = cv2.filter2D(mask, -1, disc / disc.sum(), borderType=cv2.BORDER_CONSTANT)
    near = cv2.dilate(fill, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(0.6 * diameter) + 1,) * 2))
    peaks = ((fill >= near - 1e-6) & (fill >= LEAST_FILL)).astype(np.uint8)
    count, _, _, middles = cv2.connectedComponentsWithStats(peaks, connectivity=8)
    return np.array([_centerd(mask, middles[k], radius * 1.15) for k in range(1, count)]).reshape(-1, 2) + 0.5


def _centerd(mask: NDArray[np.float32], at: Points, radius: float) -> Points:
    """Move a disc to the centroid of its tissue, a few times."""
    for _ in range(5):
        x0, y0 = (max(0, int(v - radius)) for v in at)
        part = mask[y0 : int(at[1] + radius) + 2, x0 : int(at[0] + radius) + 2]
        ys, xs = np.mgrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]]
        weight = part * ((xs - at[0]) ** 2 + (ys - at[1]) ** 2 <= radius**2)
        at = np.array([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
    return at


def _numbered(centers: Points) -> tuple[dict[Index, int], Points, Points]:
    """Assign each center a row and a column; return these and the steps across and down."""
    across, down = _step(centers), _step(centers[:, ::-1])[::-1]
    steps = [(0, 1), (0, -1), (1, 0), (-1, 0), (0, 2), (0, -2), (2, 0), (-2, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]
    best: dict[Index, int] = {}
    left = set(range(len(centers)))
    while left:
        found = _spread(centers, min(left), across, down, steps)
        left -= set(found.values())
        if len(found) > len(best):
            best = found
    top, first = (min(place[k] for place in best) for k in (0, 1))
    return {(row - top, column - first): k for (row, column), k in best.items()}, across, down


def _spread(centers: Points, start: int, across: Points, down: Points, steps: Sequence[Index]) -> dict[Index, int]:
    """Number centers outwards from one: each where a neighbor found before expects it."""
    tolerance = DRIFT * min(np.hypot(*across), np.hypot(*down))
    places, waiting, taken = {(0, 0): start}, [(0, 0)], {start}
    for row, column in waiting:  # grows while it runs
        for dr, dc in steps:
            place = (row + dr, column + dc)
            if place in places:
                continue
            expected = centers[places[row, column]] + dr * down + dc * across
            away = np.hypot(*(centers - expected).T)
            nearest = int(away.argmin())
            if away[nearest] <= tolerance and nearest not in taken:
                places[place] = nearest
                taken.add(nearest)
                waiting.append(place)
    return places


def _step(centers: Points) -> Points:
    """Estimate the step to the next core to the right: the median of the shortest ones, which span no gap."""
    shortest = []
    for center in centers:
        away = centers - center
        right = away[(away[:, 0] > 0) & (np.abs(away[:, 1]) <= UPRIGHT * away[:, 0])]
        if len(right):
            shortest.append(right[np.hypot(*right.T).argmin()])
    if not shortest:
        raise IhcscoreError("no grid of cores: they lie in one row or column; give --grid")
    steps = np.array(shortest)
    length = np.hypot(*steps.T)
    return np.asarray(np.median(steps[length <= 1.3 * np.quantile(length, 0.25)], axis=0))


def _grid(centers: Points, places: dict[Index, int], across: Points, down: Points, diameter_um: float) -> CoreGrid:
    rows, columns = (max(place[k] for place in places) + 1 for k in (0, 1))
    cores = []
    for row in range(rows):
        for column in range(columns):
            there = places.get((row, column))
            at = centers[there] if there is not None else _expected(centers, places, (row, column), across, down)
            status = OK if there is not None else MISSING
            x, y = (round(float(v), 1) for v in at)
            cores.append(Core(core_name(row, column), row, column, x, y, round(diameter_um, 1), status))
    others = sorted(set(range(len(centers))) - set(places.values()))
    return CoreGrid(tuple(cores), tuple((float(centers[k, 0]), float(centers[k, 1])) for k in others))


def _expected(centers: Points, places: dict[Index, int], place: Index, across: Points, down: Points) -> Points:
    """Estimate the position of a missing core from the four nearest that are there."""
    near = sorted(places, key=lambda other: ((other[0] - place[0]) ** 2 + (other[1] - place[1]) ** 2, other))[:4]
    guesses = [centers[places[other]] + (place[0] - other[0]) * down + (place[1] - other[1]) * across for other in near]
    return np.asarray(np.mean(guesses, axis=0))
