"""The truth of a phantom holds by construction."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from ihcscore.phantom import PRESETS, Phantom, PhantomParameters, load_parameters, render
from ihcscore.phantom.truth import COMPARTMENTS, h_score
from ihcscore.stains.density import optical_density
from ihcscore.stains.unmix import unmix

OPTICS = ("deep_share", "deep_blur_um", "blur_um", "chromatic_shift_um", "stray_light", "noise_grey", "sharpen")
OBJECTS = ("ghosts_per_mm2", "pigment_per_mm2", "debris_per_mm2", "red_cells_per_mm2", "refractile_per_mm2")
PERFECT = dict.fromkeys((*OPTICS, *OBJECTS, "jpeg_quality"), 0.0)
PLAIN = PERFECT | dict.fromkeys(("touching_share", "background_dab_od", "chromatin", "clearing"), 0.0)
# 8 bits saturate near OD 2: truth can only be read back from what is paler
PALE = {"marker_od": 0.3, "marker_spread": 0.2, "positive_share": 1}
SMALL = {"size_px": (160, 176)}


def pieces(labels: NDArray[np.int32]) -> list[int]:
    """Connected pieces (4 neighbors) of each object 1..n."""
    boxes = ndimage.find_objects(labels)
    return [ndimage.label(labels[box] == i)[1] for i, box in enumerate(boxes, start=1) if box is not None]


def preset(name: str, **changes: object) -> PhantomParameters:
    return PhantomParameters.from_dict(load_parameters(name).to_dict() | SMALL | changes)


def same(a: Phantom, b: Phantom) -> bool:
    pairs = [(a.rgb, b.rgb), (a.nuclei, b.nuclei), (a.cells, b.cells), (a.membranes, b.membranes)]
    pairs += [(a.table[key], b.table[key]) for key in a.table]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


@pytest.mark.parametrize("name", PRESETS)
def test_same_seed_gives_same_bytes_and_another_another(name: str) -> None:
    parameters = preset(name)
    assert same(render(parameters, 4), render(parameters, 4))
    assert not np.array_equal(render(parameters, 4).rgb, render(parameters, 5).rgb)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(PRESETS),
    height=st.integers(16, 120),
    width=st.integers(16, 120),
    mpp=st.sampled_from([0.25, 0.5, 1.0]),
)
def test_labels_obey_their_law(seed: int, name: str, height: int, width: int, mpp: float) -> None:
    phantom = render(preset(name, size_px=(height, width), mpp=mpp), seed)
    nuclei, cells, membranes = phantom.nuclei, phantom.cells, phantom.membranes
    n = int(nuclei.max())
    assert nuclei.shape == cells.shape == membranes.shape == (height, width) == phantom.rgb.shape[:2]
    assert phantom.rgb.dtype == np.uint8
    assert nuclei.dtype == cells.dtype == membranes.dtype == np.int32
    assert np.array_equal(np.unique(nuclei[nuclei > 0]), np.arange(1, n + 1))
    assert np.array_equal(np.unique(cells[cells > 0]), np.arange(1, n + 1))
    assert pieces(nuclei) == [1] * n == pieces(cells)
    assert np.array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
    assert np.array_equal(cells[membranes > 0], membranes[membranes > 0])
    assert not np.any((membranes > 0) & (nuclei > 0))
    assert {len(column) for column in phantom.table.values()} == {n}


def test_table_agrees_with_a_slow_reference() -> None:
    phantom = render(preset("nuclear"), 2)
    nuclei, table = phantom.nuclei, phantom.table
    framed = np.pad(nuclei, 1)
    for i in range(int(nuclei.max())):
        mask = nuclei == i + 1
        rows, columns = np.nonzero(mask)
        assert table["x_px"][i] == pytest.approx(columns.mean() + 0.5)
        assert table["y_px"][i] == pytest.approx(rows.mean() + 0.5)
        assert table["nucleus_px"][i] == mask.sum()
        edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        assert bool(table["touches_border"][i]) == edge
        around = framed[ndimage.binary_dilation(np.pad(mask, 1), np.ones((3, 3)))]
        assert bool(table["touching"][i]) == bool(np.any((around > 0) & (around != i + 1)))
    assert set(table["kind"].tolist()) <= {"tumor", "stroma", "lymphocyte"}


def test_unmixed_picture_gives_the_table() -> None:
    phantom = render(preset("nuclear", **PERFECT, **PALE), 3)
    stains = unmix(optical_density(phantom.rgb, phantom.background, clip=False), phantom.stains)
    index = np.arange(1, phantom.nuclei.max() + 1)
    for channel, name in ((0, "hematoxylin"), (1, "dab")):
        for labels, compartment in ((phantom.nuclei, "nucleus"), (phantom.cells, "cell")):
            measured = ndimage.mean(stains[..., channel], labels, index)
            # half a gray level is up to 0.01 OD in a dark pixel; the error averages out over a nucleus
            np.testing.assert_allclose(measured, phantom.table[f"{compartment}_{name}_od"], atol=0.004)


def test_eroded_plain_nucleus_has_the_od_of_the_table() -> None:
    phantom = render(preset("nuclear", **PLAIN, **PALE, nucleoli=0, granularity=0), 3)
    stains = unmix(optical_density(phantom.rgb, phantom.background, clip=False), phantom.stains)
    inner = ndimage.binary_erosion(phantom.nuclei > 0, iterations=2)
    index = np.unique(phantom.nuclei[inner])
    measured = ndimage.mean(stains[..., 1], np.where(inner, phantom.nuclei, 0), index)
    # quantisation of a dark pixel
    np.testing.assert_allclose(measured, phantom.table["nucleus_dab_od"][index - 1], atol=0.02)


@pytest.mark.parametrize(
    ("marker", "compartment"), [("nuclear", "nucleus"), ("cytoplasmic", "cytoplasm"), ("membranous", "membrane")]
)
def test_level_is_the_mean_od_of_the_markers_compartment(marker: str, compartment: str) -> None:
    phantom = render(preset(marker, **PLAIN, completeness=1), 1)
    found = phantom.table[f"{compartment}_dab_od"]
    there = np.isfinite(found)
    assert there.sum() > 10
    np.testing.assert_allclose(found[there], phantom.table["level"][there], rtol=1e-4)
    assert phantom.table["level"].max() > 0


def test_negative_marker_leaves_only_background() -> None:
    phantom = render(preset("negative", background_dab_od=0), 1)
    assert not phantom.table["level"].any()
    assert not phantom.table["cell_dab_od"].any()
    assert phantom.h_score() == 0


def test_membrane_takes_its_completeness() -> None:
    plain = PLAIN | {"positive_share": 1, "cytoplasm_leak": 0}
    full, half, none = (render(preset("membranous", **plain, completeness=c), 6) for c in (1, 0.5, 0))
    ratio = half.table["membrane_dab_od"].sum() / full.table["membrane_dab_od"].sum()
    # cells are not round, and each draws its own share about one half
    assert 0.3 < ratio < 0.7
    assert none.table["membrane_dab_od"].sum() == 0


def test_another_pixel_size_shows_the_same_tissue() -> None:
    coarse = render(preset("nuclear", **PERFECT, size_px=(200, 200), mpp=0.5), 5)
    fine = render(preset("nuclear", **PERFECT, size_px=(400, 400), mpp=0.25), 5)
    small = fine.rgb.reshape(200, 2, 200, 2, 3).mean(axis=(1, 3))
    # outlines fall on other pixels, and a nucleus that just fits may not fit on the other grid
    assert np.corrcoef(coarse.rgb.ravel(), small.ravel())[0, 1] > 0.8
    assert fine.nuclei.max() == pytest.approx(coarse.nuclei.max(), rel=0.1)
    assert fine.drawn == coarse.drawn


def test_optics_leave_the_tissue_alone() -> None:
    sharp, soft = (render(preset("nuclear", blur_um=b, jpeg_quality=50), 7) for b in (0.2, 1.5))
    assert not np.array_equal(sharp.rgb, soft.rgb)
    assert np.array_equal(sharp.nuclei, soft.nuclei)
    assert np.array_equal(sharp.table["nucleus_dab_od"], soft.table["nucleus_dab_od"])


od_lists = st.lists(st.floats(0, 2), min_size=1, max_size=30)


@given(od=od_lists, cuts=st.lists(st.floats(0.01, 1.5), min_size=1, max_size=4, unique=True).map(sorted))
def test_h_score_is_the_sum_of_shares(od: list[float], cuts: list[float]) -> None:
    table = {"nucleus_dab_od": np.array(od), "touches_border": np.zeros(len(od), bool)}
    expected = 100 * sum(sum(value >= cut for value in od) / len(od) for cut in cuts)
    found = h_score(table, "nucleus", cuts, False)
    assert found == pytest.approx(expected)
    assert 0 <= found <= 100 * len(cuts) + 1e-9
    assert h_score(table, "nucleus", [cut + 0.1 for cut in cuts], False) <= found


def test_h_score_counts_the_threshold_itself_and_leaves_out_the_border() -> None:
    table = {"nucleus_dab_od": np.array([0.2, 0.6, np.nan]), "touches_border": np.array([False, True, False])}
    assert h_score(table, "nucleus", (0.2, 0.4, 0.6), False) == 100
    assert h_score(table, "nucleus", (0.2, 0.4, 0.6), True) == 200


def test_h_score_refuses_what_has_none() -> None:
    empty = render(preset("nuclear", glass_share=1), 0)
    assert empty.nuclei.max() == 0
    with pytest.raises(ValueError, match="no cell to score"):
        empty.h_score()
    phantom = render(preset("nuclear"), 0)
    with pytest.raises(ValueError, match="compartment must be one of"):
        phantom.h_score("golgi")
    with pytest.raises(ValueError, match="ascending"):
        phantom.h_score(thresholds=(0.6, 0.2))
    assert {phantom.h_score(name) >= 0 for name in COMPARTMENTS} == {True}


def test_phantom_is_frozen() -> None:
    phantom = render(replace(PhantomParameters(), size_px=(32, 32)), 0)
    with pytest.raises(AttributeError):
        phantom.seed = 2  # type: ignore[misc]
