"""Every command as a user calls it, and its exit code."""

import csv
import json
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import typer
from benchmarks.cell_types import labels
from conftest import discs
from PIL import Image
from slides import write_dicom, write_svs

from ihcscore.cli.app import app, main
from ihcscore.phantom import load_parameters, render
from ihcscore.stains.vectors import angle_deg

COMMANDS = {command.name for command in app.registered_commands}


@pytest.fixture
def tile(tmp_path):
    path = tmp_path / "tile.png"
    rgb, _ = discs((80, 140), [(30, 40), (70, 40), (110, 40)], 8, 0.35, (0.0, 0.3, 0.7))
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ihcscore", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


def rows(out):
    with (out / "scores.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def mean_od(summary):
    return summary["scores"]["scores"]["mean_dab_od"]["value"]


def test_the_screen_says_why_a_group_is_not_pooled(call, tile, tmp_path):
    light = np.asarray(Image.open(tile))
    for name, white in (("case1_a", 250), ("case1_b", 235)):
        Image.fromarray((light * (white / 255)).astype(np.uint8)).save(tmp_path / f"{name}.png")
        call("score", f"{name}.png", "-o", "out", "--mpp", 0.5, "--group", "(case1)", "--background", "auto")
    pooled = rows(tmp_path / "out")[-1]
    assert (pooled["region"], pooled["status"]) == ("pooled", "failed")
    _, screen, _ = call("score", "case1_b.png", "-o", "out", "--mpp", 0.5, "--group", "(case1)", "--background", "auto")
    assert f"case1 (pooled): no score, {pooled['reason']}" in screen


def test_every_command_has_a_test():
    here = Path(__file__).read_text("utf-8")
    assert COMMANDS
    for name in COMMANDS:
        assert f'call("{name}"' in here, name


def test_help_of_every_command(call):
    for name in COMMANDS:
        code, out, _ = call(name, "--help")
        assert code == 0
        assert "Usage" in out


def test_demo(call, tmp_path):
    code, out, err = call("demo", "shown")
    assert (code, err) == (0, "")
    assert "H-score" in out
    row = rows(tmp_path / "shown")[0]
    assert row["status"] == "ok"
    assert int(row["cells"]) > 250
    assert row["compartment"] == "membrane+cytoplasm"
    assert (tmp_path / "shown" / "immunohistochemistry" / "overlay.png").exists()
    assert call("demo", "shown")[0] == 0


def test_score_and_its_options(call, tile, tmp_path):
    code, out, _ = call("score", tile, "--mpp", 0.5, "-o", "plain")
    assert code == 0
    assert "tile" in out
    assert rows(tmp_path / "plain")[0]["h_score"] == "133.333333"

    nuclei, weights = tmp_path / "by_hand.png", tmp_path / "net.onnx"
    Image.fromarray(discs((80, 140), [(30, 40)], 8)[1].astype(np.uint8)).save(nuclei)
    weights.write_bytes((resources.files("ihcscore.cells.segmentation") / "weights" / "nuclei.onnx").read_bytes())

    def recorded(out):
        return json.loads((out / "tile" / "summary.json").read_text())

    stated = {
        ("--thresholds", "0.1,0.2,0.9"): {"weak": "0", "moderate": "2"},
        ("--compartment", "membrane+cytoplasm"): {"compartment": "membrane+cytoplasm"},
        ("--background", "240,240,240"): {},
        ("--background", "auto"): {},
        ("--stains", "estimate"): {},
        ("--segmenter", "watershed"): {},
        ("--group", "tile"): {"group": "tile"},
        ("--assay", "generic-nuclear"): {},
        ("--nuclei", str(nuclei)): {"cells": "1"},
        ("--weights", str(weights)): {},
    }
    for number, (option, expected) in enumerate(stated.items()):
        out = tmp_path / f"out{number}"
        assert call("score", tile, "--mpp", 0.5, "-o", out, *option)[0] == 0
        row = rows(out)[0]
        assert {key: row[key] for key in expected} == expected
    found = [recorded(tmp_path / f"out{number}") for number in range(len(stated))]
    assert found[2]["context"]["background"] == [240, 240, 240]
    assert mean_od(found[2]) < mean_od(found[7])
    assert found[3]["context"]["background_origin"].startswith("glass")
    assert found[4]["context"]["stains_origin"].startswith(("estimated", "fallback"))
    assert found[5]["segmenter"]["name"] == "watershed"
    assert found[7]["assay"]["name"] == "generic-nuclear"
    assert found[8]["segmenter"]["name"] == "given"
    assert found[9]["assay"]["weights"] == "net.onnx"
    assert call("score", tile, "--mpp", 0.5, "-o", "csv", "--cells-csv")[0] == 0
    assert (tmp_path / "csv" / "tile" / "cells.csv").exists()


def test_given_nuclei_need_no_segmenter(call, tile, tmp_path):
    nuclei = tmp_path / "by_hand.png"
    Image.fromarray(discs((80, 140), [(30, 40)], 8)[1].astype(np.uint8)).save(nuclei)
    (tmp_path / "mine.toml").write_text('name = "mine"\nsegmenter = "stardist"\n')
    options = ("--mpp", 0.5, "--assay", "mine.toml", "-o", "out")
    code, _, err = call("score", tile, *options)
    assert code == 1
    assert "give the path of its model" in err
    assert call("score", tile, *options, "--nuclei", nuclei)[0] == 0
    (tmp_path / "list.csv").write_text(f"path,nuclei,mpp\n{tile},{nuclei},0.5\n")
    code, _, err = call("score", "list.csv", *options, "--segmenter", "watershed")
    assert code == 2
    assert "nuclei of all images are given" in " ".join(err.split())


def test_score_refuses_and_overwrites(call, tile):
    assert call("score", tile, "--mpp", 0.5, "-o", "out")[0] == 0
    code, _, err = call("score", tile, "--mpp", 0.5, "-o", "out", "--thresholds", "0.1,0.2,0.3")
    assert code == 1
    assert err.startswith("ihcscore: ")
    assert err.count("\n") == 1
    assert call("score", tile, "--mpp", 0.5, "-o", "out", "--thresholds", "0.1,0.2,0.3", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tile.png", "-o", "out"], 1, "tile.png: states no pixel size"),
        (["tile.png", "-o", "out", "--mpp", "2"], 1, "coarse"),
        (["nothing.png", "-o", "out", "--mpp", "0.5"], 1, "nothing.png: cannot be read"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--assay", "nope"], 1, "unknown assay 'nope'"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--segmenter", "nope"], 1, "unknown segmenter 'nope'"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--segmenter", "stardist"], 1, "give the path of its model"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--weights", "none.onnx"], 1, "none.onnx: cannot be read"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--weights", "tile.png"], 1, "tile.png: is not a network"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--nuclei", "none.png"], 1, "none.png: cannot be read"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--nuclei", "tile.png"], 1, "tile.png: expected labels"),
        (
            ["tile.png", "-o", "out", "--nuclei", "n.png", "--segmenter", "watershed"],
            2,
            "are given: leave out --segmenter",
        ),
        (
            ["tile.png", "-o", "out", "--nuclei", "n.png", "--weights", "none.onnx"],
            2,
            "are given: leave out --segmenter",
        ),
        (["tile.png", "-o", "out", "--tumor-rule", "--classifier", "c.json"], 2, "assigns cell types already"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--thresholds", "0.4,0.2,0.6"], 2, "rise"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--thresholds", "0.4,0.6"], 2, "three optical densities"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--compartment", "nukleus"], 2, "nukleus"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--background", "white"], 2, "auto or three numbers"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--stains", "none.json"], 1, "none.json"),
        (["tile.png", "-o", "out", "--mpp", "0.5", "--context", "none.json"], 1, "none.json"),
        (["tile.png", "-o", "tile.png", "--mpp", "0.5"], 1, "cannot write results into tile.png"),
        (["tile.png", "--mpp", "0.5"], 2, "--out"),
        ([], 2, "Missing argument"),
    ],
)
def test_mistakes_are_one_line_with_a_remedy(call, tile, arguments, code, message):
    found, _, err = call("score", *arguments)
    assert found == code
    assert message in err
    if code == 1:
        assert "Traceback" not in err
        assert err.strip().count("\n") == 0


def test_some_failed_inputs_are_exit_code_3(call, tile, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    code, out, err = call("score", tile, "broken.png", "--mpp", 0.5, "-o", "out")
    assert code == 3
    assert "broken.png: is not a PNG" in err
    assert [row["status"] for row in rows(tmp_path / "out")] == ["ok", "failed"]
    assert "failed" in out


def test_warnings_are_shown_and_recorded(call, tmp_path):
    rng = np.random.default_rng(0)
    od = rng.uniform(0, 0.6, (64, 64, 1)) * [0.07, 0.99, 0.11] + rng.uniform(0, 0.4, (64, 64, 1)) * [0.65, 0.7, 0.29]
    Image.fromarray((250 * 10**-od).astype(np.uint8)).save(tmp_path / "he.png")
    code, _, err = call("score", "he.png", "--mpp", 0.5, "-o", "out")
    assert code == 0
    assert "does not look like H-DAB" in err
    assert "H-DAB" in json.loads((tmp_path / "out" / "he" / "summary.json").read_text())["warnings"][0]


def test_rescore(call, tile, tmp_path):
    call("score", tile, "--mpp", 0.5, "-o", "out")
    code, out, _ = call("rescore", "out", "-o", "new", "--thresholds", "0.5,0.6,0.65")
    assert code == 0
    assert rows(tmp_path / "new")[0]["h_score"] == "100.0"
    assert "H-score" in out
    assert call("rescore", "out", "-o", "new")[0] == 1
    assert call("rescore", "tile.png", "-o", "x")[0] == 1


def test_stains(call, tmp_path):
    call("demo", "shown")
    code, out, _ = call("stains", "shown/immunohistochemistry.png", "-o", "stains.json")
    assert code == 0
    assert "hematoxylin" in out
    context = json.loads((tmp_path / "stains.json").read_text())
    assert 230 < context["background"][0] < 240
    assert (tmp_path / "stains.stains.png").stat().st_size > 1000
    assert call("stains", "shown/immunohistochemistry.png", "-o", "stains.png")[0] == 2
    (tmp_path / "stains.json").write_text(json.dumps(context), "utf-8-sig")  # as editors on Windows write it
    image = "shown/immunohistochemistry.png"
    assert call("score", image, "--mpp", 0.5, "-o", "a", "--stains", "stains.json")[0] == 0
    assert call("score", image, "--mpp", 0.5, "-o", "b", "--context", "stains.json")[0] == 0
    used = [json.loads((tmp_path / n / "immunohistochemistry" / "summary.json").read_text())["context"] for n in "ab"]
    assert used[0]["stains"] == used[1]["stains"] == context["stains"]
    assert used[0]["background"] == [255, 255, 255]
    assert used[1]["background"] == context["background"]
    sources = json.loads((tmp_path / "b" / "immunohistochemistry" / "summary.json").read_text())["assay"]["sources"]
    assert sources["background"] == "stains.json: glass on 3.4% of the pixels"
    assert sources["stains"].startswith("stains.json: estimated")
    assert call("score", image, "--mpp", 0.5, "-o", "c", "--context", "stains.json", "--stains", "default")[0] == 2
    for text in ("5", "{", '{"background": ["a", 1, 2]}', '{"background": [240, 240, 240], "stains": 5}', "[" * 100000):
        (tmp_path / "bad.json").write_text(text)
        code, _, err = call("score", image, "--mpp", 0.5, "-o", "d", "--context", "bad.json")
        assert (code, "bad.json: holds no background and stains" in err) == (1, True)


def test_stains_of_slides(call, tmp_path):
    phantom = render(load_parameters("nuclear"), 3)
    (tmp_path / "slides").mkdir()
    write_svs(tmp_path / "slides" / "a.svs", phantom.rgb, 0.5)
    write_dicom(tmp_path / "slides" / "b", phantom.rgb[::-1].copy(), 0.5)
    Image.fromarray(phantom.rgb[:, ::-1]).save(tmp_path / "slides" / "c.png")
    code, out, _ = call("stains", "slides", "slides/b", "-o", "stains.json")
    assert (code, "estimated" in out) == (0, True)
    found = json.loads((tmp_path / "stains.json").read_text())
    assert angle_deg(found["stains"]["dab"], phantom.stains.dab) < 8
    np.testing.assert_allclose(found["background"], phantom.background, atol=2)
    write_svs(tmp_path / "slides" / "d.svs", phantom.rgb, 4.0)
    assert "too coarse" in call("stains", "slides/d.svs")[2]
    assert call("stains", "slides/d.svs", "--mpp", 0.5)[0] == 0


def test_names_with_markup_are_shown_as_they_are(call, tile, tmp_path):
    tile.rename(tmp_path / "scan[red]x[a].png")
    code, out, _ = call("score", tmp_path / "scan[red]x[a].png", "--mpp", 0.5, "-o", "out")
    assert (code, "scan[red]x[a]" in "".join(out.split())) == (0, True)


def test_inputs_in_the_result_folder_are_scored(call, tile, tmp_path):
    assert call("score", "tile.png", "--mpp", 0.5, "-o", ".")[0] == 0
    assert rows(tmp_path)[0]["image"] == "tile"


def test_replay(call, tile, tmp_path):
    call("score", tile, "--mpp", 0.5, "-o", "out")
    code, out, _ = call("replay", "out/tile/summary.json")
    assert (code, out.startswith("same")) == (0, True)
    summary = json.loads((tmp_path / "out/tile/summary.json").read_text())
    summary["scores"]["cells"] += 1
    (tmp_path / "out/tile/summary.json").write_text(json.dumps(summary))
    code, out, _ = call("replay", "out/tile/summary.json", "--input", tile)
    assert (code, "differs: cells" in out) == (1, True)


def test_assay_is_written_from_a_result_and_used_again(call, tile, tmp_path):
    call("score", tile, "--mpp", 0.5, "-o", "out", "--thresholds", "0.1,0.3,0.5", "--background", "auto")
    assert call("assay", "out/tile/summary.json", "-o", "mine.toml")[0] == 0
    assert call("score", tile, "--assay", "mine.toml", "-o", "again")[0] == 0
    assert rows(tmp_path / "again") == rows(tmp_path / "out")
    code, out, _ = call("assay", "generic-nuclear")
    assert code == 0
    assert "thresholds" in out
    assert call("assay", "nope")[0] == 1
    assert call("assay", "er", "-o", "er.txt")[0] == 2


def test_phantom(call, tmp_path):
    code, out, _ = call("phantom", "made", "--parameters", "negative", "--seed", 4, "--count", 2)
    assert code == 0
    assert "negative_0005.png" in out
    assert "--mpp 0.5" in out
    assert call("score", "made", "--mpp", 0.5, "-o", "scored")[0] == 0
    assert [row["image"] for row in rows(tmp_path / "scored")] == ["negative_0004", "negative_0005"]
    assert json.loads((tmp_path / "made" / "negative_0004_truth.json").read_text())["seed"] == 4
    assert call("phantom", "made", "--parameters", "nope")[0] == 1
    assert call("phantom", "made", "--parameters", "nope.toml")[0] == 1
    (tmp_path / "bad.toml").write_text("mpp = -1")
    assert call("phantom", "made", "--parameters", "bad.toml")[0] == 1
    (tmp_path / "bad.toml").write_text("size_px = [100000000000000000000, 64]")
    assert "size_px must be" in call("phantom", "made", "--parameters", "bad.toml")[2]
    (tmp_path / "small.toml").write_text("size_px = [16, 16]")
    code, out, _ = call("phantom", "made", "--parameters", "small.toml", "--count", 2)
    assert (code, out.count("no cell to score")) == (0, 2)


def test_version_and_module():
    done = subprocess.run(
        [sys.executable, "-m", "ihcscore.cli.app", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ihcscore ")


def test_assays_are_listed_and_explained(call):
    code, out, _ = call("assays")
    assert code == 0
    assert {"er", "pr", "ki67", "p53", "her2", "pdl1-tps", "cxcr4", "egfr"} <= {
        line.split()[0] for line in out.splitlines()
    }
    code, out, _ = call("assays", "her2")
    assert code == 0
    assert "Wolff et al. (ASCO/CAP)" in out
    assert "complete_share = 0.7" in out
    assert call("assays", "her3")[0] == 1
    Path("mine.toml").write_text('name = "mine"\nthresholds = [0.11, 0.22, 0.33]\n')
    _, out, _ = call("assays", "mine.toml")
    sources = dict(zip(out.splitlines()[1::3], out.splitlines()[3::3], strict=True))
    assert sources["  thresholds = [0.11, 0.22, 0.33] OD"].strip() == "Source: not stated"
    assert "QuPath" in sources["  expansion_um = 5.0 um"]  # as generic-nuclear has it


def test_tma_needs_cores(call, tile):
    code, _, err = call("tma", tile, "--mpp", 0.5, "-o", "out")
    assert code == 1
    assert "no grid of cores" in err


def test_a_classifier_is_trained_and_used(call, tmp_path, ihc):
    Image.fromarray(ihc).save(tmp_path / "ihc.png")
    (tmp_path / "labels.geojson").write_text(json.dumps(labels()))
    assert call("score", "ihc.png", "--mpp", 0.5, "-o", "out", "--assay", "cxcr4")[0] == 0
    assert rows(tmp_path / "out")[0]["status"] == "unscorable"
    assert "no cell is known to be tumor" in rows(tmp_path / "out")[0]["reason"]
    code, out, _ = call("classifier", "train", "out/ihc", "--labels", "labels.geojson", "-o", "mine.json")
    assert code == 0
    assert "balanced accuracy" in out
    twice = ("classifier", "train", "out/ihc", "out/ihc", *2 * ("--labels", "labels.geojson"), "-o", "no.json")
    code, _, err = call(*twice)
    assert (code, "same cells are named twice" in err) == (2, True)
    assert call("rescore", "out", "-o", "typed", "--classifier", "mine.json")[0] == 0
    code, _, err = call("rescore", "typed", "-o", "lighter", "--background", "240,240,240")
    assert (code, "score the images again" in err) == (1, True)
    assert (
        call("score", "ihc.png", "-o", "w", "--mpp", "0.5", "--segmenter", "watershed", "--classifier", "mine.json")[0]
        == 0
    )
    warning = "trained on nuclei of network, these are of watershed"
    assert warning in Path("w/ihc/summary.json").read_text()
    assert call("classifier", "train", "w/ihc", "--labels", "labels.geojson", "-o", "theirs.json")[0] == 0
    for name, times in (("mine", 1), ("theirs", 0)):
        assert call("rescore", "w", "-o", name, "--classifier", f"{name}.json")[0] == 0
        assert Path(name, "ihc/summary.json").read_text().count(warning) == times
    by = {row["population"]: row for row in rows(tmp_path / "typed")}
    assert [*by] == ["tumor", "stroma", "all"]
    assert float(by["tumor"]["h_score"]) > 2 * float(by["stroma"]["h_score"])
    assert int(by["tumor"]["cells"]) + int(by["stroma"]["cells"]) == int(by["all"]["cells"])
    summary = json.loads((tmp_path / "typed/ihc/summary.json").read_text())
    assert summary["assay"]["classifier"] == "mine.json"
    assert len(summary["assay"]["classifier_sha256"]) == 64
    code, out, _ = call("replay", "typed/ihc/summary.json")
    assert (code, out.startswith("same")) == (0, True)
    (tmp_path / "mine.json").write_text("{}")
    code, _, err = call("rescore", "out", "-o", "other", "--classifier", "mine.json")
    assert code == 1
    assert "mine.json" in err


def test_app_is_a_typer():
    assert isinstance(app, typer.Typer)


def test_scores_are_shown_by_the_assay_of_each_image(call, tile, tmp_path):
    shutil.copy(tile, tmp_path / "second.png")
    (tmp_path / "list.csv").write_text(
        f"path,mpp,assay,reigons\n{tile},0.5,er,x\nsecond.png,0.5,generic-membranous,x\n"
    )
    code, out, err = call("score", "list.csv", "-o", "out", "--population", "all")
    assert code == 0
    assert "columns of the manifest that are not used: reigons" in err
    assert "ER %" in out
    for text in ("DAB OD of the nucleus", "assay er.", "DAB OD of the membrane", "assay generic-membranous."):
        assert text in out
    code, again, _ = call("rescore", "out", "-o", "again")
    assert (code, "assay er." in again, "assay generic-membranous." in again) == (0, True, True)


def test_a_main_score_that_is_missing_says_why(call, tile):
    _, out, _ = call("score", tile, "--mpp", 0.5, "-o", "out", "--scores", "ki67,h_score")
    assert "no Ki-67 LI, 3 cells, at least 500 are needed" in " ".join(out.split())


def test_rescore_says_what_had_failed(call, tile, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    assert call("score", tile, "broken.png", "--mpp", 0.5, "-o", "out")[0] == 3
    code, _, err = call("rescore", "out", "-o", "again")
    assert code == 3
    assert "broken: broken.png: is not a PNG" in err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--stains", "estmate", "default, estimate, or a JSON file"),
        ("--background", "automatic", "auto or three numbers"),
    ],
)
def test_misspelt_values_are_told_what_is_possible(call, tile, option, value, message):
    code, _, err = call("score", tile, "--mpp", 0.5, "-o", "out", option, value)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
