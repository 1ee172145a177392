"""Faults of tissue and stain that are off by default do what they say, and nothing when off."""

import dataclasses

import numpy as np
import pytest

from ihcscore.phantom import Phantom, load_parameters, render
from ihcscore.phantom.fields import Grid
from ihcscore.phantom.folds import doubled, folds

BASE = dataclasses.replace(load_parameters("nuclear"), size_px=(256, 256), glass_share=(0.2, 0.2))


def tile(seed: int = 5, **knobs: float) -> Phantom:
    return render(dataclasses.replace(BASE, **{key: (value, value) for key, value in knobs.items()}), seed)


def positive_od(phantom: Phantom) -> float:
    od = phantom.table["nucleus_dab_od"]
    return float(od[phantom.table["level"] > 0.2].mean())


def test_holes_take_dab_away_and_raggedness_moves_it() -> None:
    plain, holed, ragged = tile(), tile(hole_share=0.4), tile(ragged_um=1.0)
    assert positive_od(holed) < 0.85 * positive_od(plain)
    assert 0.6 * positive_od(plain) < positive_od(ragged) < positive_od(plain)
    np.testing.assert_array_equal(plain.nuclei, holed.nuclei)
    np.testing.assert_array_equal(plain.nuclei, ragged.nuclei)


def test_edges_of_the_tissue_are_stained() -> None:
    plain, rimmed = tile(), tile(edge_dab_od=1.0, edge_um=2.0)
    darker = rimmed.rgb.astype(int).sum(axis=-1) < plain.rgb.astype(int).sum(axis=-1) - 60
    assert 0.005 < darker.mean() < 0.2


def test_stroma_takes_unspecific_dab() -> None:
    plain, brown = tile(stroma_share=0.6), tile(stroma_share=0.6, stroma_dab_od=0.5)
    stroma = plain.table["kind"] == "stroma"
    gained = brown.table["nucleus_dab_od"] - plain.table["nucleus_dab_od"]
    assert gained[stroma].mean() > 0.1
    assert gained[plain.table["kind"] == "tumor"].mean() < 0.05


def test_folds_lie_double_and_leave_the_truth() -> None:
    plain, folded = tile(), tile(folds_per_mm2=200)
    darker = folded.rgb.astype(int).sum(axis=-1) < plain.rgb.astype(int).sum(axis=-1) - 30
    assert 0.02 < darker.mean() < 0.9
    for name, values in plain.table.items():
        np.testing.assert_array_equal(values, folded.table[name])


def test_no_fold_changes_nothing() -> None:
    stain = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    none = folds(np.random.default_rng(0), Grid(5, 7, 0.5), {"folds_per_mm2": 0.0})
    assert not none.any()
    assert doubled(stain, none, (1, 2)) is stain


@pytest.mark.parametrize("gamma", [0.8, 1.2])
def test_a_tone_curve_scales_optical_density(gamma: float) -> None:
    knobs = {"noise_grey": 0, "jpeg_quality": 0, "sharpen": 0, "background": 240, "tint": 0, "stray_light": 0}
    plain, curved = tile(**knobs), tile(**knobs, gamma=gamma)
    od = [-np.log10(np.clip(p.rgb / 240.0, 1 / 240, 1)) for p in (plain, curved)]
    dark = (od[0] > 0.2) & (od[0] < 0.8)
    assert np.median(od[1][dark] / od[0][dark]) == pytest.approx(gamma, rel=0.02)  # gray levels are whole numbers


@pytest.mark.parametrize("marker", ["nuclear", "negative"])
def test_macrophages_are_full_of_granules_whatever_the_marker(marker: str) -> None:
    knobs = {"stroma_share": (0.6, 0.6), "macrophage_share": (0.3, 0.3), "glass_share": (0, 0), "size_px": (400, 400)}
    table = render(dataclasses.replace(BASE, marker=marker, **knobs), 3).table
    full = table["kind"] == "macrophage"
    assert 5 < full.sum() < 0.5 * len(full)
    np.testing.assert_array_equal(table["level"][full], 0)  # they do not express it
    od = table["nucleus_dab_od"]
    assert od[full].min() >= 0.15
    assert od[full].max() <= 1.6
    if marker == "negative":
        assert od[~full].max() < 0.1
    assert np.median(table["nucleus_px"][full]) > 1.5 * np.median(table["nucleus_px"][~full])
