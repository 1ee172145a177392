"""A slide of cores is scored per core and per patient, from the command line too."""

import csv
import shutil

import numpy as np
import pytest
import tifffile
from conftest import discs
from PIL import Image
from slides import write_svs
from typer.testing import CliRunner

from ihcscore.cli.app import app
from ihcscore.errors import IhcscoreError, InputError
from ihcscore.workflows.tma.files import read_grid
from ihcscore.workflows.tma.grid import MISSING, Core
from ihcscore.workflows.tma.patients import core_row, patient_rows

MPP, PITCH, RADIUS = 0.5, 1000, 320
MISSING_CORE = (1, 1)


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    """Two rows of three cores, one missing; DAB rises from core to core."""
    height, width = 2 * PITCH, 3 * PITCH
    places, dab = [], []
    for row in range(2):
        for column in range(3):
            x0, y0 = column * PITCH + PITCH // 2, row * PITCH + PITCH // 2
            if (row, column) == MISSING_CORE:
                continue
            for y in range(y0 - RADIUS + 20, y0 + RADIUS - 10, 40):
                for x in range(x0 - RADIUS + 20, x0 + RADIUS - 10, 40):
                    if np.hypot(x - x0, y - y0) < RADIUS - 15:
                        places.append((x, y))
                        dab.append((row * 3 + column) * 0.15)
    rgb, _ = discs((height, width), places, 9, dab=dab)
    yy, xx = np.mgrid[:height, :width]
    for row in range(2):
        for column in range(3):
            if (row, column) != MISSING_CORE:
                inside = np.hypot(xx - column * PITCH - PITCH // 2, yy - row * PITCH - PITCH // 2) < RADIUS
                rgb[inside] = (rgb[inside] * np.array([0.9, 0.8, 0.88])).astype(np.uint8)
    folder = tmp_path_factory.mktemp("tma")
    write_svs(folder / "t1.svs", rgb, MPP, downsamples=(1, 4))
    write_svs(folder / "t2.svs", rgb[::-1], MPP, downsamples=(1, 4))
    (folder / "sheet.csv").write_text("core,patient\nA-1,P1\nA-2,P1\nB-2,P2\nB-3,P3\nC-9,P9\n")
    return folder


def rows(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [*csv.DictReader(file)]


def run(*arguments):
    return CliRunner().invoke(app, ["tma", *map(str, arguments)], catch_exceptions=False)


def test_from_the_slide_to_patients(array, tmp_path):
    out = tmp_path / "out"
    result = run(array / "t1.svs", "-o", out, "--segmenter", "watershed", "--sheet", array / "sheet.csv")
    assert result.exit_code == 0, result.output
    assert "C-9" in result.stderr
    cores = {row["core"]: row for row in rows(out / "cores.csv")}
    assert [*cores] == ["A-1", "A-2", "A-3", "B-1", "B-2", "B-3"]
    assert cores["B-2"]["status"] == MISSING
    dab = [float(row["mean_dab_od"]) for row in cores.values() if row["status"] == "ok"]
    assert dab == sorted(dab)
    assert float(cores["A-1"]["h_score"]) == 0
    assert float(cores["B-3"]["h_score"]) > 280
    assert cores["A-1"]["patient"] == "P1"
    patients = {row["patient"]: row for row in rows(out / "patients.csv")}
    assert [*patients] == ["P1", "P2", "P3"]
    both = [cores["A-1"], cores["A-2"]]
    cells = sum(int(core["cells"]) for core in both)
    pooled = sum(int(core["cells"]) * float(core["h_score"]) for core in both) / cells
    assert int(patients["P1"]["cells"]) == cells
    assert float(patients["P1"]["h_score"]) == pytest.approx(pooled)
    assert (patients["P2"]["status"], patients["P2"]["h_score"]) == ("unscorable", "")
    assert (out / "grids" / "t1.png").stat().st_size > 1000


def test_a_grid_corrected_by_hand_is_used(array, tmp_path):
    assert run(array / "t1.svs", "-o", tmp_path / "a", "--find-only").exit_code == 0
    text = (tmp_path / "a" / "grids" / "t1.csv").read_text("utf-8-sig").replace("A-1,", "X-7,")
    (tmp_path / "mine.csv").write_text(text)
    out = tmp_path / "b"
    result = run(array / "t1.svs", "-o", out, "--grid", tmp_path / "mine.csv", "--segmenter", "watershed")
    assert result.exit_code == 0, result.output
    assert next(row["core"] for row in rows(out / "cores.csv")) == "X-7"


def test_cores_called_as_other_rows_have_their_own_scores(array, tmp_path):
    out = tmp_path / "out"
    assert run(array / "t1.svs", "-o", out, "--find-only").exit_code == 0
    text = (out / "grids" / "t1.csv").read_text("utf-8-sig")
    for old, new in (("A-1,", "image,"), ("A-2,", "All  1,"), ("A-3,", "all Core,"), ("B-1,", "pooled,")):
        text = text.replace(old, new)
    (tmp_path / "mine.csv").write_text(text)
    grids = ((array / "t1.csv", "plain"), (tmp_path / "mine.csv", "mine"))
    (array / "t1.csv").write_text((out / "grids" / "t1.csv").read_text("utf-8-sig"))
    scored = []
    for grid, name in grids:
        result = run(array / "t1.svs", "-o", tmp_path / name, "--grid", grid, "--segmenter", "watershed")
        assert result.exit_code == 0, result.output
        scored.append(rows(tmp_path / name / "cores.csv"))
    plain, mine = scored
    assert [row.pop("core") for row in mine] == ["image", "All  1", "all Core", "pooled", "B-2", "B-3"]
    assert [row.pop("core") for row in plain] == ["A-1", "A-2", "A-3", "B-1", "B-2", "B-3"]
    assert mine == plain


def test_a_core_needs_a_place(tmp_path):
    for place in ("nan,10", "10,inf"):
        (tmp_path / "grid.csv").write_text(f"name,x_um,y_um,diameter_um\nA,{place},300\n")
        with pytest.raises(InputError, match="line 2: a position in um is needed"):
            read_grid(tmp_path / "grid.csv")


def test_a_sheet_without_slides_is_of_one_slide(array, tmp_path):
    shutil.copy(array / "t1.svs", tmp_path / "t2.svs")
    out, sheet = tmp_path / "out", ("--sheet", array / "sheet.csv")
    with pytest.raises(IhcscoreError, match="4 cores of the sheet are on several slides: A-1, A-2, B-2, B-3: give it"):
        run(array / "t1.svs", tmp_path / "t2.svs", "-o", out, "--segmenter", "watershed", *sheet)


def test_patients_of_an_earlier_run_do_not_stay(array, tmp_path):
    once = (array / "t1.svs", "-o", tmp_path / "out", "--segmenter", "watershed")
    assert run(*once, "--sheet", array / "sheet.csv").exit_code == 0
    assert (tmp_path / "out" / "patients.csv").exists()
    assert run(*once).exit_code == 0
    assert not (tmp_path / "out" / "patients.csv").exists()


def test_a_core_needs_a_name(tmp_path):
    (tmp_path / "grid.csv").write_text("name,x_um,y_um,diameter_um\n ,10,10,300\n")
    with pytest.raises(InputError, match="line 2: the core needs a name"):
        read_grid(tmp_path / "grid.csv")


def test_a_slide_without_cores_is_a_row_and_the_others_are_scored(array, tmp_path):
    blank = write_svs(tmp_path / "blank.svs", np.full((900, 900, 3), 240, np.uint8), MPP, downsamples=(1,))
    result = run(array / "t1.svs", blank, "-o", tmp_path / "out", "--segmenter", "watershed")
    assert result.exit_code == 3
    status = {(row["image"], row["region"]): row for row in rows(tmp_path / "out" / "scores.csv")}
    assert status["t1", "A-3"]["status"] == "ok"
    assert "no grid of cores" in status["blank", "image"]["reason"]
    assert {row["slide"] for row in rows(tmp_path / "out" / "cores.csv")} == {"t1"}


def test_a_missing_core_counts_for_its_patient_and_for_no_score():
    core = Core("A-1", 0, 0, 1.0, 2.0, 600.0, MISSING)
    (patient,) = patient_rows([core_row("s", core, None, "P"), core_row("s", core, None, "")])
    assert (patient.cores, patient.cores_without_score, patient.status) == (0, 1, "unscorable")


def test_cores_of_a_slide_that_fails_stay_in_the_table(array, tmp_path):
    out, sheet = tmp_path / "out", tmp_path / "sheet.csv"
    shutil.copy(array / "t1.svs", tmp_path / "t2.svs")
    (out / "t2").mkdir(parents=True)
    (out / "t2" / "cells.csv").write_text("of something else")
    sheet.write_text("slide,core,patient\nt1,A-1,P1\nt2,A-2,P1\nt2,B-1,P2\n")
    result = run(array / "t1.svs", tmp_path / "t2.svs", "-o", out, "--segmenter", "watershed", "--sheet", sheet)
    assert result.exit_code == 3
    cores = {(row["slide"], row["core"]): row for row in rows(out / "cores.csv")}
    assert len(cores) == 12
    assert (cores["t1", "A-2"]["status"], cores["t2", "B-2"]["status"]) == ("ok", MISSING)
    assert cores["t2", "A-2"]["status"] == "failed"
    assert "of something else" in cores["t2", "A-2"]["reason"]
    patients = {row["patient"]: row for row in rows(out / "patients.csv")}
    assert (patients["P1"]["cores"], patients["P1"]["cores_without_score"]) == ("1", "1")
    assert (patients["P2"]["status"], patients["P2"]["h_score"]) == ("unscorable", "")


def test_a_refused_run_leaves_the_grids(array, tmp_path):
    once = (array / "t1.svs", "-o", tmp_path / "out", "--segmenter", "watershed")
    assert run(*once).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / "grids").iterdir()}
    with pytest.raises(IhcscoreError, match="holds results of other parameters"):
        run(*once, "--thresholds", "0.1,0.2,0.3", "--core-mm", "0.2")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "grids").iterdir()} == before


def test_slides_scored_one_after_the_other_are_in_one_table(array, tmp_path):
    (tmp_path / "second.csv").write_text("core,patient\nA-1,P1\nB-3,P7\n")
    how = ("-o", tmp_path / "out", "--segmenter", "watershed", "--sheet")
    assert run(array / "t1.svs", *how, array / "sheet.csv").exit_code == 0
    alone = rows(tmp_path / "out" / "cores.csv")
    assert run(array / "t2.svs", *how, tmp_path / "second.csv").exit_code == 0
    cores = rows(tmp_path / "out" / "cores.csv")
    assert [row for row in cores if row["slide"] == "t1"] == alone
    assert {row["patient"] for row in cores if row["slide"] == "t2"} == {"", "P1", "P7"}
    patients = {row["patient"]: row["cores"] for row in rows(tmp_path / "out" / "patients.csv")}
    assert patients == {"P1": "3", "P2": "0", "P3": "1", "P7": "1"}


def test_cores_and_patients_are_scored_again_without_the_slide(array, tmp_path):
    measured, out, anew = (tmp_path / name for name in ("measured", "out", "anew"))
    slide, how = array / "t1.svs", ("--segmenter", "watershed", "--sheet", array / "sheet.csv")
    other = ("--thresholds", "0.1,0.2,0.3")
    assert run(slide, "-o", measured, *how).exit_code == 0
    assert run(slide, "-o", anew, *how, *other).exit_code == 0
    result = CliRunner().invoke(app, ["rescore", str(measured), "-o", str(out), *other], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for name in ("cores.csv", "patients.csv"):
        assert rows(out / name) == rows(anew / name) != rows(measured / name)
    assert (out / "grids" / "t1.png").exists()


def test_cores_of_another_grid_are_not_given_the_scores(array, tmp_path):
    measured, out = tmp_path / "measured", tmp_path / "out"
    assert run(array / "t1.svs", "-o", measured, "--segmenter", "watershed").exit_code == 0
    assert run(array / "t1.svs", "-o", measured, "--find-only", "--core-mm", "0.2").exit_code == 0
    result = CliRunner().invoke(app, ["rescore", str(measured), "-o", str(out)], catch_exceptions=False)
    assert "t1: was not scored by grids/t1.csv" in result.stderr
    assert not (out / "cores.csv").exists()
    shutil.rmtree(measured / "grids")
    with pytest.raises(IhcscoreError, match="grids: is missing"):
        CliRunner().invoke(app, ["rescore", str(measured), "-o", str(out / "b")], catch_exceptions=False)


def test_cores_that_overlap_are_told(array, tmp_path):
    grid = tmp_path / "grid.csv"
    grid.write_text("name,x_um,y_um,diameter_um\nA,250,250,320\nB,400,250,320\nC,750,250,320\n")
    result = run(array / "t1.svs", "-o", tmp_path / "out", "--grid", grid, "--segmenter", "watershed")
    assert "1 pairs of cores overlap (A and B)" in result.stderr


def test_a_failed_slide_keeps_its_cores_and_patients_over_later_runs(array, tmp_path):
    slide, out = tmp_path / "t1.svs", tmp_path / "out"
    shutil.copy(array / "t1.svs", slide)
    how = ("-o", out, "--segmenter", "watershed")
    sheet = ("--sheet", array / "sheet.csv")
    assert run(slide, *how, *sheet).exit_code == 0
    good = slide.read_bytes()
    slide.write_bytes(good[: len(good) // 2])
    result = run(slide, *how, *sheet)
    assert result.exit_code == 1
    assert "in no grid" not in result.stderr.replace("1 cores of the sheet are in no grid: C-9", "")
    patients = {row["patient"]: row for row in rows(out / "patients.csv")}
    assert (patients["P1"]["cores"], patients["P1"]["cores_without_score"]) == ("0", "2")
    result = run(array / "t2.svs", *how)
    assert "failed in an earlier run and were not scored now: t1" in result.stderr
    cores = rows(out / "cores.csv")
    assert {row["status"] for row in cores if row["slide"] == "t1"} == {"failed", MISSING}
    assert {row["patient"] for row in cores if row["slide"] == "t1"} == {"", "P1", "P2", "P3"}
    again = tmp_path / "again"
    CliRunner().invoke(app, ["rescore", str(out), "-o", str(again)], catch_exceptions=False)
    assert {row["status"] for row in rows(again / "cores.csv") if row["slide"] == "t1"} == {"failed", MISSING}


def test_patients_that_are_lost_are_told(array, tmp_path):
    how = (array / "t1.svs", "-o", tmp_path / "out", "--segmenter", "watershed")
    assert run(*how, "--sheet", array / "sheet.csv").exit_code == 0
    assert "t1: its cores had patients, and have none without --sheet" in run(*how).stderr


def test_cores_have_the_cells_of_their_circles_wherever_the_image_lies(array, tmp_path):
    rgb = tifffile.imread(array / "t1.svs", key=0)
    found = {}
    for name in ("t", "t [d=2,x=1000,y=400,w=6000,h=4000]"):
        Image.fromarray(rgb).save(tmp_path / f"{name}.png")
        result = run(tmp_path / f"{name}.png", "--mpp", MPP, "-o", tmp_path / name, "--segmenter", "watershed")
        assert result.exit_code == 0, result.output
        found[name] = rows(tmp_path / name / "cores.csv")
        for row in found[name]:
            row["slide"] = ""
    plain, placed = found.values()
    assert placed == plain
    assert len({row["h_score"] for row in plain}) > 3


def test_a_grid_that_was_changed_does_not_get_the_scores(array, tmp_path):
    out = tmp_path / "out"
    assert run(array / "t1.svs", "-o", out, "--segmenter", "watershed").exit_code == 0
    grid = (out / "grids" / "t1.csv").read_text("utf-8-sig")
    place = next(row for row in rows(out / "grids" / "t1.csv") if row["name"] == "A-2")["x_um"]
    for old, new in ((f",{place},", f",{float(place) + 60},"), ("A-2,", "A-9,")):
        (out / "grids" / "t1.csv").write_text(grid.replace(old, new, 1))
        again = tmp_path / old[:2].strip(",")
        result = CliRunner().invoke(app, ["rescore", str(out), "-o", str(again)], catch_exceptions=False)
        assert "t1: was not scored by grids/t1.csv" in result.stderr
        assert not (again / "cores.csv").exists()


def test_patients_are_scored_by_all_their_cells(array, tmp_path):
    out = tmp_path / "out"
    how = ("--segmenter", "watershed", "--sheet", array / "sheet.csv", "--scores", "ki67,h_score")
    assert run(array / "t1.svs", "-o", out, *how).exit_code == 0
    cores = {row["core"]: row for row in rows(out / "cores.csv")}
    patient = next(row for row in rows(out / "patients.csv") if row["patient"] == "P1")
    assert int(patient["cells"]) == int(cores["A-1"]["cells"]) + int(cores["A-2"]["cells"]) > 0
    assert patient["status"] == "ok"


def test_a_slide_that_is_refused_keeps_its_grid(array, tmp_path):
    out = tmp_path / "out"
    once = (array / "t1.svs", "-o", out, "--segmenter", "watershed")
    assert run(*once).exit_code == 0
    grid = (out / "grids" / "t1.csv").read_bytes()
    cores = rows(out / "cores.csv")
    result = run(*once, "--core-mm", "0.2")
    assert result.exit_code == 1
    assert "another regions" in result.stderr
    assert (out / "grids" / "t1.csv").read_bytes() == grid
    assert [row["x_um"] for row in rows(out / "cores.csv")] == [row["x_um"] for row in cores]


def test_a_damaged_grid_leaves_the_others_their_cores(array, tmp_path):
    out, how = tmp_path / "out", ("--segmenter", "watershed")
    assert run(array / "t1.svs", "-o", out, *how).exit_code == 0
    (out / "grids" / "t1.csv").write_text("nothing")
    result = run(array / "t2.svs", "-o", out, *how)
    assert result.exit_code == 0
    assert "t1: t1.csv" in result.stderr
    assert {row["slide"] for row in rows(out / "cores.csv")} == {"t2"}


def test_tables_of_a_spreadsheet_are_told_how_to_be_saved(tmp_path):
    for text in ("name;x_um;y_um;diameter_um\nA;250,6;10;300\n", "name;x_um;y_um;diameter_um\nA;250.6;10;300\n"):
        (tmp_path / "grid.csv").write_text(text)
        with pytest.raises(InputError, match="separate its columns by commas, not by ';'"):
            read_grid(tmp_path / "grid.csv")


def test_cores_outside_the_slide_are_named(array, tmp_path):
    (tmp_path / "grid.csv").write_text("name,x_um,y_um,diameter_um\nA,250,250,320\nB,9000,250,320\n")
    result = run(array / "t1.svs", "-o", tmp_path / "out", "--grid", tmp_path / "grid.csv")
    assert result.exit_code == 1
    assert "cores B lie outside of its 1500 x 1000 um" in result.stderr
