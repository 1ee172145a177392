"""Intervals come from blocks of tissue, hold the truth as often as they say, and follow from what is stored."""

import dataclasses

import numpy as np
import pytest
from benchmarks import interval_coverage as coverage

from ihcscore.formulas.registry import SCORES
from ihcscore.formulas.tallies import TALLIES, Tallies
from ihcscore.results.writers.tables import read_blocks, write_blocks
from ihcscore.scoring.intervals import ALIKE, BOOTSTRAP, FEW, BlockTallies, interval, sampling, touching
from ihcscore.scoring.score_table import ScoreTable

H = SCORES["h_score"]


def blocks(counts, side=10, fine_um=62.5, seed=0):
    """Spread cells of each class over a square of blocks, evenly but for chance."""
    chance = np.random.default_rng(seed)
    at = np.argwhere(np.ones((side * 4, side * 4)))
    values = np.zeros((len(at), len(TALLIES)))
    for k, number in enumerate(counts):
        values[:, k] = chance.multinomial(number, np.full(len(at), 1 / len(at)))
    return BlockTallies(at, values, fine_um)


def test_squares_touch_at_sides_and_corners():
    chance = np.random.default_rng(0)
    for number in (1, 2, 5, 40, 80):
        at = chance.permutation(np.unique(chance.integers(-7, 7, (number, 2)), axis=0))
        near = np.abs(at[:, None] - at[None]).max(axis=2) == 1
        found = np.zeros_like(near)
        one, other = touching(at)
        found[one, other] = True
        np.testing.assert_array_equal(found | found.T, near)
        assert not (found & found.T).any()
    assert touching(np.zeros((0, 2), np.int64)).shape == (2, 0)


def test_weights_are_whole_numbers_and_quantiles_of_them_are_the_interval(tmp_path):
    sample = sampling(blocks((4000, 2000, 1000, 1000)))
    found = interval(H, sample)
    assert found.method == BOOTSTRAP
    write_blocks(tmp_path / "blocks.parquet", {("image", "all"): sample})
    again = read_blocks(str(tmp_path / "blocks.parquet"))["image", "all"]
    assert again.weights.dtype == np.uint8
    drawn = again.weights.astype(float) @ again.blocks.values
    scores = 100 * (drawn[:, 1] + 2 * drawn[:, 2] + 3 * drawn[:, 3]) / drawn[:, :4].sum(axis=1)
    np.testing.assert_allclose(np.quantile(scores, [0.025, 0.975]), [found.low, found.high], rtol=1e-12)
    assert interval(H, again) == found


def test_the_same_tallies_give_the_same_interval_in_any_order():
    tallies = blocks((4000, 2000, 1000, 1000))
    order = np.random.default_rng(1).permutation(len(tallies.at))
    shuffled = BlockTallies(tallies.at[order], tallies.values[order], tallies.side_um)
    assert interval(H, sampling(tallies)) == interval(H, sampling(shuffled))


def test_cells_without_pattern_have_about_the_binomial_interval():
    """Where cells are independent, blocks cost little: the widths agree within a third."""
    counts = (4000, 2000, 1000, 1000)
    found = interval(H, sampling(blocks(counts)))
    levels = np.repeat([0, 1, 2, 3], counts)
    binomial = 2 * 1.96 * 100 * levels.std() / np.sqrt(len(levels))
    assert binomial * 0.75 < found.high - found.low < binomial * 1.35


def test_fewer_blocks_are_wider_and_of_another_method():
    widths = []
    for side in (8, 4, 2):
        each = []
        for seed in range(20):
            sample = sampling(blocks((2000, 1000, 500, 500), side, seed=seed))
            found = interval(H, sample)
            each.append(found.high - found.low)
            assert found.method == (BOOTSTRAP if sample.effective >= 20 else FEW)
        widths.append(np.mean(each))
    assert widths == sorted(widths)


def test_blocks_are_halved_until_there_are_four():
    assert sampling(blocks((900, 50, 50, 0), 3)).blocks.side_um == 250
    assert sampling(blocks((900, 50, 50, 0), 1)).blocks.side_um == 125


@pytest.mark.parametrize("counts", [(500, 0, 0, 0), (0, 0, 0, 500)])
def test_all_alike_has_an_interval_that_says_how(counts):
    found = interval(H, sampling(blocks(counts)))
    assert found.method == ALIKE
    assert found.high - found.low > 1
    assert found.low == 0 or found.high == 300


@pytest.mark.parametrize("side", [4, 10])
@pytest.mark.parametrize(
    ("name", "column", "value", "low", "high"),
    [
        ("allred", 0, 0, 0, 5),  # nearly a tenth could be positive, and strong
        ("irs", 0, 0, 0, 3),
        ("allred", 3, 8, 8, 8),  # nine tenths are enough for it
        ("allred", 1, 6, 6, 6),
        ("irs", 3, 12, 12, 12),
        ("her2", 6, 0, 0, 2),
        ("her2", 9, 3, 3, 3),
    ],
)
def test_steps_of_blocks_that_are_alike_are_those_of_wilsons_ends(side, name, column, value, low, high):
    tallies = blocks((500, 0, 0, 0), side)
    tallies.values[:, [0, column]] = tallies.values[:, [column, 0]]
    sample, score = sampling(tallies), SCORES[name]
    found = interval(score, sample)
    assert score.of(sample.blocks.total) == value
    assert (found.low, found.high, found.method) == (low, high, ALIKE)
    share = interval(SCORES["percent_positive"], sample)
    if name == "allred" and column == 0:
        assert score.of(Tallies.of_counts(100 - share.high, 0, 0, share.high)) == high


def test_steps_of_few_cells_that_are_alike_are_not_sure():
    values = np.zeros((16, len(TALLIES)))
    values[:, 3] = 1
    tallies = BlockTallies(np.argwhere(np.ones((4, 4))), values, 62.5)
    found = interval(SCORES["irs"], sampling(tallies))
    assert found.low < 12 == found.high


def test_one_block_has_an_interval_that_says_how():
    values = np.zeros((1, len(TALLIES)))
    values[0, :4] = (50, 10, 10, 30)
    found = interval(H, sampling(BlockTallies(np.array([[3, 5]]), values, 62.5)))
    assert found.method == ALIKE
    assert 0 < found.low < 120 < found.high < 300


def test_no_cells_no_interval():
    assert interval(H, sampling(BlockTallies(np.zeros((0, 2), int), np.zeros((0, len(TALLIES))), 62.5))) is None


@pytest.mark.parametrize("name", SCORES)
def test_every_score_lies_in_its_interval(name):
    tallies = blocks((400, 200, 100, 100), 4)
    tallies.values[:, 4] = tallies.values[:, 1:4] @ [0.3, 0.5, 0.8]
    tallies.values[:, 5] = tallies.values[:, 4] / 1.5
    tallies.values[:, 6:10] = tallies.values[:, :4]
    for side in (4, 8):
        sample = sampling(dataclasses.replace(tallies) if side == 4 else blocks((4000, 2000, 1000, 1000), 8))
        if side == 8:
            sample.blocks.values[:, 4:] = 1
        found = interval(SCORES[name], sample)
        value = float(SCORES[name].of(sample.blocks.total))
        assert found.low <= value <= found.high


def of_classes(*counts, apart=8):
    """Blocks beside each other or apart, with so many cells of each class."""
    values = np.zeros((len(counts), len(TALLIES)))
    values[:, :4] = counts
    return BlockTallies(np.array([(0, apart * k) for k in range(len(counts))]), values, 62.5)


@pytest.mark.parametrize("name", ["allred", "irs", "quick_0_18"])
def test_a_score_by_steps_of_few_blocks_lies_in_its_interval(name):
    sample = sampling(of_classes((1, 99, 0, 0), (0, 100, 0, 0), (85, 0, 0, 15), (86, 0, 0, 14)))
    found = interval(SCORES[name], sample)
    assert found.low <= float(SCORES[name].of(sample.blocks.total)) <= found.high


def test_ends_of_a_score_by_steps_are_steps():
    chance = np.random.default_rng(3)
    for number in (5, 9, 30):
        sample = sampling(of_classes(*chance.integers(0, 60, (number, 4))))
        found = interval(SCORES["allred"], sample)
        assert {found.low, found.high} <= {0.0, *map(float, range(2, 9))}


def test_blocks_that_differ_are_not_taken_for_alike_however_few_they_are():
    for positive, negative in ((400, 60), (400, 95), (400, 110)):
        found = interval(H, sampling(of_classes((0, 0, 0, positive), (negative, 0, 0, 0), apart=4)))
        assert found.method == FEW
        assert found.high - found.low > 290
    hardly = sampling(of_classes((400, 0, 0, 3), (3, 0, 0, 0)))
    alone = sampling(of_classes((403, 0, 0, 3)))
    assert interval(H, hardly).high > 0.9 * interval(H, alone).high
    assert interval(SCORES["mean_dab_od"], hardly) is None
    alike = interval(H, sampling(of_classes((20, 0, 0, 20), (40, 0, 0, 40))))
    assert alike.method == ALIKE


def test_neighbors_that_are_alike_widen_the_interval():
    tallies = blocks((4000, 0, 0, 4000), 10)
    mixed = sampling(tallies)
    half = tallies.at[:, 1] < 20
    split = tallies.values.copy()
    cells = split[:, :4].sum(axis=1)
    split[:, :4] = 0
    split[half, 0], split[~half, 3] = cells[half], cells[~half]
    parted = sampling(BlockTallies(tallies.at, split, tallies.side_um))
    assert mixed.inflation < 1.5 < parted.inflation
    wide, narrow = interval(H, parted), interval(H, mixed)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


@pytest.mark.parametrize("side", [1500, 600])
def test_coverage_on_patchy_tissue(side):
    """The benchmark in small: 95 % are meant, binomial over cells fails."""
    chance, mean = np.random.default_rng(3), 0.4
    truth, held, naive = coverage.true_h(mean), [], []
    for cells in coverage.tables(chance, side, 50, mean, 100):
        table = ScoreTable(coverage.ASSAY)
        table.add(cells)
        (row,) = table.rows()
        score = row.scores["h_score"]
        held.append(score.low <= truth <= score.high)
        low, high = coverage.binomial(row)
        naive.append(low <= truth <= high)
    assert np.mean(held) >= 0.87  # 95 % less three and a half standard errors of 100
    assert np.mean(naive) < 0.7


def test_tallies_refuse_nothing_silently():
    with pytest.raises(ValueError, match="negative"):
        Tallies.of_counts(-1, 0, 0, 0)


def test_the_mean_density_of_unstained_tissue_lies_in_its_interval():
    tallies = blocks((400, 0, 0, 0), side=2)
    tallies.values[:, TALLIES.index("od")] = -0.01 * tallies.values[:, 0] * (1 + 0.2 * (tallies.at[:, 0] % 3))
    found = interval(SCORES["mean_dab_od"], sampling(tallies))
    value = float(SCORES["mean_dab_od"].of(tallies.total))
    assert found.method == FEW
    assert found.low < value < found.high < 0
