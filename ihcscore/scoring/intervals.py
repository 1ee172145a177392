"""How sure a score is: intervals from blocks of tissue, never from cells as if each were a sample of its own."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import CLASS_COUNTS, PATTERNS, TALLIES, Tallies, Values
from ihcscore.scoring.student_t import two_sided_t

LEVEL = 0.95
RESAMPLES = 1000
ENOUGH_BLOCKS = 20.0
"""Effective blocks from which the bootstrap is used."""
FEWEST_BLOCKS = 3.5
"""With fewer effective ones, blocks are halved."""
HALVINGS = 2
"""How often blocks can be halved: tallies are kept on squares of a quarter of their side."""
ASSUMED_CORRELATION = 0.1
"""Assumed correlation of cells within a tissue where blocks cannot show it: one block, or all blocks alike."""
FEWEST_FREEDOM = 0.5
"""Degrees of freedom that blocks which differ have at least, though they weigh less than one and a half."""
NO_ERROR = 1e-9
"""Share of the score below which its standard error is that of the numbers."""
TAILS = (1 - LEVEL) / 2, (1 + LEVEL) / 2
BOOTSTRAP, FEW, ALIKE = "block bootstrap", "t of few blocks", "Wilson, correlation of cells taken as 0.1"
STEPS = ((0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class BlockTallies:
    """Tallies of the squares of tissue that hold scored cells.

    Parameters
    ----------
    at : ndarray of shape (n, 2), dtype int64
        Row and column of each square, from the slide's origin; different.
    values : ndarray of shape (n, 11), dtype float64
        Columns of `ihcscore.formulas.tallies.TALLIES`.
    side_um : float
        Side of a square.
    """

    at: NDArray[np.int64]
    values: Values
    side_um: float

    def coarser(self, times: int) -> "BlockTallies":
        """Put `times` x `times` squares together."""
        low, width, key = _numbered(self.at // times)
        found, inverse = np.unique(key, return_inverse=True)
        values = np.zeros((len(found), self.values.shape[1]))
        np.add.at(values, inverse, self.values)
        return BlockTallies(np.column_stack(np.divmod(found, width)) + low, values, self.side_um * times)

    @property
    def total(self) -> Tallies:
        """All of them together."""
        return Tallies(self.values.sum(axis=0))

    @property
    def cells(self) -> Values:
        """Cells of each, classed or judged by their membrane."""
        each = Tallies(self.values)
        return np.maximum(each.cells, each.membranes)

    @property
    def count(self) -> float:
        """How many squares with the same number of cells would weigh as much."""
        cells = self.cells
        return float(cells.sum() ** 2 / (cells**2).sum()) if cells.any() else 0.0


@dataclass(frozen=True)
class Sampling:
    """How the tissue is divided for intervals.

    Parameters
    ----------
    blocks : BlockTallies
    inflation : float
        How many times neighboring blocks that are alike raise the variance, at least 1.
    weights : ndarray of shape (1000, n), dtype uint8, or None
        How often each block is drawn in each resample; None below 20 effective blocks.
    """

    blocks: BlockTallies
    inflation: float
    weights: NDArray[np.uint8] | None

    @property
    def effective(self) -> float:
        """Effective number of independent blocks."""
        return self.blocks.count / self.inflation


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a score.

    Parameters
    ----------
    low, high : float
    method : str
    """

    low: float
    high: float
    method: str


def sampling(fine: BlockTallies, *, seed: int = 0) -> Sampling:
    """Divide tissue into blocks and draw the resamples.

    Parameters
    ----------
    fine : BlockTallies
        On squares of a quarter of a block's side.
    seed : int

    Returns
    -------
    Sampling

    Notes
    -----
    Blocks are halved, at most twice, until there are about four. The inflation is 1 plus the correlation of
    the residuals of the H-score (levels minus mean level times cells) between touching blocks, summed over them and
    corrected for residuals adding up to zero. A resample draws fewer blocks than there are, so many that its spread is
    what the inflation and Student's t ask for: the interval is then the plain 2.5 and 97.5 % quantiles of the resampled
    scores.

    References
    ----------
    .. [1] Hall, Horowitz & Jing, Biometrika 82(3), 561-574, 1995 (block bootstrap).
    .. [2] Hesterberg, Am. Stat. 69(4), 371-386, 2015 (resamples too narrow by t and n - 1).
    """
    blocks = fine
    for halving in range(HALVINGS + 1):
        blocks = fine.coarser(2 ** (HALVINGS - halving))
        if blocks.count >= FEWEST_BLOCKS:
            break
    inflation = _inflation(blocks)
    effective = blocks.count / inflation
    if effective < ENOUGH_BLOCKS:
        return Sampling(blocks, inflation, None)
    draws = max(1, round(len(blocks.at) / _widening(inflation, effective)))
    chance = np.random.default_rng(seed)
    even = np.full(len(blocks.at), 1 / len(blocks.at))
    weights = chance.multinomial(draws, even, RESAMPLES)
    return Sampling(blocks, inflation, weights.astype(np.uint8))


_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)


def _widening(inflation: float, effective: float) -> float:
    """Compute the variance inflation, by which fewer blocks are drawn: neighbors are alike, and few blocks say less."""
    return inflation * effective / (effective - 1) * (two_sided_t(effective - 1, LEVEL) / _Z) ** 2


def _residuals(blocks: BlockTallies) -> Values:
    """What each block has more than the mean of all, in levels; of membranes, where no cell is classed."""
    each = Tallies(blocks.values)
    levels, cells = each.levels, each.cells
    if not cells.any():
        levels, cells = each["membrane_complete"] + 2 * each["membrane_intense"], each.membranes
    return np.asarray(levels - levels.sum() / max(cells.sum(), 1) * cells)


def _inflation(blocks: BlockTallies) -> float:
    residuals, n = _residuals(blocks), len(blocks.at)
    spread = float((residuals**2).sum())
    if n < 3 or spread == 0:
        return 1.0
    one, other = touching(blocks.at)
    alike = float((residuals[one] * residuals[other]).sum())
    return max(1.0, 1 + 2 * alike / spread + 2 * len(one) / n / (n - 1))


def _numbered(at: NDArray[np.int64]) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
    """Number squares row by row, with room for a neighbor beside each: lowest row and column, width, numbers."""
    if not len(at):
        return np.zeros(2, np.int64), 1, np.zeros(0, np.int64)
    low, width = at.min(axis=0), int(np.ptp(at[:, 1])) + 3
    return low, width, (at[:, 0] - low[0]) * width + at[:, 1] - low[1]


def touching(at: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the pairs of blocks that share a side or a corner.

    Parameters
    ----------
    at : ndarray of shape (n, 2)
        Row and column of each; different.

    Returns
    -------
    ndarray of shape (2, m)
        Places in `at`; each pair once.

    Examples
    --------
    >>> touching(np.array([[0, 0], [4, 4], [1, 1]]))
    array([[0],
           [2]])
    """
    if not len(at):
        return np.zeros((2, 0), np.intp)
    _, width, key = _numbered(at)
    order = np.argsort(key)
    pairs = []
    for row, column in STEPS:
        wanted = key + row * width + column
        other = order[np.minimum(np.searchsorted(key, wanted, sorter=order), len(at) - 1)]
        one = np.flatnonzero(key[other] == wanted)
        pairs.append(np.stack([one, other[one]]))
    return np.concatenate(pairs, axis=1)


def interval(score: Score, sample: Sampling) -> Interval | None:
    """Compute the 95 % interval of a score.

    Parameters
    ----------
    score : Score
    sample : Sampling

    Returns
    -------
    Interval or None
        None without cells, and where a step-wise score or one without upper end has too few blocks.

    Notes
    -----
    From 20 effective blocks on, the quantiles of the resampled scores. With fewer, a score that is a ratio of sums gets
    Student's t, with one degree of freedom less than there are effective blocks, on the logit of score / highest; the
    standard error is that of a ratio over blocks. Step-wise scores are resampled all the same, with as few draws as t
    asks for. Where all blocks are alike (all negative, all positive) or there is one, Wilson's interval with the number
    of cells divided by 1 + 0.1 x (cells of a block - 1); blocks that differ but weigh less than one and a half have the
    wider end of both. Step-wise scores are then the lowest and highest that come
    of the ends of Wilson's interval of each class's share, one at a time.
    """
    value = float(score.of(sample.blocks.total))
    if np.isnan(value):
        return None
    if not score.smooth:
        return _of_steps(score, value, sample)
    if sample.weights is not None:
        low, high = _resampled(score, sample.blocks, sample.weights)
        return Interval(low, high, BOOTSTRAP) if high > low else _wilson(score, value, sample)
    error = _standard_error(score, sample)
    if error == 0:
        return _wilson(score, value, sample)
    t = two_sided_t(max(sample.effective - 1, FEWEST_FREEDOM), LEVEL)
    lone = sample.effective < 1 + FEWEST_FREEDOM
    if not np.isfinite(score.highest):
        return None if lone else Interval(value - t * error, value + t * error, FEW)
    share = value / score.highest
    if not 0 < share < 1:
        return _wilson(score, value, sample)
    logit, width = np.log(share / (1 - share)), t * error / score.highest / (share * (1 - share))
    low, high = (score.highest / (1 + np.exp(-np.clip(logit + sign * width, -700, 700))) for sign in (-1, 1))
    if lone:
        least, most = _wilson_ends(share, _assumed_cells(score, sample))
        low, high = min(low, score.highest * least), max(high, score.highest * most)
    return Interval(float(low), float(high), FEW)


def _resampled(score: Score, blocks: BlockTallies, weights: NDArray[np.uint8]) -> tuple[float, float]:
    drawn = score.of(Tallies(weights.astype(np.float64) @ blocks.values))
    if score.smooth:
        low, high = np.nanquantile(drawn, TAILS)
    else:  # no score lies between two steps, and with very few draws none need be that of the whole
        value = float(score.of(blocks.total))
        low = min(np.nanquantile(drawn, TAILS[0], method="lower"), value)
        high = max(np.nanquantile(drawn, TAILS[1], method="higher"), value)
    return float(low), float(high)


def _of_steps(score: Score, value: float, sample: Sampling) -> Interval | None:
    n = len(sample.blocks.at)
    if n < 2 or sample.effective <= 1:
        return None
    columns = [TALLIES.index(name) for name in (PATTERNS if score.of_membranes else CLASS_COUNTS)]
    counts = sample.blocks.values[:, columns]
    shares = counts[counts.any(axis=1)]
    shares /= shares.sum(axis=1, keepdims=True)
    if not np.ptp(shares, axis=0).any():
        mixtures = _mixtures(shares[0], _assumed_cells(score, sample))
        values = np.zeros((len(mixtures), len(TALLIES)))
        values[:, columns] = mixtures
        found = [value, *score.of(Tallies(values)).tolist()]
        return Interval(min(found), max(found), ALIKE)
    if sample.weights is not None:
        return Interval(*_resampled(score, sample.blocks, sample.weights), BOOTSTRAP)
    draws = max(1, round(n / _widening(sample.inflation, sample.effective)))
    weights = np.random.default_rng(0).multinomial(draws, np.full(n, 1 / n), RESAMPLES)
    return Interval(*_resampled(score, sample.blocks, weights.astype(np.uint8)), f"{BOOTSTRAP} of few blocks")


def _mixtures(shares: Values, n: float) -> Values:
    """Move each share to the ends of its interval; the others keep their proportions."""
    moved = []
    for k in np.flatnonzero(shares < 1):
        for end in _wilson_ends(float(shares[k]), n):
            mixture = shares * (1 - end) / (1 - shares[k])
            mixture[k] = end
            moved.append(mixture)
    return np.array(moved)


def _standard_error(score: Score, sample: Sampling) -> float:
    """Standard error of a ratio of sums over blocks, from what each block changes when it is left out; 0 if nothing."""
    values, effective = sample.blocks.values, max(sample.effective, 1 + FEWEST_FREEDOM)
    if len(values) < 2:
        return 0.0
    step = 1e-4
    total = values.sum(axis=0)
    change = (score.of(Tallies(total + step * values)) - float(score.of(Tallies(total)))) / step
    change = change - change.mean()
    error = float(np.sqrt((change**2).sum() * effective / (effective - 1) * sample.inflation))
    return error if error > NO_ERROR * abs(float(score.of(Tallies(total)))) else 0.0


def _wilson(score: Score, value: float, sample: Sampling) -> Interval | None:
    if not np.isfinite(score.highest):
        return None
    low, high = _wilson_ends(value / score.highest, _assumed_cells(score, sample))
    return Interval(min(score.highest * low, value), max(score.highest * high, value), ALIKE)


def _assumed_cells(score: Score, sample: Sampling) -> float:
    """How many independent cells there are, if those of a block are as alike as assumed."""
    cells = float(score.cells(sample.blocks.total))
    mean = cells / max(sample.blocks.count, 1)
    return cells / (1 + max(0.0, mean - 1) * ASSUMED_CORRELATION)


def _wilson_ends(share: float, n: float) -> tuple[float, float]:
    middle = (share + _Z**2 / 2 / n) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / 4 / n**2)
    low, high = (float(np.clip(middle + sign * half, 0, 1)) for sign in (-1, 1))
    return low, high
