"""Measurements against a slow and obvious reference."""

import numpy as np
import pytest
from conftest import discs

from ihcscore.cells.compartments import CYTOPLASM, EDGE, MEMBRANE, NUCLEUS, expand, partition
from ihcscore.cells.contours import trace
from ihcscore.cells.label_runs import LabelRuns
from ihcscore.cells.measurement import CellPixels, measure_shapes, measure_stains
from ihcscore.stains.density import optical_density
from ihcscore.stains.unmix import unmix
from ihcscore.stains.vectors import StainMatrix
from ihcscore.table.schema import COMPARTMENTS, STAINS

PARTS = {
    "Nucleus": (NUCLEUS,),
    "Cytoplasm": (CYTOPLASM,),
    "Membrane": (MEMBRANE,),
    "Cell": (NUCLEUS, CYTOPLASM, MEMBRANE, EDGE),
}


@pytest.fixture(scope="module")
def scene():
    places = [(20, 20), (35, 22), (60, 50), (90, 10), (100, 70), (98, 84)]
    rgb, nuclei = discs((90, 110), places, 8, 0.4, (0.1, 0.3, 0.5, 0.9, 0.0, 1.6))
    noise = np.random.default_rng(0).integers(-6, 7, rgb.shape)
    rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    cells = expand(nuclei, 4, 0.5)
    part = partition(nuclei, cells, 0.5, membrane_um=1, nucleus_edge_um=1, cytoplasm_edge_um=0.5)
    od = optical_density(rgb, 240, clip=False)
    pixels = CellPixels(rgb, LabelRuns.of(cells, len(places)), part)
    columns = measure_stains(pixels, sizes(nuclei, len(places)), (240, 240, 240), StainMatrix(), 0.5)
    return nuclei, cells, part, od, unmix(od), columns


def sizes(nuclei, count):
    return np.bincount(nuclei.ravel(), minlength=count + 1)[1:]


def masks(scene):
    _, cells, part, *_ = scene
    for label in range(1, 7):
        for name, codes in PARTS.items():
            yield label, name, (cells == label) & np.isin(part, codes)


def test_means_spreads_and_extremes_are_exact(scene):
    _, _, _, od, stains, columns = scene
    for label, name, mask in masks(scene):
        for number, stain in enumerate(STAINS):
            values = stains[mask][:, number].astype(np.float64)
            for statistic, expected in (
                ("mean", values.mean()),
                ("std dev", values.std()),
                ("min", values.min()),
                ("max", values.max()),
            ):
                found = columns[f"{name}: {stain} OD {statistic}"][label - 1]
                assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
        for channel, title in enumerate(("Red", "Green", "Blue")):
            assert columns[f"{name}: {title} OD mean"][label - 1] == pytest.approx(
                od[mask][:, channel].mean(), rel=1e-5, abs=1e-6
            )


def test_quantiles_are_exact_to_a_bin(scene):
    *_, stains, columns = scene
    for label, name, mask in masks(scene):
        for number, stain in enumerate(STAINS):
            for statistic, share in (("p10", 0.1), ("median", 0.5), ("p90", 0.9)):
                values = stains[mask][:, number]
                low, high = np.quantile(values, share, method="lower"), np.quantile(values, share, method="higher")
                found = columns[f"{name}: {stain} OD {statistic}"][label - 1]
                assert low - 0.0101 <= found <= high + 0.0101


def test_areas_and_saturation(scene):
    nuclei, cells, part, od, _, columns = scene
    for label in range(1, 7):
        own = cells == label
        assert columns["Nucleus: Area µm^2"][label - 1] == (nuclei == label).sum() * 0.25
        assert columns["Cytoplasm: Area µm^2"][label - 1] == (own & (nuclei == 0) & (part != MEMBRANE)).sum() * 0.25
        assert columns["Cytoplasm: Measured area µm^2"][label - 1] == (own & (part == CYTOPLASM)).sum() * 0.25
        assert columns["Cell: Area µm^2"][label - 1] == (cells == label).sum() * 0.25
    dark = (od >= 1.5).any(axis=2)
    assert columns["Cell: Saturated share"][5] == pytest.approx(dark[cells == 6].mean())
    assert columns["Cell: Saturated share"][5] > 0.1
    assert columns["Nucleus/Cell area ratio"][0] == pytest.approx((nuclei == 1).sum() / (cells == 1).sum())


def test_every_column_is_there_for_every_compartment(scene):
    columns = scene[5]
    for name in COMPARTMENTS:
        assert len([c for c in columns if c.startswith(f"{name}: ")]) == 2 + 2 * 7 + 3 + 1


def test_other_cells_and_what_lies_around_change_nothing(scene):
    nuclei, cells, part, od, _, columns = scene
    rgb = np.rint(240 / 10**od).astype(np.uint8)
    chosen = np.array([2, 1])
    window = (slice(3, None), slice(5, 108))
    spans = LabelRuns.of(np.ascontiguousarray(cells[window]), 6).select(chosen)
    pixels = CellPixels(rgb[window], spans, np.ascontiguousarray(part[window]))
    again = measure_stains(pixels, sizes(nuclei, 6)[chosen], (240, 240, 240), StainMatrix(), 0.5)
    assert all(np.array_equal(again[name], columns[name][chosen], equal_nan=True) for name in columns)


def test_a_missing_compartment_is_nan_with_area_zero():
    rgb, labels = np.full((4, 4, 3), 80, np.uint8), np.ones((4, 4), np.int32)
    pixels = CellPixels(rgb, LabelRuns.of(labels, 1), np.zeros((4, 4), np.uint8))
    columns = measure_stains(pixels, sizes(labels, 1), 255, StainMatrix(), 0.5)
    assert columns["Cytoplasm: Area µm^2"][0] == 0
    assert np.isnan(columns["Cytoplasm: DAB OD mean"][0])
    assert np.isnan(columns["Membrane: DAB OD median"][0])
    assert columns["Nucleus: Red OD mean"][0] == pytest.approx(np.log10(255 / 80))


def test_shapes_of_an_ellipse():
    yy, xx = np.mgrid[:80, :100] + 0.5
    labels = ((((xx - 50) / 30) ** 2 + ((yy - 40) / 15) ** 2) < 1).astype(np.int32)
    spans = LabelRuns.of(labels, 1)
    columns = measure_shapes(spans, trace(spans), 0.5)
    assert columns["Nucleus: Major axis µm"][0] == pytest.approx(30, rel=0.01)
    assert columns["Nucleus: Minor axis µm"][0] == pytest.approx(15, rel=0.01)
    # A staircase cut at 45 degrees is up to 8 % longer than the curve.
    assert columns["Nucleus: Length µm"][0] == pytest.approx(72.7, rel=0.06)
    assert columns["Nucleus: Solidity"][0] > 0.97
    assert 0.6 < columns["Nucleus: Circularity"][0] < 0.78


def test_no_cells_give_empty_columns():
    empty = np.zeros((5, 5), np.int32)
    pixels = CellPixels(np.zeros((5, 5, 3), np.uint8), LabelRuns.of(empty, 0), empty.astype(np.uint8))
    columns = measure_stains(pixels, sizes(empty, 0), 255, StainMatrix(), 0.5)
    assert all(len(values) == 0 for values in columns.values())
