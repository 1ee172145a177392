"""Cores are found and numbered where they are missing, drift, or are broken; what is no grid is refused."""

import cv2
import numpy as np
import pytest

from ihcscore.errors import IhcscoreError, InputError
from ihcscore.survey.tissue import TISSUE, TissueMap
from ihcscore.workflows.tma.files import core_regions, read_grid, read_sheet, write_grid
from ihcscore.workflows.tma.grid import MISSING, OK, Core, CoreGrid, core_name, find_cores

UM = 8.0


def drawn(
    rows, columns, *, missing=(), drift=0.0, turn=0.0, bend=0.0, diameter=1000.0, pitch=1400.0, seed=0, broken=()
):
    """Draw cores as tissue; give the map and the true centers in um by name."""
    chance = np.random.default_rng(seed)
    places = {}
    for row in range(rows):
        for column in range(columns):
            x, y = column * pitch + bend * row**2, row * pitch
            moved = np.array([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])
            places[core_name(row, column)] = moved + chance.uniform(-drift, drift, 2)
    low = np.min([*places.values()], axis=0) - pitch
    places = {name: xy - low for name, xy in places.items()}
    width, height = (np.max([*places.values()], axis=0) + pitch) / UM
    codes = np.zeros((int(height), int(width)), np.uint8)
    for name, (x, y) in places.items():
        if name in missing:
            continue
        at, radius = (round(x / UM), round(y / UM)), round(diameter / 2 / UM)
        cv2.circle(codes, at, radius, TISSUE, -1)
        if name in broken:  # a tear through it and a piece out of its side
            cv2.line(codes, (at[0] - radius, at[1] - 20), (at[0] + radius, at[1] + 30), 0, 8)
            cv2.circle(codes, (at[0] + radius, at[1]), radius // 3, 0, -1)
    return TissueMap(codes, UM), places


def check(grid, places, missing, tolerance):
    assert {core.name for core in grid.cores if core.status == MISSING} == set(missing)
    assert {core.name for core in grid.cores} == set(places)
    for core in grid.present:
        assert np.hypot(*(np.array([core.x_um, core.y_um]) - places[core.name])) < tolerance
    assert grid.off_grid == ()


@pytest.mark.parametrize("turn", [-0.2, 0.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_missing_drifting_turned_and_broken_cores(turn, seed):
    names = [core_name(row, column) for row in range(7) for column in range(10)]
    chance = np.random.default_rng(seed)
    inner = [name for name in names if name not in (core_name(0, 0), core_name(6, 9), core_name(0, 9), core_name(6, 0))]
    missing, broken = chance.choice(inner, 10, replace=False).tolist(), chance.choice(names, 10).tolist()
    tissue, places = drawn(7, 10, missing=missing, drift=180, turn=turn, seed=seed, broken=broken)
    grid = find_cores(tissue)
    check(grid, places, missing, 120)
    assert grid.cores[0].diameter_um == pytest.approx(1000, rel=0.1)


def test_rows_that_bend_keep_their_numbers():
    tissue, places = drawn(12, 6, bend=25)
    check(find_cores(tissue), places, (), 40)


@pytest.mark.parametrize(("diameter", "pitch"), [(600, 1000), (1500, 2200), (2000, 2600)])
def test_other_sizes(diameter, pitch):
    tissue, places = drawn(5, 8, diameter=diameter, pitch=pitch, missing=["B-3"])
    check(find_cores(tissue), places, ["B-3"], 40)
    check(find_cores(tissue, diameter), places, ["B-3"], 40)


def test_a_missing_core_is_placed_between_its_neighbors():
    tissue, places = drawn(4, 5, missing=["B-3"], turn=0.1)
    (lost,) = [core for core in find_cores(tissue).cores if core.status == MISSING]
    assert np.hypot(lost.x_um - places["B-3"][0], lost.y_um - places["B-3"][1]) < 60


def test_debris_is_no_core_and_a_core_beside_the_grid_is_named():
    tissue, places = drawn(5, 6)
    x, y = (places["C-3"] + places["C-4"]) / 2 / UM
    cv2.circle(tissue.codes, (round(x), round(y) + 90), 12, TISSUE, -1)
    assert len(find_cores(tissue).present) == 30
    wide = np.pad(tissue.codes, ((0, 0), (0, 400)))
    cv2.circle(wide, (wide.shape[1] - 120, wide.shape[0] // 2 + 60), 62, TISSUE, -1)
    grid = find_cores(TissueMap(wide, UM))
    assert len(grid.present) == 30
    assert len(grid.off_grid) == 1


@pytest.mark.parametrize("codes", [np.zeros((500, 500), np.uint8), np.full((500, 500), TISSUE, np.uint8)])
def test_what_is_no_grid_is_refused(codes):
    with pytest.raises(IhcscoreError, match="no grid of cores"):
        find_cores(TissueMap(codes, UM))


def test_a_grid_is_read_as_it_was_written(tmp_path):
    cores = (Core("A-1", 0, 0, 10.5, 20.0, 600.0), Core("A-2", 0, 1, 910.5, 21.0, 600.0, MISSING))
    write_grid(tmp_path / "g.csv", CoreGrid(cores))
    assert read_grid(tmp_path / "g.csv").cores == cores
    assert read_grid(tmp_path / "g.csv").present == cores[:1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,x_um\nA,1\n", "diameter_um"),
        ("name,x_um,y_um,diameter_um\nA,1,2,x\n", "line 2"),
        ("name,x_um,y_um,diameter_um\nA,1,2,0\n", "diameter"),
        ("name,x_um,y_um,diameter_um\nA,1,2,600\nA,3,4,600\n", "twice: A"),
        ("name,x_um,y_um,diameter_um,status\nA,1,2,600,gone\n", "gone"),
        ("", "needs rows"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(tmp_path, text, problem):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(InputError, match=problem):
        read_grid(tmp_path / "g.csv")


def test_sheets(tmp_path):
    (tmp_path / "s.csv").write_text("core, patient,slide\nA-1,P1,\nA-1,P2,t2\nA-2,,\n")
    assert read_sheet(tmp_path / "s.csv") == {("", "A-1"): "P1", ("t2", "A-1"): "P2", ("", "A-2"): ""}
    (tmp_path / "s.csv").write_text("core,patient\nA-1,P1\nA-1,P2\n")
    with pytest.raises(InputError, match="twice"):
        read_sheet(tmp_path / "s.csv")


def test_cores_are_circles_in_level_0_pixels():
    (region,) = core_regions([Core("A-1", 0, 0, 500.0, 1000.0, 600.0, OK)], 0.5)
    assert region.geometry.centroid.coords[0] == pytest.approx((1000, 2000))
    assert region.geometry.area == pytest.approx(np.pi * 600**2, rel=0.003)
