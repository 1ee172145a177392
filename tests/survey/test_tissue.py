"""Tissue, pen, what was not scanned and glass are told apart, the same in a crop; blocks out of order are flagged."""

import dataclasses

import cv2
import numpy as np
import pytest
from conftest import light
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.cells.quality import JUDGED, judge, measure_quality, quality_warnings
from ihcscore.cells.tissue_folds import fold_share
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.phantom import load_parameters, render
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.tissue import GLASS, PEN, TISSUE, UNSCANNED, TissueMap, coarse_image, map_tissue, slide_size_um

GLASS_LIGHT = (240.0, 240.0, 240.0)
UM = 8.0


@pytest.fixture(scope="module")
def coarse():
    """Pale stroma, dense tissue, brown tissue, three inks, a black area, gray dust."""
    chance = np.random.default_rng(0)
    rgb = np.full((300, 400, 3), 240.0) + chance.normal(0, 1.5, (300, 400, 3))
    areas = {
        (20, 20): light(np.full((60, 60), 0.08), np.full((60, 60), 0.0)),
        (20, 100): light(np.full((60, 60), 0.5), np.full((60, 60), 0.1)),
        (20, 180): light(np.full((60, 60), 0.2), np.full((60, 60), 0.9)),
        (100, 20): np.full((30, 60, 3), (20, 110, 200)),
        (100, 100): np.full((30, 60, 3), (220, 40, 50)),
        (100, 180): np.full((30, 60, 3), (8, 9, 12)),
        (160, 20): np.zeros((60, 60, 3)),
        (160, 100): np.full((10, 10, 3), 190.0),
    }
    for (y, x), patch in areas.items():
        rgb[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ((50, 50), TISSUE),
        ((50, 130), TISSUE),
        ((50, 210), TISSUE),
        ((115, 50), PEN),
        ((115, 130), PEN),
        ((115, 210), PEN),
        ((190, 50), UNSCANNED),
        ((165, 105), GLASS),
        ((250, 300), GLASS),
    ],
)
def test_each_is_what_it_is(coarse, place, code):
    assert map_tissue(coarse, UM, GLASS_LIGHT).codes[place] == code


def test_a_crop_has_the_codes_of_the_slide(coarse):
    whole = map_tissue(coarse, UM, GLASS_LIGHT).codes
    part = map_tissue(coarse[:, 90:], UM, GLASS_LIGHT).codes  # cut through nothing but glass
    np.testing.assert_array_equal(part, whole[:, 90:])


def test_areas_and_places(coarse):
    found = map_tissue(coarse, UM, GLASS_LIGHT)
    assert found.area_mm2(TISSUE) == pytest.approx(3 * 60 * 60 * UM**2 / 1e6, rel=0.1)
    assert found.has_tissue((40 * UM, 40 * UM, 41 * UM, 41 * UM))
    assert not found.has_tissue((200 * UM, 300 * UM, 250 * UM, 350 * UM))
    shares = found.shares((0, 0, 300 * UM, 400 * UM))
    assert sum(shares.values()) == pytest.approx(1)
    assert found.outside_at(np.array([[50.0 * UM, 115 * UM], [50 * UM, 50 * UM]])).tolist() == [True, False]


def test_all_of_a_rendered_field_is_tissue(nuclear):
    small, um = coarse_image(ArraySlide(nuclear.rgb, 0.5))
    assert (map_tissue(small, um, GLASS_LIGHT).codes == TISSUE).mean() > 0.95


@pytest.mark.parametrize("mpp", [0.27, 0.499, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(60, 60), (255, 511), (498, 330), (77, 512)])
def test_all_tissue_has_the_area_of_its_image(shape, mpp):
    slide = ArraySlide(np.full((*shape, 3), (150, 120, 160), np.uint8), mpp)
    coarse, um = coarse_image(slide)
    found = map_tissue(coarse, um, GLASS_LIGHT, slide_size_um(slide))
    assert found.area_mm2(TISSUE) == pytest.approx(shape[0] * shape[1] * mpp**2 / 1e6)
    np.testing.assert_array_equal(found.codes, map_tissue(coarse, um, GLASS_LIGHT).codes)


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.floats(0.1, 15.9), st.floats(0.1, 15.9), st.integers(0, 99))
def test_areas_add_up_to_that_of_the_image(shape, more_y, more_x, seed):
    codes = np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)
    height, width = (8.0 * (length - 1) + more for length, more in zip(shape, (more_y, more_x), strict=True))
    tissue = TissueMap(codes, 8.0, (height, width))
    assert sum(map(tissue.area_mm2, range(4))) == pytest.approx(height * width / 1e6)
    inside = np.stack(np.meshgrid((np.arange(400) + 0.5) / 400 * width, (np.arange(400) + 0.5) / 400 * height), -1)
    share = (tissue.at(inside.reshape(-1, 2)) == TISSUE).mean()
    assert tissue.area_mm2(TISSUE) == pytest.approx(share * height * width / 1e6, rel=0.02, abs=1e-6)


def cells(od):
    return {JUDGED[0]: np.full(50, od)}


EVERYWHERE = {"glass": 0.0, "tissue": 1.0, "pen": 0.0, "unscanned": 0.0}


def flags(rgb, od=0.4, **places):
    values = measure_quality(rgb, GLASS_LIGHT, StainMatrix(), 0.5, cells(od))
    return judge((0, 0), values, {**EVERYWHERE, **places}, 1.0).flags


def test_sharp_tissue_has_no_flag_and_each_fault_its_own():
    rgb = render(load_parameters("nuclear"), 6).rgb
    assert flags(rgb) == ()
    assert flags(cv2.GaussianBlur(rgb, (0, 0), 4)) == ("out of focus",)
    dark, black = rgb.copy(), rgb.copy()
    dark[:100, :100] = (60, 25, 5)
    black[:100, :100] = 5
    assert flags(dark) == ("saturated",)
    assert flags(black) == ()  # it was not scanned
    black[100:200, :100] = (60, 25, 5)
    assert flags(black) == ("saturated",)
    assert flags(rgb, od=0.05) == ("weak counterstain",)
    assert flags(rgb, pen=0.03, tissue=0.97) == ("pen",)
    assert flags(rgb, tissue=0.02, glass=0.98) == ("little tissue",)


@pytest.mark.parametrize("blur_px", [0.6, 1.5])
def test_bands_tell_the_focus_of_a_large_block(monkeypatch, blur_px):
    noise = np.random.default_rng(0).integers(0, 256, (1500, 300, 3)).astype(np.uint8)
    rgb = cv2.GaussianBlur(noise, (0, 0), blur_px)
    of_bands = measure_quality(rgb, GLASS_LIGHT, StainMatrix(), 0.5, cells(0.4))["focus"]
    monkeypatch.setattr("ihcscore.cells.quality.SAMPLED_ROWS", 10_000)
    of_all = measure_quality(rgb, GLASS_LIGHT, StainMatrix(), 0.5, cells(0.4))["focus"]
    assert of_bands != of_all
    assert of_bands == pytest.approx(of_all, rel=0.03)


def test_nothing_to_judge_by_flags_nothing():
    blank = np.full((200, 200, 3), 240, np.uint8)
    values = measure_quality(blank, GLASS_LIGHT, StainMatrix(), 0.5, {JUDGED[0]: np.array([])})
    assert np.isnan([values["focus"], values["counterstain_od"]]).all()
    assert judge((0, 0), values, EVERYWHERE, 1.0).flags == ()


def test_a_slide_warns_of_what_holds_on_a_fifth_of_its_tissue():
    rgb = render(load_parameters("nuclear"), 4).rgb
    good, bad, sliver = (
        judge((0, k), measure_quality(rgb, GLASS_LIGHT, StainMatrix(), 0.5, cells(od)), EVERYWHERE, area)
        for k, od, area in ((0, 0.4, 100.0), (1, 0.05, 100.0), (2, 0.05, 1.0))
    )
    assert quality_warnings([good] * 9 + [bad]) == []
    assert quality_warnings([good] * 4 + [bad]) == ["weak counterstain: blocks with 20% of the tissue (quality.csv)"]
    assert quality_warnings([]) == []
    assert quality_warnings([good, sliver]) == []  # by its tissue, not as a block


@pytest.mark.parametrize("seed", [4, 7])
def test_a_band_of_double_tissue_is_a_fold(seed):
    ranges = {"glass_share": (0, 0), "stroma_share": (0.1, 0.1), "lumen_share": (0, 0)}
    phantom = render(dataclasses.replace(load_parameters("nuclear"), size_px=(800, 800), **ranges), seed)
    light = np.asarray(phantom.background)
    folded = phantom.rgb / light
    folded[350:430] *= folded[350:430, ::-1]  # as much absorbs again
    rgb = np.clip(np.rint(folded * light), 0, 255).astype(np.uint8)
    assert fold_share(phantom.rgb, light, phantom.stains, 0.5) == 0
    assert 0.05 < fold_share(rgb, light, phantom.stains, 0.5) <= 0.1
    values = measure_quality(rgb, light, phantom.stains, 0.5, cells(0.4))
    assert "fold" in judge((0, 0), values, EVERYWHERE, 1.0).flags


def test_a_narrow_black_strip_was_not_scanned():
    coarse = np.full((64, 64, 3), (190, 150, 200), np.uint8)
    coarse[:, :5] = 0  # 40 x 512 um
    coarse[:2, 40:42] = 0  # 16 x 16 um: pigment
    codes = map_tissue(coarse, 8.0, GLASS_LIGHT).codes
    assert (codes[1:-1, :5] == UNSCANNED).all()
    assert (codes[:, 6:] == TISSUE).all()


def test_squares_with_a_code_are_told():
    codes = np.zeros((6, 8), np.uint8)
    codes[2, 3], codes[5, 7] = TISSUE, PEN
    tissue = TissueMap(codes, 8.0)
    corners = np.array([(0.0, 0.0), (0.0, 8.5), (16.0, 24.0), (24.0, 0.0), (24.0, 48.0), (40.0, 56.0)])
    assert tissue.any_in(corners, 24.0, TISSUE).tolist() == [False, True, True, False, False, False]
    assert tissue.any_in(corners, 24.0, PEN).tolist() == [False, False, False, False, True, True]
    assert tissue.any_in(corners, 24.0, TISSUE, PEN).sum() == 4
