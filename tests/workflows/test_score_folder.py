import csv
import json
import shutil
from importlib import resources

import cv2
import numpy as np
import pytest
import tifffile
from conftest import discs
from PIL import Image

from ihcscore import load_assay, read_image, score_image
from ihcscore.errors import (
    AssayError,
    DamagedResult,
    IhcscoreError,
    InputError,
    OutputError,
    ResultMismatch,
    WeightsError,
)
from ihcscore.io.manifests import expand_inputs
from ihcscore.phantom import load_parameters, render
from ihcscore.results.writers.tables import read_cells
from ihcscore.workflows.replay import replay
from ihcscore.workflows.rescore_folder import rescore_folder
from ihcscore.workflows.score_folder import score_files

ASSAY = load_assay("generic-nuclear").replace(mpp=0.5)


def save(path, dab, white=240, size=(80, 140)):
    places = [(30 + 40 * k, 40) for k in range(3)]
    rgb, _ = discs(size, places, 8, 0.35, dab)
    rgb = np.clip(rgb.astype(float) * white / 240, 0, 255).round().astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture
def tiles(tmp_path):
    folder = tmp_path / "tiles"
    save(folder / "case1_a.png", (0.0, 0.3, 0.5))
    save(folder / "case1_b.png", (0.7, 0.7, 0.9))
    save(folder / "case2_a.png", (0.0, 0.0, 0.3))
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(tiles, out, assay=ASSAY, **options):
    return score_files(expand_inputs([tiles], assay.group), assay, out, **options)


def rows_of(out):
    with (out / "scores.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def snapshot(out):
    return {
        p.relative_to(out).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in out.rglob("*")
        if p.is_file() and p.name != ".lock"
    }


def test_every_image_has_a_row_and_a_folder(tiles, out):
    report = run(tiles, out, cells_csv=True)
    rows = rows_of(out)
    assert [row["image"] for row in rows] == ["case1_a", "case1_b", "case2_a"]
    assert [row["h_score"] for row in rows] == [
        str(row.h_score if row.h_score is None else round(row.h_score, 6)) for row in report.rows
    ]
    for row in rows:
        names = {p.name for p in (out / row["image"]).iterdir()}
        assert names == {
            "cells.parquet",
            "cells.csv",
            "cells.geojson",
            "overlay.png",
            "quality.csv",
            "blocks.parquet",
        } | {"summary.json"}
        table = read_cells(out / row["image"] / "cells.parquet")
        assert int(row["cells"]) + int(row["unmeasurable"]) + int(row["cut_by_border"]) == len(table)


def test_files_score_as_arrays_do(tiles, out):
    run(tiles, out)
    for name in ("case1_a", "case1_b", "case2_a"):
        summary = json.loads((out / name / "summary.json").read_text())
        result = score_image(read_image(tiles / f"{name}.png", 0.5).rgb, mpp=0.5)
        expected = {**result.scores.to_dict(), "image": name}
        assert summary["scores"] == expected
        assert summary["cells"]["sha256"] == result.provenance["cells"]["sha256"]


def test_the_same_command_again_leaves_everything(tiles, out):
    run(tiles, out)
    before = snapshot(out)
    report = run(tiles, out)
    assert report.kept == 3
    after = snapshot(out)
    assert after == before


@pytest.mark.parametrize("lost", ["overlay.png", "cells.geojson", "cells.parquet", "summary.json"])
def test_what_is_missing_is_completed(tiles, out, lost):
    run(tiles, out)
    before = snapshot(out)
    (out / "case1_b" / lost).unlink()
    report = run(tiles, out)
    assert report.kept == 2
    after = snapshot(out)
    assert {n: v[0] for n, v in after.items()} == {n: v[0] for n, v in before.items()}
    assert after["case1_a/overlay.png"][1] == before["case1_a/overlay.png"][1]


def test_images_can_be_added(tiles, out):
    assay = ASSAY
    score_files(expand_inputs([tiles / "case2_a.png"]), assay, out)
    run(tiles, out)
    assert len(rows_of(out)) == 3


def test_other_parameters_are_refused_unless_told(tiles, out):
    run(tiles, out)
    before = snapshot(out)
    other = ASSAY.replace(thresholds=(0.1, 0.2, 0.3))
    with pytest.raises(ResultMismatch, match=r"thresholds.*--overwrite"):
        run(tiles, out, other)
    assert snapshot(out) == before
    score_files(expand_inputs([tiles / "case1_a.png"]), other, out, overwrite=True)
    assert [row["image"] for row in rows_of(out)] == ["case1_a"]
    assert not (out / "case2_a").exists()


def test_a_changed_image_is_refused_unless_told(tiles, out):
    run(tiles, out)
    save(tiles / "case1_a.png", (0.9, 0.9, 0.9))
    report = run(tiles, out)
    assert len(report.failed) == 1
    assert "case1_a.png" in report.failed[0]
    assert "--overwrite" in report.failed[0]
    assert {row["image"]: row["status"] for row in rows_of(out)}["case1_a"] == "failed"
    assert run(tiles, out, overwrite=True).failed == ()
    assert rows_of(out)[0]["h_score"] == "300.0"


def test_a_failed_image_is_a_row_with_its_reason(tiles, out):
    (tiles / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("L", (40, 40)).save(tiles / "gray.png")
    report = run(tiles, out)
    assert len(report.failed) == 2
    rows = {row["image"]: row for row in rows_of(out)}
    assert rows["broken"]["status"] == "failed"
    assert "not a PNG" in rows["broken"]["reason"]
    assert rows["gray"]["h_score"] == ""
    assert rows["case1_a"]["status"] == "ok"
    assert not (out / "broken").exists()


def test_a_repaired_image_replaces_its_failure(tiles, out):
    good = (tiles / "case1_a.png").read_bytes()
    (tiles / "case1_a.png").write_bytes(good[:60])
    assert len(run(tiles, out).failed) == 1
    (tiles / "case1_a.png").write_bytes(good)
    assert run(tiles, out).failed == ()
    assert [row["status"] for row in rows_of(out)] == ["ok"] * 3


@pytest.mark.parametrize("group", [None, r"(case\d)_"])
def test_tiles_are_scored_by_workers_as_by_one(tiles, out, tmp_path, group):
    shutil.copy(tiles / "case1_a.png", tiles / "case2_z.png")
    (tiles / "case3_a.png").write_bytes((tiles / "case1_b.png").read_bytes()[:300])
    assay = ASSAY.replace(group=group)
    one = run(tiles, out, assay)
    steps = []
    two = run(tiles, tmp_path / "two", assay, workers=2, progress=lambda what, done: steps.append(done))
    names = [path.relative_to(out) for path in out.rglob("*") if path.is_file() and path.name != "summary.json"]
    assert len(names) > 20
    for name in names:
        assert (tmp_path / "two" / name).read_bytes() == (out / name).read_bytes(), name
    assert (two.rows, two.failed, two.kept) == (one.rows, one.failed, one.kept)
    assert sorted(two.warnings) == sorted(one.warnings)
    assert "the same file as case1_a" in " ".join(two.warnings)
    assert steps == sorted(steps)
    assert steps[-1] == 5
    assert run(tiles, tmp_path / "two", assay, workers=2).kept == 4


def test_workers_that_cannot_write_are_one_error(tiles, out):
    out.mkdir()
    (out / "case1_a").write_text("in the way")
    with pytest.raises(OutputError, match=r"cells\.parquet"):
        run(tiles, out, workers=2)


def test_a_missing_pixel_size_fails_each_image_clearly(tiles, out):
    report = run(tiles, out, load_assay("generic-nuclear"))
    assert len(report.failed) == 3
    assert all("--mpp" in line for line in report.failed)


def test_groups_share_a_context_and_have_a_pooled_row(tiles, out):
    assay = ASSAY.replace(group=r"case\d", background="auto")
    save(tiles / "case1_a.png", (0.0, 0.3, 0.5), white=236)
    report = run(tiles, out, assay)
    rows = {(row["image"], row["region"]): row for row in rows_of(out)}
    assert set(rows) == {(n, "image") for n in ("case1_a", "case1_b", "case2_a")} | {
        ("case1", "pooled"),
        ("case2", "pooled"),
    }
    for column in ("cells", "negative", "weak", "moderate", "strong", "unmeasurable", "cut_by_border"):
        parts = [int(rows[(name, "image")][column]) for name in ("case1_a", "case1_b")]
        assert int(rows[("case1", "pooled")][column]) == sum(parts)
    contexts = [json.loads((out / name / "summary.json").read_text())["context"] for name in ("case1_a", "case1_b")]
    assert contexts[0]["background"] == contexts[1]["background"]
    assert contexts[0]["stains"] == contexts[1]["stains"]
    assert 236 < contexts[0]["background"][0] < 240
    assert report.failed == ()
    assert run(tiles, out, assay).kept == 3


def test_a_folder_of_something_else_is_not_emptied(tiles, out):
    (out / "case1_a").mkdir(parents=True)
    for name in ("cells.csv", "regions.geojson", "notes.txt"):
        (out / "case1_a" / name).write_text("mine")
    report = run(tiles, out, overwrite=True)
    assert report.failed == (
        "case1_a.png: its folder case1_a holds cells.csv, regions.geojson of something else: "
        "choose another folder for the results",
    )
    assert {path.name: path.read_text() for path in (out / "case1_a").iterdir()} == dict.fromkeys(
        ("cells.csv", "regions.geojson", "notes.txt"), "mine"
    )
    for name in ("cells.csv", "regions.geojson"):
        (out / "case1_a" / name).unlink()
    assert run(tiles, out).failed == ()
    assert (out / "case1_a" / "notes.txt").exists()


def test_a_result_that_was_being_written_is_written_anew(tiles, out):
    run(tiles, out)
    (out / "case1_a" / "summary.json").unlink()
    (out / "case1_a" / ".cells.parquet.99.part").write_bytes(b"half")  # as of a process that was killed
    before = snapshot(out)["case1_b/cells.parquet"]
    assert run(tiles, out).failed == ()
    assert (out / "case1_a" / "summary.json").exists()
    assert not list((out / "case1_a").glob(".*"))
    assert snapshot(out)["case1_b/cells.parquet"] == before


def test_what_else_is_in_its_group_does_not_change_a_tile(tmp_path):
    for k, marker in enumerate(("membranous", "cytoplasmic")):
        path = tmp_path / "tiles" / f"case1_{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(render(load_parameters(marker), 40 + k).rgb[:256, :256]).save(path)
    found = []
    for name, group in (("alone", None), ("together", r"case\d")):
        run(tmp_path / "tiles", tmp_path / name, load_assay("her2").replace(population="all", mpp=0.5, group=group))
        summaries = [json.loads(path.read_text()) for path in sorted((tmp_path / name).glob("*/summary.json"))]
        found.append([(each["cells"]["sha256"], each["context"]) for each in summaries])
    assert found[0] == found[1]
    assert found[0][0][1]["texture"] != found[0][1][1]["texture"]


def test_a_new_tile_of_a_group_does_not_mix_with_its_old_results(tiles, out):
    assay = ASSAY.replace(group=r"case\d", background="auto")
    run(tiles, out, assay)
    save(tiles / "case1_c.png", (0.0, 0.3, 0.5), white=230)
    report = run(tiles, out, assay)
    assert len(report.failed) == 2
    assert "another background or stains of its group" in report.failed[0]
    pooled = {row["image"]: row for row in rows_of(out) if row["region"] == "pooled"}
    assert pooled["case1"]["reason"] == "2 of its tiles failed"


def test_a_pool_is_not_mixed_of_different_backgrounds(tiles, out):
    assay = ASSAY.replace(group=r"case\d", background="auto")
    save(tiles / "case1_b.png", (0.7, 0.7, 0.9), white=230)
    for name in ("case1_a", "case1_b"):
        score_files(expand_inputs([tiles / f"{name}.png"], assay.group), assay, out)
    pooled = [row for row in rows_of(out) if row["region"] == "pooled"]
    assert [row["status"] for row in pooled] == ["failed"]
    assert "score them together" in pooled[0]["reason"]


@pytest.mark.parametrize("change", ["case,mpp\nA,0.25", "case,mpp\nB,0.5"])
def test_a_changed_manifest_does_not_keep_the_old_result(tiles, out, change):
    manifest = tiles / "list.csv"
    manifest.write_text("path,case,mpp\ncase1_a.png,A,0.5\n")
    assay = load_assay("generic-nuclear").replace(group="case")
    score_files(expand_inputs([manifest], "case"), assay, out)
    manifest.write_text(change.replace("case,", "path,case,").replace("\n", "\ncase1_a.png,"))
    report = score_files(expand_inputs([manifest], "case"), assay, out)
    assert "--overwrite" in report.failed[0]
    assert score_files(expand_inputs([manifest], "case"), assay, out, overwrite=True).failed == ()


def test_an_image_does_not_stand_twice_under_two_names(tiles, out):
    first = expand_inputs([tiles / "case1_a.png"])
    score_files(first, ASSAY, out)
    other = save(tiles.with_name("more") / "case1_a.png", (0.9, 0.9, 0.9))
    both = expand_inputs([tiles / "case1_a.png", other])
    report = score_files(both, ASSAY, out)
    assert len(report.failed) == 1
    assert "in the results as case1_a already" in report.failed[0]
    assert score_files(both, ASSAY, out, overwrite=True).failed == ()
    assert sorted(row["image"] for row in rows_of(out)) == ["case1_a__more", "case1_a__tiles"]


def test_a_folder_is_claimed_by_its_results_not_by_its_mark(tiles, out):
    run(tiles, out)
    (out / "run.json").unlink()
    with pytest.raises(ResultMismatch, match="thresholds"):
        run(tiles, out, ASSAY.replace(thresholds=(0.1, 0.2, 0.3)))


def test_a_rescored_folder_is_not_completed(tiles, out, tmp_path):
    run(tiles, out)
    rescore_folder(out, tmp_path / "new", thresholds=(0.1, 0.2, 0.3))
    with pytest.raises(ResultMismatch, match="rescored"):
        run(tiles, tmp_path / "new", ASSAY.replace(thresholds=(0.1, 0.2, 0.3)))


def test_files_of_others_are_left_alone(tiles, out):
    run(tiles, out)
    mine = out / "mine"
    mine.mkdir()
    (mine / "summary.json").write_text('{"mine": 1}')
    (mine / "overlay.png").write_bytes(b"x")
    assert run(tiles, out).kept == 3
    run(tiles, out, ASSAY.replace(thresholds=(0.1, 0.2, 0.3)), overwrite=True)
    assert (mine / "summary.json").read_text() == '{"mine": 1}'
    assert (mine / "overlay.png").read_bytes() == b"x"


@pytest.mark.parametrize("damage", ["", "{", '{"format": "ihcscore-result", "format_version": 9}', "[]"])
def test_a_damaged_summary_is_scored_again(tiles, out, damage):
    run(tiles, out)
    before = snapshot(out)
    (out / "case1_b" / "summary.json").write_text(damage)
    score_files(expand_inputs([tiles / "case1_a.png"]), ASSAY, out)
    report = run(tiles, out)
    assert (report.kept, report.failed) == (2, ())
    assert {n: v[0] for n, v in snapshot(out).items()} == {n: v[0] for n, v in before.items()}


def test_a_damaged_summary_of_another_image_is_said(tiles, out):
    run(tiles, out)
    (out / "case1_b" / "summary.json").write_text("{")
    report = score_files(expand_inputs([tiles / "case1_a.png"]), ASSAY, out)
    assert any("case1_b/summary.json" in text for text in report.warnings)
    assert len(rows_of(out)) == 2


@pytest.mark.parametrize("key", ["scores", "input", "parameters", "cells", "context", "assay", "image", "libraries"])
def test_a_summary_without_its_parts_is_refused_by_all(tiles, out, key):
    run(tiles, out)
    path = out / "case1_b" / "summary.json"
    summary = json.loads(path.read_text())
    summary[key] = 5
    path.write_text(json.dumps(summary))
    with pytest.raises(DamagedResult, match=r"case1_b/summary\.json: is damaged"):
        replay(path, tiles)
    assert any("case1_b" in text for text in rescore_folder(out, out.with_name(f"new-{key}")).warnings)


def test_a_truncated_cell_table_is_scored_again(tiles, out):
    run(tiles, out)
    before = snapshot(out)
    table = out / "case1_b" / "cells.parquet"
    table.write_bytes(table.read_bytes()[:200])
    assert run(tiles, out).kept == 2
    assert {n: v[0] for n, v in snapshot(out).items()} == {n: v[0] for n, v in before.items()}


def test_results_hold_no_path_of_the_machine(tiles, out, tmp_path):
    run(tiles, out, ASSAY.replace(group=r"case\d"), cells_csv=True)
    for path in out.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path.name


def test_an_unwritable_place_is_said(tiles, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        run(tiles, tmp_path / "file")


def test_rescoring_a_folder(tiles, out, tmp_path):
    run(tiles, out, ASSAY.replace(group=r"case\d"))
    new = tmp_path / "new"
    report = rescore_folder(out, new, thresholds=(0.4, 0.6, 0.8))
    direct = tmp_path / "direct"
    run(tiles, direct, ASSAY.replace(group=r"case\d", thresholds=(0.4, 0.6, 0.8)))
    assert rows_of(new) == rows_of(direct)
    assert len(report.rows) == 5
    summary = json.loads((new / "case1_a" / "summary.json").read_text())
    measured = json.loads((out / "case1_a" / "summary.json").read_text())
    assert summary["rescored_from"]["cells_sha256"] == measured["cells"]["sha256"]
    assert summary["rescored_from"]["result"] == "out"
    with pytest.raises(ResultMismatch, match="holds results already"):
        rescore_folder(out, new)
    with pytest.raises(IhcscoreError, match="holds no results"):
        rescore_folder(tmp_path / "tiles", tmp_path / "x")


def test_rescoring_keeps_what_failed(tiles, out, tmp_path):
    (tiles / "case1_c.png").write_bytes(b"no image")
    run(tiles, out, ASSAY.replace(group=r"case\d"))
    (out / "case2_a" / "cells.parquet").unlink()
    report = rescore_folder(out, tmp_path / "new")
    assert [text.split(":")[0] for text in report.failed] == ["case1_c", "case2_a/cells.parquet"]
    rows = {(row["image"], row["region"]): row for row in rows_of(tmp_path / "new")}
    assert rows[("case1_c", "image")]["status"] == "failed"
    assert "case2_a/cells.parquet" in rows[("case2_a", "image")]["reason"]
    assert rows[("case1", "pooled")]["reason"] == "1 of its tiles failed"


def test_a_pool_without_its_tables_is_a_failed_row(tiles, out):
    assay = ASSAY.replace(group=r"case\d")
    run(tiles, out, assay)
    (out / "case1_b" / "cells.parquet").unlink()
    score_files(expand_inputs([tiles / "case2_a.png"], assay.group), assay, out)
    pooled = {row["image"]: row for row in rows_of(out) if row["region"] == "pooled"}
    assert pooled["case1"]["status"] == "failed"
    assert pooled["case2"]["status"] == "ok"


def test_nothing_stale_stays_beside_a_new_result(tiles, out):
    run(tiles, out, cells_csv=True)
    save(tiles / "case1_a.png", (0.9, 0.9, 0.9))
    run(tiles, out, overwrite=True)
    assert not (out / "case1_a" / "cells.csv").exists()
    assert (out / "case1_b" / "cells.csv").exists()


def test_copies_are_said(tiles, out):
    shutil.copy(tiles / "case1_a.png", tiles / "copy.png")
    assert any("copy: the same file as case1_a" in text for text in run(tiles, out).warnings)


def test_rescoring_twice_and_changing_the_background(tiles, out, tmp_path):
    run(tiles, out)
    first = rescore_folder(out, tmp_path / "one", background=(240.0, 240.0, 240.0))
    second = rescore_folder(tmp_path / "one", tmp_path / "two", background=(255.0, 255.0, 255.0))
    before = [row["mean_dab_od"] for row in rows_of(out)]
    assert [round(row.mean_dab_od, 5) for row in second.rows] == [round(float(v), 5) for v in before]
    assert [row.mean_dab_od for row in first.rows] < [float(v) for v in before]


def test_a_wrong_table_is_not_rescored(tiles, out, tmp_path):
    run(tiles, out)
    shutil.copy(out / "case1_a" / "cells.parquet", out / "case1_b" / "cells.parquet")
    report = rescore_folder(out, tmp_path / "new")
    assert "case1_b/cells.parquet: is not the table its summary" in report.failed[0]
    assert [row["status"] for row in rows_of(tmp_path / "new")] == ["ok", "ok", "failed"]


def test_results_repeat_from_their_own_record(tiles, out, tmp_path):
    run(tiles, out, ASSAY.replace(group=r"case\d", background="auto"))
    assert replay(out / "case1_a" / "summary.json", tiles).same
    rescore_folder(out, tmp_path / "new", compartment=("cell",))
    assert replay(tmp_path / "new" / "case1_b" / "summary.json").same


def test_a_changed_record_does_not_repeat(tiles, out):
    run(tiles, out)
    path = out / "case1_a" / "summary.json"
    summary = json.loads(path.read_text())
    summary["scores"]["scores"]["h_score"]["value"] += 1
    summary["libraries"]["numpy"] = "1.0"
    path.write_text(json.dumps(summary))
    done = replay(path, tiles)
    assert not done.same
    assert any("h_score" in line for line in done.differences)
    assert any("numpy" in line for line in done.notes)


def test_another_image_is_not_replayed(tiles, out):
    run(tiles, out)
    with pytest.raises(InputError, match="not the file that was used"):
        replay(out / "case1_a" / "summary.json", tiles / "case1_b.png")
    with pytest.raises(IhcscoreError, match="--input"):
        replay(out / "case1_a" / "summary.json")


# --- nuclei and weights from elsewhere


def given_nuclei(folder, names, labels):
    folder.mkdir()
    for name in names:
        Image.fromarray(labels).save(folder / name)
    return folder


def test_given_nuclei_are_scored_recorded_and_replayed(tiles, out, tmp_path):
    _, labels = discs((80, 140), [(30, 40), (70, 40)], 9)  # one less than there are
    folder = given_nuclei(tmp_path / "labels", ["case1_a_nuclei.png", "case1_b.png"], labels.astype(np.uint8))
    report = score_files(expand_inputs([tiles], nuclei=folder), ASSAY, out)
    assert [row["cells"] for row in rows_of(out)] == ["2", "2", ""]
    assert "holds no file of nuclei for it: expected one such as case2_a.png" in report.failed[0]
    summary = json.loads((out / "case1_a" / "summary.json").read_text())
    assert summary["segmenter"]["name"] == "given"
    assert summary["segmenter"]["parameters"]["labels_given"] == 2
    assert summary["input"]["nuclei"]["name"] == "case1_a_nuclei.png"
    with pytest.raises(IhcscoreError, match="--nuclei"):
        replay(out / "case1_a" / "summary.json", tiles)
    assert replay(out / "case1_a" / "summary.json", tiles, nuclei=folder).same
    assert score_files(expand_inputs([tiles], nuclei=folder), ASSAY, out).kept == 2
    assert "scored with another nuclei" in score_files(expand_inputs([tiles / "case1_a.png"]), ASSAY, out).failed[0]


def test_one_file_is_not_the_nuclei_of_two_images(out, tmp_path):
    save(tmp_path / "a" / "t1.png", (0.0, 0.3, 0.5))
    save(tmp_path / "b" / "t1.png", (0.7, 0.7, 0.9))
    _, labels = discs((80, 140), [(30, 40)], 9)
    folder = given_nuclei(tmp_path / "labels", ["t1.png"], labels.astype(np.uint8))
    report = score_files(expand_inputs([tmp_path / "a", tmp_path / "b"], nuclei=folder), ASSAY, out)
    assert [row["status"] for row in rows_of(out)] == ["failed", "failed"]
    assert all("t1.png: would be the nuclei of several images" in line for line in report.failed)


def test_one_file_is_not_the_regions_of_two_images(out, tmp_path):
    for folder, dab in (("a", (0.0, 0.3, 0.5)), ("b", (0.7, 0.7, 0.9))):
        save(tmp_path / folder / "t1.png", dab)
    (tmp_path / "marked").mkdir()
    square(tmp_path / "marked" / "t1.geojson", "Tumor", 0, 0, 60)
    both = [tmp_path / "a", tmp_path / "b"]
    for workers in (1, 2):
        inputs = expand_inputs(both, regions=tmp_path / "marked")
        report = score_files(inputs, ASSAY, out / str(workers), workers=workers)
        assert len(report.failed) == 2
        assert all("t1.geojson: would be the regions of several images" in line for line in report.failed)
    score_files(expand_inputs(both), ASSAY, tmp_path / "plain")
    again = rescore_folder(tmp_path / "plain", tmp_path / "again", regions=tmp_path / "marked")
    assert len(again.failed) == 2
    assert all("would be the regions of 2 images" in line for line in again.failed)
    lines = ["path,regions", *(f"{folder}/t1.png,marked/t1.geojson" for folder in ("a", "b"))]
    (tmp_path / "all.csv").write_text("\n".join(lines))
    named = score_files(expand_inputs([tmp_path / "all.csv"]), ASSAY, tmp_path / "named")
    assert not named.failed  # whoever names it for both means it


def test_regions_changed_by_hand_are_noticed(tiles, out, tmp_path):
    marked = square(tmp_path / "case1_a.geojson", "Tumor", 0, 0, 60)
    score_files(expand_inputs([tiles / "case1_a.png"], regions=marked), ASSAY, out)
    rescore_folder(out, tmp_path / "again")
    assert replay(tmp_path / "again" / "case1_a", out).same
    for folder in (out, tmp_path / "again"):
        square(folder / "case1_a" / "regions.geojson", "Tumor", 0, 0, 50)
        with pytest.raises(DamagedResult, match=r"regions\.geojson: holds other regions"):
            replay(folder / "case1_a", tiles if folder == out else out)
    report = rescore_folder(out, tmp_path / "third")
    assert "holds other regions" in report.failed[0]
    assert score_files(expand_inputs([tiles / "case1_a.png"], regions=marked), ASSAY, out).kept == 0
    assert replay(out / "case1_a", tiles).same  # it was scored again


def test_regions_changed_by_hand_are_no_part_of_a_pool(tiles, out, tmp_path):
    marked = tmp_path / "marked"
    marked.mkdir()
    for name in ("case1_a", "case1_b"):
        square(marked / f"{name}.geojson", "Tumor", 0, 0, 60)
    inputs = expand_inputs([tiles], r"case\d", regions=marked)
    score_files([item for item in inputs if item.group == "case1"], ASSAY.replace(group=r"case\d"), out)
    square(out / "case1_a" / "regions.geojson", "Tumor", 0, 0, 50)
    score_files(expand_inputs([tiles / "case2_a.png"], r"case\d"), ASSAY.replace(group=r"case\d"), out)
    pooled = [row for row in rows_of(out) if row["image"] == "case1" and row["region"] == "pooled"]
    assert [row["status"] for row in pooled] == ["failed"]
    assert "holds other regions" in pooled[0]["reason"]


def test_one_file_may_hold_nuclei_and_regions(tiles, out, tmp_path):
    score_files(expand_inputs([tiles / "case1_a.png"]), ASSAY, out)
    features = json.loads((out / "case1_a" / "cells.geojson").read_text("utf-8"))["features"]
    both = square(tmp_path / "case1_a.geojson", "Tumor", 0, 0, 60)
    both.write_text(json.dumps({"type": "FeatureCollection", "features": [*features, json.loads(both.read_text())]}))
    inputs = expand_inputs([tiles / "case1_a.png"], nuclei=tmp_path, regions=tmp_path)
    assert not score_files(inputs, ASSAY, tmp_path / "again").failed


def test_an_image_called_as_a_picture_of_its_result_is_replayed(out, tmp_path, monkeypatch):
    save(tmp_path / "images" / "overlay.png", (0.0, 0.3, 0.5))
    run(tmp_path / "images", out)
    monkeypatch.chdir(tmp_path / "images")
    assert replay(out / "overlay" / "summary.json").same
    whole = (tmp_path / "images" / "overlay.png").read_bytes()
    (tmp_path / "images" / "overlay.png").write_bytes(whole[:100])
    with pytest.raises(InputError, match="truncated"):
        replay(out / "overlay" / "summary.json", tmp_path / "images")


def test_images_without_nuclei_of_theirs_have_no_cells(tiles, out, tmp_path):
    folder = given_nuclei(tmp_path / "labels", ["case1_a.png"], np.zeros((80, 140), np.uint8))
    report = score_files(expand_inputs([tiles / "case1_a.png"], nuclei=folder), ASSAY, out)
    assert rows_of(out)[0]["status"] == "unscorable"
    assert report.warnings == ("case1_a: case1_a.png: holds no nuclei, so the image has no cells",)


def test_a_mask_fails_its_image_and_no_other(tiles, out, tmp_path):
    _, labels = discs((80, 140), [(30, 40), (70, 40)], 9)
    folder = given_nuclei(tmp_path / "labels", ["case1_a.png", "case2_a.png"], labels.astype(np.uint8))
    Image.fromarray((labels > 0).astype(np.uint8) * 255).save(folder / "case1_b.png")
    report = score_files(expand_inputs([tiles], nuclei=folder), ASSAY, out)
    assert sorted(row["status"] for row in rows_of(out)) == ["failed", "ok", "ok"]
    assert report.failed == ("case1_b.png: is a mask with several pieces: give each nucleus its own number",)


def test_labels_beside_the_images_are_not_images(tiles, out):
    _, labels = discs((80, 140), [(30, 40)], 9)
    for name in ("case1_a_nuclei.png", "case1_b_nuclei.png", "case2_a_nuclei.png"):
        Image.fromarray(labels.astype(np.uint16)).save(tiles / name)
    report = score_files(expand_inputs([tiles], nuclei=tiles), ASSAY, out)
    assert not report.failed
    assert [row["cells"] for row in rows_of(out)] == ["1", "1", "1"]
    assert len(expand_inputs([tiles])) == 6  # without --nuclei nothing says that they are labels


def test_nuclei_named_as_the_image_are_not_taken_for_it(tiles, out, tmp_path):
    _, labels = discs((80, 140), [(30, 40)], 9)
    folder = given_nuclei(tmp_path / "labels", ["case1_a.png"], labels.astype(np.uint8))
    score_files(expand_inputs([tiles / "case1_a.png"], nuclei=folder), ASSAY, out)
    with pytest.raises(InputError, match=r"case1_a\.png: is not the file that was used .* with --nuclei"):
        replay(out / "case1_a" / "summary.json", tiles)
    assert replay(out / "case1_a" / "summary.json", tiles, nuclei=folder).same
    with pytest.raises(InputError, match="not the file that was used"):
        replay(out / "case1_a" / "summary.json", tiles, nuclei=tiles / "case1_a.png")


def test_a_manifest_names_nuclei_relative_to_itself(tiles, out, tmp_path):
    _, labels = discs((80, 140), [(30, 40)], 9)
    given_nuclei(tiles / "by hand", ["one.png"], labels.astype(np.uint8))
    (tiles / "all.csv").write_text("path,nuclei\ncase1_a.png,by hand/one.png\n")
    score_files(expand_inputs([tiles / "all.csv"]), ASSAY, out)
    assert [row["cells"] for row in rows_of(out)] == ["1"]


def test_weights_are_recorded_by_name_and_hash(tiles, out, tmp_path):
    weights = tmp_path / "mine.onnx"
    weights.write_bytes((resources.files("ihcscore.cells.segmentation") / "weights" / "nuclei.onnx").read_bytes())
    run(tiles, out, ASSAY.replace(weights=str(weights)))
    text = "".join(path.read_text() for path in out.rglob("*.json"))
    assert str(tmp_path) not in text
    summary = json.loads((out / "case1_a" / "summary.json").read_text())
    assert summary["assay"]["weights"] == "mine.onnx"
    assert summary["assay"]["weights_sha256"] == summary["segmenter"]["parameters"]["weights_sha256"]
    with pytest.raises(WeightsError, match=r"mine.onnx: cannot be read"):
        replay(out / "case1_a" / "summary.json", tiles)
    assert replay(out / "case1_a" / "summary.json", tiles, weights=weights).same
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="is not the"):
        replay(out / "case1_a" / "summary.json", tiles, weights=weights)


def test_other_weights_are_other_parameters(tiles, out, tmp_path):
    weights = tmp_path / "mine.onnx"
    weights.write_bytes((resources.files("ihcscore.cells.segmentation") / "weights" / "nuclei.onnx").read_bytes())
    run(tiles, out)
    with pytest.raises(ResultMismatch, match="weights, weights_sha256"):
        run(tiles, out, ASSAY.replace(weights=str(weights)))
    run(tiles, tmp_path / "two", ASSAY.replace(weights=str(weights)))
    assert run(tiles, tmp_path / "two", ASSAY.replace(weights=str(weights))).kept == 3
    data = weights.read_bytes()
    weights.write_bytes(data.replace(b"squares", b"squarex"))  # another file of the same name, as good a network
    assert weights.read_bytes() != data
    with pytest.raises(ResultMismatch, match="weights_sha256"):
        run(tiles, tmp_path / "two", ASSAY.replace(weights=str(weights)))


@pytest.mark.parametrize("mpp", [0.25, 0.4, 0.8])
def test_given_nuclei_stay_where_they_are_at_any_pixel_size(tmp_path, out, mpp):
    radius, places = 5 / mpp, [(20 / mpp, 20 / mpp), (60 / mpp, 24 / mpp)]
    rgb, labels = discs((int(50 / mpp), int(80 / mpp)), places, radius, 0.35, (0.0, 0.5))
    Image.fromarray(rgb).save(tmp_path / "t.png")
    Image.fromarray(labels.astype(np.uint8)).save(tmp_path / "n.png")
    assay = ASSAY.replace(mpp=mpp)
    score_files(expand_inputs([tmp_path / "t.png"], nuclei=tmp_path / "n.png"), assay, out)
    cells = read_cells(out / "t" / "cells.parquet").sort_values("x_px")
    np.testing.assert_allclose(cells[["x_um", "y_um"]], [(20, 20), (60, 24)], atol=0.3)
    np.testing.assert_allclose(cells["Nucleus: Area µm^2"], np.pi * 25, rtol=0.05)
    assert replay(out / "t" / "summary.json", tmp_path, nuclei=tmp_path).same


def square(path, kind, x, y, side):
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    properties = {"objectType": "annotation", "classification": {"name": kind}}
    path.write_text(json.dumps({"type": "Feature", "geometry": shape, "properties": properties}))
    return path


def test_a_pool_leaves_out_what_its_tiles_leave_out(tiles, out, tmp_path):
    marked = tmp_path / "marked"
    marked.mkdir()
    for name in ("case1_a", "case1_b"):
        square(marked / f"{name}.geojson", "Ignore*", 50, 0, 55)
    (tiles / "case2_a.png").unlink()
    inputs = expand_inputs([tiles], r"case\d", regions=marked)
    score_files(inputs, ASSAY.replace(group=r"case\d", hotspot_mm2=0.01), out)
    *images, pooled = [row for row in rows_of(out) if not row["region"].startswith("hotspot")]
    for column in ("cells", "excluded", "cut_by_border"):
        assert int(pooled[column]) == sum(int(row[column]) for row in images)
    assert int(pooled["excluded"]) == 2


def test_a_case_is_scored_by_the_assay_of_its_tiles(tiles, out, tmp_path):
    manifest = tmp_path / "tiles.csv"
    lines = ["path,mpp,assay,case"]
    lines += [f"tiles/{n}.png,0.5,{a},{c}" for n, a, c in (("case1_a", "er", "A"), ("case1_b", "er", "A"))]
    manifest.write_text("\n".join(lines))
    assay = load_assay("generic-membranous").replace(group="case", population="all")
    score_files(expand_inputs([manifest], "case"), assay, out, changes={"population": "all"})
    pooled = next(row for row in rows_of(out) if row["region"] == "pooled")
    assert pooled["compartment"] == "nucleus"
    assert "er_status" in pooled


def test_tiles_of_two_assays_are_no_pool(tiles, out, tmp_path):
    manifest = tmp_path / "tiles.csv"
    manifest.write_text("path,mpp,assay,case\ntiles/case1_a.png,0.5,er,A\ntiles/case1_b.png,0.5,her2,A\n")
    score_files(expand_inputs([manifest], "case"), ASSAY.replace(group="case"), out, changes={"population": "all"})
    (pooled,) = (row for row in rows_of(out) if row["region"] == "pooled")
    assert pooled["status"] == "failed"
    assert "different assays" in pooled["reason"]


def test_a_tile_keeps_its_place_when_it_is_rescored(tiles, out, tmp_path):
    named = tmp_path / "named"
    named.mkdir()
    tile = "slide [x=100,y=60,w=140,h=80]"
    shutil.copy(tiles / "case1_b.png", named / f"{tile}.png")
    region = square(named / "where.geojson", "Tumor", 150, 60, 40)
    direct = tmp_path / "direct"
    options = {"geojson": True}
    score_files(expand_inputs([named / f"{tile}.png"], regions=region), ASSAY, direct, **options)
    score_files(expand_inputs([named / f"{tile}.png"]), ASSAY, out, **options)
    rescore_folder(out, tmp_path / "again", regions=region)
    for name in ("cells.geojson", "regions.geojson", "cells.parquet"):
        assert (tmp_path / "again" / tile / name).read_bytes() == (direct / tile / name).read_bytes()
    assert rows_of(tmp_path / "again") == rows_of(direct)
    rescore_folder(tmp_path / "again", tmp_path / "twice", thresholds=(0.1, 0.2, 0.3))
    cells = tmp_path / "twice" / tile / "cells.geojson"
    first = json.loads(cells.read_text())["features"][0]
    assert np.min(first["geometry"]["coordinates"][0], axis=0)[0] > 100
    score_files(expand_inputs([named / f"{tile}.png"], nuclei=cells), ASSAY, tmp_path / "given")
    assert [row["cells"] for row in rows_of(tmp_path / "given")] == [row["cells"] for row in rows_of(out)]
    assert replay(tmp_path / "given" / tile / "summary.json", named, nuclei=cells).same


def test_groups_that_read_alike_are_said(tiles, out, tmp_path):
    manifest = tmp_path / "tiles.csv"
    manifest.write_text("path,case\ntiles/case1_a.png,P1\ntiles/case1_b.png,p 1\ntiles/case2_a.png,P2\n")
    report = score_files(expand_inputs([manifest], "case"), ASSAY.replace(group="case"), out)
    assert [text for text in report.warnings if "group" in text] == [
        "groups 'P1' and 'p 1' are pooled apart: are they one?"
    ]


def test_what_a_kept_result_was_made_with_is_compared(tmp_path, out):
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    rgb = discs((200, 200), [(60, 60), (140, 140)], 16, 0.35, (0.3, 0.6))[0]
    tifffile.imwrite(tmp_path / "a.ome.tif", rgb, photometric="rgb", metadata=metadata)
    assay = load_assay("generic-nuclear")
    for mpp in ("0.5", ""):
        (tmp_path / "m.csv").write_text(f"path,mpp\na.ome.tif,{mpp}\n")
        report = score_files(expand_inputs([tmp_path / "m.csv"]), assay, out)
    assert "scored with another pixel size" in report.failed[0]
    (out / "a" / "blocks.parquet").unlink()
    (tmp_path / "m.csv").write_text("path,mpp\na.ome.tif,0.5\n")
    assert not score_files(expand_inputs([tmp_path / "m.csv"]), assay, out).failed
    assert (out / "a" / "blocks.parquet").exists()


def test_another_origin_is_another_result(tiles, out, monkeypatch):
    run(tiles, out)
    monkeypatch.setattr("ihcscore.io.slides.flat.ArraySlide.bounds", (10, 20, 100, 50))
    report = run(tiles, out, origin="bounds")
    assert "scored with another origin" in report.failed[0]


def test_a_copy_that_is_added_later_is_warned_of(tiles, out):
    run(tiles, out)
    shutil.copy(tiles / "case1_a.png", tiles / "case1_z.png")
    assert any("case1_z: the same file as case1_a" in text for text in run(tiles, out).warnings)


def test_pools_with_images_of_before_are_told(tiles, out):
    assay = ASSAY.replace(group=r"case\d")
    run(tiles, out, assay)
    assert not any("also holds" in text for text in run(tiles, out, assay).warnings)
    (tiles / "case1_b.png").unlink()
    report = run(tiles, out, assay)
    assert "case1 also holds case1_b, scored before" in report.warnings


def test_a_name_that_contradicts_the_picture_is_refused(tmp_path, out):
    save(tmp_path / "s [x=100,y=0,w=280,h=160].png", (0.0, 0.3, 0.5))
    save(tmp_path / "s [d=2,x=100,y=0,w=281,h=159].png", (0.0, 0.3, 0.6))
    report = run(tmp_path, out)
    assert [row.status for row in report.rows] == ["ok", "failed"]
    assert "its name says 280 x 160" in report.failed[0]


def test_damaged_scores_are_written_anew(tiles, out):
    run(tiles, out)
    (out / "scores.csv").write_text("image;status\ncase1_a;failed\n")
    report = run(tiles, out)
    assert any("scores.csv was damaged" in text for text in report.warnings)
    assert [row["status"] for row in rows_of(out)] == ["ok"] * 3


def test_a_failure_of_before_is_no_member_of_a_pool(tiles, out):
    assay = ASSAY.replace(group=r"case\d")
    run(tiles, out, assay)
    good = (tiles / "case1_b.png").read_bytes()
    (tiles / "case1_b.png").write_bytes(good[:100])
    run(tiles, out, assay)
    (tiles / "case1_b.png").unlink()
    report = run(tiles, out, assay)
    assert not any("also holds" in text for text in report.warnings)
    assert any("not scored now: case1_b" in text for text in report.warnings)
    pooled = next(row for row in rows_of(out) if row["region"] == "pooled" and row["image"] == "case1")
    assert pooled["reason"] == "1 of its tiles failed"
    assert not any("not scored now" in text for text in run(tiles, out, assay, overwrite=True).warnings)


@pytest.mark.parametrize("place", ["x", {"foo": 1}, [1]])
def test_a_damaged_place_is_said(tiles, out, tmp_path, place):
    run(tiles, out)
    path = out / "case1_a" / "summary.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "input": {**data["input"], "place": place}}))
    (out / "case1_a" / "cells.geojson").touch()
    report = rescore_folder(out, tmp_path / "again")
    assert "is damaged" in report.failed[0]
    assert run(tiles, out).rows[0].status == "ok"
    assert "place" not in json.loads(path.read_text())["input"]


def test_given_and_found_nuclei_are_no_pool(tiles, out, tmp_path):
    labels = discs((80, 140), [(30 + 40 * k, 40) for k in range(3)], 8)[1].astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "n.png")
    assay = ASSAY.replace(group=r"case\d")
    score_files(expand_inputs([tiles / "case1_a.png"], r"case\d", nuclei=tmp_path / "n.png"), assay, out)
    (tiles / "case1_a.png").unlink()
    run(tiles, out, assay)
    pooled = next(row for row in rows_of(out) if row["region"] == "pooled" and row["image"] == "case1")
    assert pooled["status"] == "failed"
    assert "were given, of others found" in pooled["reason"]


def test_a_sliver_of_a_block_is_warned_of_by_its_tissue(tmp_path, out):
    rgb = np.tile(render(load_parameters("nuclear"), 4).rgb, (1, 5, 1))[:, :2128]
    rgb[:, 2048:] = cv2.GaussianBlur(rgb, (0, 0), 6)[:, 2048:]
    Image.fromarray(rgb).save(tmp_path / "t.png")
    report = score_files(expand_inputs([tmp_path / "t.png"]), ASSAY.replace(segmenter="watershed"), out)
    with (out / "t" / "quality.csv").open(encoding="utf-8-sig") as file:
        assert ["out of focus" in row["flags"] for row in csv.DictReader(file)] == [False, True]
    assert not any("out of focus" in text for text in report.warnings)


def test_scores_of_another_compartment_in_older_results_are_left_out(tiles, out, tmp_path):
    """Before 0.20.0 such an assay was scored."""
    score_files(expand_inputs([tiles / "case1_a.png"]), ASSAY, out)
    for path in (out / "run.json", out / "case1_a" / "summary.json"):
        record = json.loads(path.read_text("utf-8"))
        record["assay"]["scores"] = ["tps", "h_score"]
        path.write_text(json.dumps(record))
    report = rescore_folder(out, tmp_path / "again")
    assert rows_of(tmp_path / "again")[0]["status"] == "ok"
    assert any("case1_a: tps left out, not a score of the nucleus" in text for text in report.warnings)
    assert not rescore_folder(out, tmp_path / "third", scores=("percent_positive", "h_score")).failed
    with pytest.raises(AssayError, match="'tps': is of the compartment 'membrane'"):
        rescore_folder(out, tmp_path / "fourth", scores=("tps",))
