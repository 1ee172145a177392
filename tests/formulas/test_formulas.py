import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.formulas.atm import atm
from ihcscore.formulas.counts import ClassCounts
from ihcscore.formulas.hscore import h_score
from ihcscore.formulas.outcome import Unscorable
from ihcscore.formulas.percent import percent_positive
from ihcscore.formulas.registry import SCORES
from ihcscore.table.schema import SCORED_COLUMNS

COUNTS = st.tuples(*[st.integers(0, 1000)] * 4)


@pytest.mark.parametrize(
    ("counts", "h", "percent"),
    [
        ((25, 25, 25, 25), 150, 75),
        ((50, 10, 10, 30), 120, 50),
        ((75, 35, 35, 55), 135, 62.5),
        ((100, 0, 0, 0), 0, 0),
        ((0, 0, 0, 7), 300, 100),
        ((100, 0, 0, 1), 300 / 101, 100 / 101),
    ],
)
def test_scores_are_those_of_qupath(counts, h, percent):
    assert h_score(*counts) == pytest.approx(h, rel=1e-12)
    assert percent_positive(*counts) == pytest.approx(percent, rel=1e-12)


def test_pooled_cells_score_as_qupath_pools_them():
    pooled = [sum(counts) for counts in zip((25, 25, 25, 25), (50, 10, 10, 30), strict=True)]
    assert h_score(*pooled) == 135


def test_counts_add_up():
    assert (ClassCounts(4, 3, 2, 1).positive, ClassCounts(4, 3, 2, 1).cells) == (6, 10)


@given(COUNTS.filter(lambda c: sum(c) > 0))
def test_h_is_bounded_and_depends_on_proportions_only(counts):
    h = h_score(*counts)
    assert 0 <= h <= 300
    assert h_score(*(3 * c for c in counts)) == pytest.approx(h)


@given(COUNTS.filter(lambda c: sum(c) > 0), st.integers(0, 2))
def test_moving_a_cell_up_never_lowers_h(counts, level):
    if counts[level] == 0:
        return
    moved = list(counts)
    moved[level] -= 1
    moved[level + 1] += 1
    assert h_score(*moved) > h_score(*counts)


@pytest.mark.parametrize("score", [h_score, percent_positive])
def test_no_cells_is_unscorable(score):
    assert score(0, 0, 0, 0) == Unscorable("no scored cells")


@pytest.mark.parametrize("score", [h_score, percent_positive])
def test_negative_counts_are_a_mistake(score):
    with pytest.raises(ValueError, match="negative"):
        score(1, -1, 0, 0)


@given(st.lists(st.floats(-0.5, 3), min_size=1, max_size=50))
def test_atm_is_the_average_over_thresholds(od):
    steps = (np.arange(3000) + 0.5) / 3000 * 1.5
    slow = np.mean([(np.array(od) > t).mean() for t in steps])
    assert atm(od, 1.5) == pytest.approx(slow, abs=1e-3)


def test_atm_of_three_thresholds_would_be_the_h_score():
    od = np.array([0.1, 0.3, 0.5, 0.7])
    at_thresholds = np.mean([(od >= t).mean() for t in (0.2, 0.4, 0.6)])
    assert at_thresholds == h_score(1, 1, 1, 1) / 300


def test_atm_refuses_what_it_cannot_mean():
    with pytest.raises(ValueError, match="max_od"):
        atm([0.1], 0)
    with pytest.raises(ValueError, match="NaN"):
        atm([np.nan], 1)
    assert atm([], 1) == Unscorable("no scored cells")


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_a_score_says_what_it_is_and_needs(score):
    known = {column.name for column in SCORED_COLUMNS}
    assert set(score.columns) <= known
    assert score.definition
    assert score.source
    assert bool(score.categories) == (score.category is not None)
