"""Membranes are found where they are, complete or not, and stained cytoplasm is not taken for one."""

import dataclasses
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import pandas as pd
import pytest

from ihcscore import load_assay, measure_image, score_cells
from ihcscore.api import rescore
from ihcscore.cells.membrane import find_borders, measure_membranes, reader
from ihcscore.cells.membrane.profiles import RAYS, Profiles, read_profiles
from ihcscore.errors import IhcscoreError, WeightsError
from ihcscore.phantom import load_parameters, render
from ihcscore.phantom.labels import centroids_px
from ihcscore.scoring.membrane_patterns import completeness, intensity, membrane_patterns
from ihcscore.stains.levels import both_levels
from ihcscore.stains.texture import describe
from ihcscore.stains.unmix import mix
from ihcscore.stains.vectors import StainMatrix
from ihcscore.table.schema import COMPLETENESS_COLUMN, MEMBRANE_COLUMNS, RIDGE_DECILES, RIDGE_MEAN_COLUMN, ridge_column

MPP = 0.5
OPTICS_UM = 0.45
ASSAY = load_assay("her2")


def ring(share=1.0, od=0.8, radius_um=9.0, thickness_um=1.0, cytoplasm=0.05):
    """Draw a round nucleus and around it a membrane of which a part is stained, as light shows it."""
    fine = 4
    size = 100 * fine
    yy, xx = (np.mgrid[:size, :size] + 0.5) / fine * MPP - 25
    away, angle = np.hypot(xx, yy), np.arctan2(yy, xx)
    dab = np.where(away < radius_um, cytoplasm, 0.0)
    band = np.abs(away - radius_um) < thickness_um / 2
    dab[band & (np.abs(angle) <= np.pi * share)] = od
    light = cv2.GaussianBlur(passing(dab), (0, 0), OPTICS_UM / MPP * fine)
    small = light.reshape(100, fine, 100, fine, 3).mean(axis=(1, 3))
    nuclei = (np.hypot(*(np.mgrid[:100, :100] + 0.5 - 50)) * MPP < 5).astype(np.int32)
    return levels(small), nuclei


def passing(dab):
    """Give the share of light that passes DAB."""
    amounts = np.stack([np.zeros_like(dab), dab, np.zeros_like(dab)], axis=-1).astype(np.float32)
    return 10.0 ** -mix(amounts)


def levels(light):
    return both_levels(np.rint(255 * light).astype(np.uint8), 255, StainMatrix())


@cache
def texture(od=0.8):
    """Give the texture of a slide of such membranes, half of each stained."""
    drawn = {"blur_um": (OPTICS_UM,) * 2, "sharpen": (0, 0), "marker_od": (od, od), "marker_spread": (0.1, 0.1)}
    drawn |= {"completeness": (0.5, 0.5), "positive_share": (1, 1), "cytoplasm_leak": (0.05, 0.1)}
    return texture_of(render(dataclasses.replace(load_parameters("membranous"), **drawn), 7))


def texture_of(phantom):
    places = [phantom.rgb[y : y + 56, x : x + 56] for y in range(0, 449, 56) for x in range(0, 449, 56)]
    return describe(places, phantom.background, phantom.stains)


def table(columns):
    return pd.DataFrame(columns)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("od", [0.4, 0.8, 1.4])
def test_completeness_of_a_ring(share, od):
    seen, nuclei = ring(share, od)
    cells = table(measure_membranes(seen, nuclei, np.array([[50.0, 50.0]]), MPP, texture(od)))
    assert completeness(cells, 0.1)[0] == pytest.approx(share, abs=0.14)
    if share:
        assert cells["Membrane: Linear share"][0] > 0.9
        assert intensity(cells, 0.1)[0] > od / 2


def test_the_ridge_lies_on_the_membrane_at_any_distance():
    for radius in (6.5, 9, 12):
        seen, nuclei = ring(radius_um=radius)
        found = find_borders(seen, nuclei, np.array([[50.0, 50.0]]), range(1), MPP, texture())
        off = np.abs(found.radius_um - radius)
        assert off.max() <= 0.8
        assert off.mean() <= 0.4
        assert found.share.sum() == pytest.approx(1)


def test_a_place_does_not_depend_on_the_window():
    seen, nuclei = ring(0.6)
    whole = measure_membranes(seen, nuclei, np.array([[50.0, 50.0]]), MPP, texture())
    wide = np.pad(seen, ((0, 0), (37, 0), (91, 0))), np.pad(nuclei, ((37, 0), (91, 0)))
    wide = tuple(np.ascontiguousarray(v) for v in wide)
    moved = measure_membranes(*wide, np.array([[141.0, 87.0]]), MPP, texture())
    for name in MEMBRANE_COLUMNS:
        np.testing.assert_array_equal(whole[name], moved[name])


def test_where_nuclei_touch_there_is_no_membrane_to_judge():
    seen, nuclei = ring()
    crowded = np.where(nuclei == 1, 1, 2).astype(np.int32)
    columns = measure_membranes(seen, crowded, np.array([[50.0, 50.0]]), MPP, texture())
    assert all(np.isnan(values).all() for values in columns.values())
    assert membrane_patterns(table(columns), ASSAY).tolist() == [""]


def test_no_cells_no_rows():
    seen, nuclei = np.zeros((2, 9, 9), np.uint8), np.zeros((9, 9), np.int32)
    columns = measure_membranes(seen, nuclei, np.zeros((0, 2)), MPP, texture())
    assert set(columns) == set(MEMBRANE_COLUMNS)
    assert all(len(values) == 0 for values in columns.values())
    assert len(RIDGE_DECILES) <= RAYS


def line(share, *deciles):
    found = {ridge_column(p): [float(v)] for p, v in zip(RIDGE_DECILES, deciles, strict=True)}
    return pd.DataFrame(found | {COMPLETENESS_COLUMN: [share]})


def test_completeness_is_linear_between_the_deciles_of_the_line():
    cells = line(0.8, *np.linspace(0.1, 1.1, 11))
    assert completeness(cells, 0.05)[0] == pytest.approx(0.8)
    assert completeness(cells, 0.35)[0] == pytest.approx(0.6)
    assert completeness(cells, 0.4)[0] == pytest.approx(0.56)
    assert completeness(cells, 2)[0] == 0
    assert intensity(cells, 0.05)[0] == pytest.approx(0.6)
    assert intensity(cells, 0.6)[0] == pytest.approx(0.85)
    assert np.isnan(intensity(cells, 2)[0])


def test_a_border_is_summed_up_as_its_rays_say():
    seen, nuclei = ring(0.6)
    at = (seen, nuclei, np.array([[50.0, 50.0]]))
    rays, cells = find_borders(*at, range(1), MPP, texture()), table(measure_membranes(*at, MPP, texture()))
    stained, od, share = (values[0] for values in (rays.stained, rays.od, rays.share))
    assert 0 < stained.sum() < RAYS
    assert cells[COMPLETENESS_COLUMN][0] == pytest.approx(share[stained].sum())
    assert cells[RIDGE_MEAN_COLUMN][0] == pytest.approx((share * od).sum())
    assert cells[ridge_column(0)][0] == od[stained].min()
    assert cells[ridge_column(100)][0] == od[stained].max()
    for threshold in (0.3, 0.5, 0.7, 0.9):
        denser = share[stained & (od >= threshold)].sum()
        assert completeness(cells, threshold)[0] == pytest.approx(denser, abs=0.1 * float(share[stained].sum()))


@pytest.mark.parametrize(
    ("stained", "od", "pattern"),
    [
        (0, 0.0, "None"),
        (0.1499, 0.2, "None"),
        (0.15, 0.2, "Faint incomplete"),
        (0.1501, 1.2, "Other"),
        (0.6999, 0.2, "Faint incomplete"),
        (0.6999, 0.45, "Other"),
        (0.7, 0.2, "Complete"),
        (0.7001, 0.6, "Complete"),
        (1, 0.0999, "None"),
        (1, 0.1, "Complete"),
        (0.7, 1.2, "Complete intense"),
        (0.9, 1.1999, "Complete"),
    ],
)
def test_patterns(stained, od, pattern):
    cells = line(stained, *[od] * len(RIDGE_DECILES))
    assert membrane_patterns(cells, ASSAY).tolist() == [pattern]


@pytest.fixture(scope="module")
def stained():
    drawn = {"completeness": (1, 1), "positive_share": (1, 1), "marker_od": (1.4, 1.4), "cytoplasm_leak": (0.05, 0.05)}
    phantom = render(dataclasses.replace(load_parameters("membranous"), **drawn), 5)
    return phantom, measure_image(phantom.rgb, mpp=0.5, assay=ASSAY, nuclei=phantom.nuclei)


def test_a_field_of_intense_membranes_is_3(stained):
    _, measured = stained
    row = score_cells(measured.cells, ASSAY.replace(population="all")).scores
    assert row.scores["her2"].value == 3
    assert row.scores["her2"].category == "3+"
    assert row.patterns["membrane_intense"] > 0.3
    assert sum(row.patterns.values()) == pytest.approx(1)


def test_thresholds_move_the_score_without_pixels(stained):
    _, measured = stained
    strict = ASSAY.replace(population="all", thresholds=(0.1, 0.3, 3.0))
    assert score_cells(measured.cells, strict).scores.scores["her2"].value == 2


def test_cytoplasm_is_not_called_membranous():
    phantom = render(load_parameters("cytoplasmic"), 1001)
    measured = measure_image(phantom.rgb, mpp=0.5, assay=ASSAY)
    row = score_cells(measured.cells, ASSAY.replace(population="all")).scores
    assert row.patterns["membrane_complete"] + row.patterns["membrane_intense"] <= 0.1


def test_a_ridge_does_not_follow_other_stains(stained):
    _, measured = stained
    used = ASSAY.replace(population="all")
    with pytest.raises(IhcscoreError, match="membrane_from"):
        rescore(measured, used.replace(background=(240.0, 240.0, 240.0)), used)
    band = used.replace(background=(240.0, 240.0, 240.0), membrane_from="band", scores=("h_score",))
    assert rescore(measured, band, used).scores.h_score is not None
    judged = rescore(measured, band.replace(scores=("h_score", "her2")), used).scores.scores["her2"]
    assert judged.reason == "membranes were not judged"


def test_damaged_packaged_weights_are_refused(monkeypatch, tmp_path):
    (tmp_path / "weights").mkdir()
    names = (reader.RAYS_FILE, reader.SLIDE_FILE, reader.CARD_FILE)
    packaged = {name: (files("ihcscore.cells.membrane") / "weights" / name).read_bytes() for name in names}
    monkeypatch.setattr(reader, "files", lambda _: tmp_path)
    for broken in names[:2]:
        for name, data in packaged.items():
            (tmp_path / "weights" / name).write_bytes(b"other" if name == broken else data)
        reader._packaged.cache_clear()
        with pytest.raises(WeightsError, match="install ihcscore again"):
            reader.packaged_sha256()
        (tmp_path / "weights" / broken).unlink()
        with pytest.raises(WeightsError, match="cannot be read"):
            reader.packaged_sha256()


def test_each_slide_is_read_with_its_own_texture():
    phantom = render(load_parameters("membranous"), 3)
    seen = both_levels(phantom.rgb, phantom.background, phantom.stains)
    xy = np.column_stack(centroids_px(phantom.nuclei))
    profiles = read_profiles(seen, phantom.nuclei, xy, range(len(xy)), 0.5)
    first, other = (reader.read_membranes(profiles, slide).od for slide in (texture(0.4), texture(1.4)))
    assert np.abs(first - other).max() > 0.1
    np.testing.assert_array_equal(reader.read_membranes(profiles, texture(0.4)).od, first)


def test_a_cell_is_read_alike_in_any_company():
    phantom = render(load_parameters("membranous"), 3)
    seen = both_levels(phantom.rgb, phantom.background, phantom.stains)
    xy = np.column_stack(centroids_px(phantom.nuclei))
    profiles = read_profiles(seen, phantom.nuclei, xy, range(len(xy)), 0.5)
    slide = texture_of(phantom)
    together = reader.read_membranes(profiles, slide)
    alone = Profiles(np.ascontiguousarray(profiles.level[:, 7:8]), profiles.other[7:8], profiles.edge_um[7:8])
    for name in ("od", "line", "radius_um"):
        np.testing.assert_array_equal(getattr(reader.read_membranes(alone, slide), name)[0], getattr(together, name)[7])
