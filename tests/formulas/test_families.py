"""Every cut point of every score, on both sides and exactly on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.errors import UnknownName
from ihcscore.formulas import her2 as her2_module
from ihcscore.formulas import irs as irs_module
from ihcscore.formulas.allred import allred
from ihcscore.formulas.allred import category as allred_category
from ihcscore.formulas.her2 import her2
from ihcscore.formulas.irs import irs
from ihcscore.formulas.ki67 import ki67
from ihcscore.formulas.outcome import Unscorable
from ihcscore.formulas.pixels import pixel_h_score
from ihcscore.formulas.quick import quick_score
from ihcscore.formulas.receptors import er_category, pr_category
from ihcscore.formulas.registry import SCORES, score_named
from ihcscore.formulas.tallies import TALLIES, Tallies
from ihcscore.formulas.tps import category as tps_category
from ihcscore.formulas.tps import tps

COUNTS = st.tuples(*[st.integers(0, 400)] * 4)


def weak(positive, cells):
    """Give cells of which some are weakly positive."""
    return cells - positive, positive, 0, 0


@pytest.mark.parametrize(
    ("positive", "cells", "harvey", "qupath"),
    [
        (0, 1000, 0, 0),
        (1, 1000, 1, 1),
        (9, 1000, 1, 1),
        (10, 1000, 2, 2),
        (11, 1000, 2, 2),
        (99, 1000, 2, 2),
        (100, 1000, 2, 3),
        (101, 1000, 3, 3),
        (332, 999, 3, 3),
        (333, 999, 3, 4),
        (334, 999, 4, 4),
        (665, 999, 4, 4),
        (666, 999, 5, 5),
        (667, 999, 5, 5),
        (1000, 1000, 5, 5),
    ],
)
def test_allred_proportions(positive, cells, harvey, qupath):
    intensity = 1 if positive else 0
    assert allred(*weak(positive, cells)) == harvey + intensity
    assert allred(*weak(positive, cells), proportions="qupath") == qupath + intensity


@pytest.mark.parametrize(
    ("counts", "intensity"),
    [
        ((0, 3, 0, 0), 1),
        ((0, 4, 0, 2), 1),  # mean 5/3 exactly
        ((0, 1, 2, 0), 1),
        ((0, 33, 67, 0), 2),
        ((0, 0, 2, 1), 2),  # mean 7/3 exactly
        ((0, 0, 66, 34), 3),
        ((0, 0, 0, 1), 3),
    ],
)
def test_intensity_is_the_mean_class_of_the_positives(counts, intensity):
    assert allred(*counts) == 5 + intensity
    assert irs(*counts) == 4 * intensity


def test_allred_as_qupath_computes_its_examples():
    assert allred(25, 25, 25, 25) == 7
    assert allred(100, 0, 0, 0) == 0
    assert allred(100, 0, 0, 1) == 4
    assert [allred_category(score) for score in (0, 2, 3, 8)] == ["negative", "negative", "positive", "positive"]


@pytest.mark.parametrize(
    ("positive", "remmele", "quartiles"),
    [
        (0, 0, 0),
        (1, 1, 1),
        (99, 1, 1),
        (100, 2, 1),
        (101, 2, 1),
        (249, 2, 1),
        (250, 2, 1),
        (251, 2, 2),
        (500, 2, 2),
        (501, 3, 3),
        (750, 3, 3),
        (751, 3, 4),
        (800, 3, 4),
        (801, 4, 4),
        (1000, 4, 4),
    ],
)
def test_irs_proportions(positive, remmele, quartiles):
    assert irs(*weak(positive, 1000)) == remmele
    assert irs(*weak(positive, 1000), proportions="quartiles") == quartiles


def test_irs_categories():
    names = {
        0: "negative",
        2: "negative",
        3: "weak",
        4: "weak",
        6: "moderate",
        8: "moderate",
        9: "strong",
        12: "strong",
    }
    assert {score: irs_module.category(score) for score in names} == names


@pytest.mark.parametrize(
    ("positive", "step"),
    [
        (1, 1),
        (49, 1),
        (50, 2),
        (199, 2),
        (200, 3),
        (399, 3),
        (400, 4),
        (599, 4),
        (600, 5),
        (799, 5),
        (800, 6),
        (1000, 6),
    ],
)
def test_quick_score_by_product(positive, step):
    assert quick_score(*weak(positive, 1000), "0-18") == step
    assert quick_score(1000 - positive, 0, 0, positive, "0-18") == 3 * step


def test_quick_score_needs_its_variant():
    assert quick_score(25, 25, 25, 25, "0-8") == allred(25, 25, 25, 25)
    with pytest.raises(ValueError, match="0-8 or 0-18"):
        quick_score(1, 1, 1, 1, "quick")
    with pytest.raises(UnknownName, match="quick_0_18"):
        score_named("quick")


@pytest.mark.parametrize(
    ("cells", "score"),
    [
        ((1000, 0, 0, 0, 0), 0),
        ((900, 100, 0, 0, 0), 0),
        ((899, 101, 0, 0, 0), 1),
        ((0, 1000, 0, 0, 0), 1),
        ((0, 900, 100, 0, 0), 1),
        ((0, 899, 101, 0, 0), 2),
        ((900, 0, 100, 0, 0), 0),
        ((899, 0, 101, 0, 0), 2),
        ((991, 0, 0, 9, 0), 0),
        ((990, 0, 0, 10, 0), 2),
        ((900, 0, 0, 100, 0), 2),
        ((899, 0, 0, 101, 0), 3),
        ((0, 0, 899, 101, 0), 3),
        ((0, 899, 91, 10, 0), 2),
        ((500, 0, 0, 0, 500), 1),
    ],
)
def test_her2(cells, score):
    assert her2(*cells) == score


def test_her2_names_what_the_number_hides():
    shares = {"membrane_none": 0.95, "membrane_faint": 0.05}
    assert her2_module.category(0, {}) == "0"
    assert her2_module.category(0, {"membrane_none": 0.995, "membrane_faint": 0.005}) == "0"
    for cells in range(100, 1001, 100):  # exactly 1 %, of whatever patterns
        counts = {"membrane_none": 99 * cells // 100, "membrane_faint": cells // 100 - 1, "membrane_other": 1}
        assert her2_module.category(0, {name: count / cells for name, count in counts.items()}) == "0"
    for name in ("membrane_complete", "membrane_other"):
        assert her2_module.category(0, {"membrane_none": 0.91, name: 0.09}) == "0 (ultralow)"
    assert her2_module.category(0, shares) == "0 (ultralow)"
    assert her2_module.category(1, shares).endswith("(HER2-low)")
    assert "ISH" in her2_module.category(2, shares)
    assert her2_module.category(3, shares) == "3+"


def test_receptors_and_proportions():
    assert [er_category(p) for p in (0, 0.999, 1, 10, 10.001)] == [
        "negative",
        "negative",
        "low positive",
        "low positive",
        "positive",
    ]
    assert [pr_category(p) for p in (0.999, 1, 100)] == ["negative", "positive", "positive"]
    assert [tps_category(p) for p in (0.999, 1, 49.999, 50)] == ["< 1 %", "1-49 %", "1-49 %", ">= 50 %"]


@pytest.mark.parametrize(("score", "least"), [(tps, 100), (ki67, 500)])
def test_a_minimum_of_cells(score, least):
    assert score(least - 1, 1, 0, 0) == 100 / least
    assert score(least - 2, 1, 0, 0) == Unscorable(f"{least - 1} cells, at least {least} are needed")


def test_pixels_on_a_threshold_are_in_the_higher_class():
    assert pixel_h_score([0.19, 0.2, 0.4, 0.6], (0.2, 0.4, 0.6)) == 150
    assert pixel_h_score([], (0.2, 0.4, 0.6)) == Unscorable("no pixels of tissue")
    with pytest.raises(ValueError, match="NaN"):
        pixel_h_score([np.nan], (0.2, 0.4, 0.6))


SMALL = [score for score in SCORES.values() if not score.of_membranes]


@pytest.mark.parametrize("score", SMALL, ids=lambda score: score.name)
@given(COUNTS)
def test_every_score_is_bounded_and_scales_with_nothing(score, counts):
    one, many = Tallies.of_counts(*counts), Tallies.of_counts(*(7 * n for n in counts))
    value = float(score.of(one))
    if sum(counts) == 0:
        assert np.isnan(value)
    else:
        assert 0 <= value <= score.highest
        assert float(score.of(many)) == pytest.approx(value)


@pytest.mark.parametrize("score", [*SCORES.values()], ids=lambda score: score.name)
def test_many_sets_at_once_score_as_each_alone(score):
    chance = np.random.default_rng(0)
    values = chance.integers(0, 50, (30, len(TALLIES))).astype(float)
    values[0] = 0
    together = score.of(Tallies(values))
    alone = [float(score.of(Tallies(row))) for row in values]
    np.testing.assert_array_equal(together, alone)
    assert score.source


def test_impossible_counts_are_refused():
    for score in (allred, irs, tps, ki67):
        with pytest.raises(ValueError, match="negative"):
            score(-1, 0, 0, 0)
    with pytest.raises(ValueError, match="negative"):
        her2(1, -1, 0, 0)
