"""Pigment and red cells are told from stained cells by their colour; what is only noise is not."""

import numpy as np
import pandas as pd
import pytest

from ihcscore import load_assay, score_cells
from ihcscore.scoring.off_color import off_color, off_color_warnings, off_plane
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.stains.plane import find_plane
from ihcscore.stains.unmix import mix
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.context import SlideContext
from ihcscore.table.schema import COLUMNS, channel_column, measured_column, saturated_column, stain_column

ASSAY = load_assay("generic-nuclear").replace(include_cut=True)
STAINS = StainMatrix()
NORMAL = np.cross(STAINS.hematoxylin, STAINS.dab) / np.linalg.norm(np.cross(STAINS.hematoxylin, STAINS.dab))
PLANE = (*NORMAL.tolist(), 0.0)
BLACK, RED = (1.0, 1.0, 1.0), (0.22, 0.62, 0.75)


def table(od):
    """Cells whose nucleus has these densities per channel."""
    od = np.asarray(od, np.float64)
    cells = {c.name: pd.Series(np.zeros(len(od)), dtype="object" if c.dtype == "bytes" else c.dtype) for c in COLUMNS}
    cells = pd.DataFrame(cells)
    cells["x_um"] = np.arange(len(od)) * 10.0
    cells[measured_column("Nucleus")] = 30.0
    cells[[channel_column("Nucleus", name) for name in ("Red", "Green", "Blue")]] = od
    cells[stain_column("Nucleus", "DAB", "mean")] = (od @ STAINS.inverse)[:, 1]
    return cells


def stained(count, seed=0):
    chance = np.random.default_rng(seed)
    concentrations = np.zeros((1, count, 3), np.float32)
    concentrations[0, :, 0], concentrations[0, :, 1] = chance.uniform(0.1, 0.5, count), chance.uniform(0.25, 1, count)
    return mix(concentrations, STAINS)[0] + chance.normal(0, 0.002, (count, 3))


@pytest.mark.parametrize("color", [BLACK, RED])
def test_another_color_is_told_and_counted_and_left_out_when_asked(color):
    odd = 0.8 * np.array(color) / np.linalg.norm(color)
    cells = table([*stained(200), *[odd] * 10])
    context = SlideContext((255.0,) * 3, "given", STAINS, "given", plane=PLANE)
    kept = score_cells(cells, ASSAY, context=context)
    assert kept.cells["Off-color"].tolist() == [False] * 200 + [True] * 10
    assert (kept.scores.cells, kept.scores.off_color) == (210, 10)
    left_out = score_cells(cells, ASSAY.replace(exclude_off_color=True), context=context).scores
    assert (left_out.cells, left_out.off_color) == (200, 10)


def test_a_cell_below_the_first_threshold_is_not_called_off():
    pale = table([(0.5, 0.1, 0.1)])
    outside = off_plane(pale, ASSAY, PLANE)
    assert abs(outside[0]) > 0.1
    assert not off_color(pale, ASSAY, outside)[0]


def test_what_cannot_be_told_is_no_number():
    cells = table(stained(30))
    dark = cells.assign(**{saturated_column("Nucleus"): 0.5})
    given = SlideContext((255.0,) * 3, "given", STAINS, "given", plane=PLANE)
    other = cells.drop(columns=[saturated_column("Nucleus")])  # as after another background
    for table_, context in ((cells, None), (dark, given), (other, given)):
        found = score_cells(table_, ASSAY.replace(exclude_off_color=True), context=context)
        assert found.cells["Off-plane"].isna().all()
        assert found.scores.off_color is None
        assert found.scores.cells == 30


def test_each_cell_is_judged_alone():
    cells = table([*stained(50), *[np.array(RED)] * 5])
    whole = off_plane(cells, ASSAY, PLANE)
    np.testing.assert_array_equal(off_plane(cells[48:], ASSAY, PLANE), whole[48:])


@pytest.mark.parametrize("white", [255.0, 235.0])
def test_the_plane_is_that_of_the_stains_whatever_the_light(white):
    chance = np.random.default_rng(2)
    concentrations = np.zeros((1, 20_000, 3), np.float32)
    concentrations[0, :10_000, 0] = chance.uniform(0.3, 0.9, 10_000)
    concentrations[0, 10_000:, 1] = chance.uniform(0.3, 0.9, 10_000)
    light = np.array([1.02, 1.0, 0.94]) * white / 1.02
    rgb = np.rint(light * 10.0 ** -mix(concentrations, STAINS)).astype(np.uint8)
    plane = find_plane(rgb, 255)
    assert np.dot(plane[:3], NORMAL) > np.cos(np.radians(1))
    assert plane[3] == pytest.approx(np.log10(255 / light) @ NORMAL, abs=0.004)
    assert find_plane(np.full((9, 9, 3), 250, np.uint8), 255) is None
    assert find_plane(rgb[:, :10_000], 255) is None  # no DAB


def test_a_pale_cell_is_not_off_for_what_it_would_be_if_it_were_dense():
    beside, dab = 0.009 * NORMAL, np.array(STAINS.dab)
    cells = table([0.3 * dab + beside, 0.3 * dab + 2 * beside, 1.5 * dab + 2 * beside])
    assert off_plane(cells, ASSAY, PLANE) == pytest.approx([0.018, 0.036, 0.012], abs=1e-4)
    assert off_color(cells, ASSAY, off_plane(cells, ASSAY, PLANE)).tolist() == [False, True, False]


def test_a_warning_names_its_share():
    def row(cells, negative, off):
        return ScoreRow("a", "", "image", "", "all", "nucleus", cells=cells, negative=negative, off_color=off)

    assert off_color_warnings(row(150, 50, 4), ASSAY) == off_color_warnings(row(150, 50, None), ASSAY) == []
    assert off_color_warnings(row(150, 50, 5), ASSAY)[0].startswith("5 of 100 stained cells are off-color")
    left_out = ASSAY.replace(exclude_off_color=True)
    assert off_color_warnings(row(150, 50, 6), left_out)[0].startswith("6 of 106 stained")


def test_a_cell_is_told_alike_alone_and_among_others():
    cells = table(stained(500))
    whole = off_plane(cells, ASSAY, PLANE)
    alone = [off_plane(cells.iloc[[k]], ASSAY, PLANE)[0] for k in range(len(cells))]
    np.testing.assert_array_equal(whole, alone)
