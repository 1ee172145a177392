"""How a score varies over the tissue: spread, order, hotspots; from the tallies of squares, without cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.formulas.hscore import of_tallies as h_scores
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values
from ihcscore.scoring.intervals import BlockTallies, touching

FEWEST_CELLS = 20
"""A block with fewer cells has no score of its own."""
FEWEST_BLOCKS = 10
"""With fewer blocks, order in space is not judged."""
PERMUTATIONS = 999


@dataclass(frozen=True)
class Hotspot:
    """A square of tissue with a high score.

    Parameters
    ----------
    x_um, y_um : float
        Upper left corner.
    area_mm2 : float
        Less than was asked for where the scored cells' extent is narrower than its side.
    tallies : BlockTallies
        Of its squares.
    """

    x_um: float
    y_um: float
    area_mm2: float
    tallies: BlockTallies


def heterogeneity(blocks: BlockTallies) -> dict[str, float]:
    """Measure how the H-score varies between blocks.

    Parameters
    ----------
    blocks : BlockTallies

    Returns
    -------
    dict of str to float
        ``h_iqr``, the spread between the first and third quarter of blocks; ``class_entropy``, of the four classes over
        all cells, 0 (one class) to 2 bits; ``moran_i``, the correlation of touching blocks (0 by chance, 1 smooth), and
        ``moran_p``, the share of random orders with as high a value. Values that need more blocks are omitted.

    References
    ----------
    .. [1] Moran, Biometrika 37(1-2), 17-23, 1950.
    """
    found = {}
    counts = blocks.values[:, :4].sum(axis=0)
    if counts.sum():
        shares = counts[counts > 0] / counts.sum()
        found["class_entropy"] = float(abs((shares * np.log2(shares)).sum()))
    enough = Tallies(blocks.values).cells >= FEWEST_CELLS
    scores = h_scores(Tallies(blocks.values[enough]))
    if len(scores) >= 4:
        low, high = np.quantile(scores, [0.25, 0.75])
        found["h_iqr"] = float(high - low)
    if len(scores) >= FEWEST_BLOCKS and scores.std() > 0:
        one, other = touching(blocks.at[enough])
        if len(one):
            away, chance = scores - scores.mean(), np.random.default_rng(0)
            value = _alike(away, one, other)
            by_chance = [_alike(chance.permutation(away), one, other) for _ in range(PERMUTATIONS)]
            found["moran_i"] = float(len(away) / len(one) * value / (away @ away))
            found["moran_p"] = (1 + sum(other >= value for other in by_chance)) / (1 + PERMUTATIONS)
    return found


def between(parts: Values) -> dict[str, float]:
    """Measure how the H-score varies between regions.

    Parameters
    ----------
    parts : ndarray of shape (n, len(TALLIES)), dtype float64
        Tallies of each region, or of each image where several are pooled.

    Returns
    -------
    dict of str to float
        ``h_region_sd``, the standard deviation of the H-scores of parts with 20 cells or more (n - 1 in the
        denominator; its square is the variance from region to region, in which chance within each has a share).
        Nothing where fewer than two have as many.
    """
    enough = Tallies(parts).cells >= FEWEST_CELLS
    scores = h_scores(Tallies(parts[enough]))
    return {"h_region_sd": float(scores.std(ddof=1))} if len(scores) > 1 else {}


def _alike(away: Values, one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Compute the part of Moran's I that changes when scores are permuted."""
    return float(away[one] @ away[other])


def hotspots(fine: BlockTallies, score: Score, area_mm2: float, minimum_cells: int, count: int) -> list[Hotspot]:
    """Find the squares of tissue with the highest score, none overlapping another.

    Parameters
    ----------
    fine : BlockTallies
        On squares much smaller than a hotspot.
    area_mm2 : float
        Of a hotspot; its side is a whole number of squares. None reaches beyond the rows and columns that hold cells.
    minimum_cells : int
        Fewest cells in it.
    count : int
        How many to find at most.

    Returns
    -------
    list of Hotspot
        The highest first; of equal ones the first from above, then from the left.
    """
    if not len(fine.at):
        return []
    side = max(1, round(np.sqrt(area_mm2) * 1000 / fine.side_um))
    low = fine.at.min(axis=0)
    rows, columns = fine.at.max(axis=0) - low + 1
    high, wide = min(side, rows), min(side, columns)
    grid = np.zeros((rows + 1, columns + 1, fine.values.shape[1]))
    at = fine.at - low
    grid[at[:, 0] + 1, at[:, 1] + 1] = fine.values
    total = grid.cumsum(axis=0).cumsum(axis=1)
    windows = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    tallies = Tallies(np.round(windows, 9))
    value = np.where(score.cells(tallies) >= minimum_cells, score.of(tallies), np.nan)
    found: list[Hotspot] = []
    while len(found) < count and np.isfinite(value).any():
        row, column = np.unravel_index(np.nanargmax(value), value.shape)
        inside = ((at >= (row, column)) & (at < (row + high, column + wide))).all(axis=1)
        chosen = BlockTallies(fine.at[inside], fine.values[inside], fine.side_um)
        corner = np.add(low, (row, column)) * fine.side_um
        found.append(Hotspot(float(corner[1]), float(corner[0]), high * wide * (fine.side_um / 1000) ** 2, chosen))
        top, left = max(0, row - high + 1), max(0, column - wide + 1)
        value[top : row + high, left : column + wide] = np.nan
    return found
