"""What version 0.20.0 wrote is completed, rescored and replayed."""

import json
import shutil
from pathlib import Path

import pytest

from ihcscore import load_assay
from ihcscore.io.manifests import expand_inputs
from ihcscore.results.run_record import parameters_digest, released_digests
from ihcscore.results.stored_result import StoredResult
from ihcscore.tiles.store import JOB, FolderStore
from ihcscore.version import STEPS, STEPS_BEFORE
from ihcscore.workflows.replay import replay
from ihcscore.workflows.rescore_folder import rescore_folder
from ihcscore.workflows.score_folder import score_files

OLD = Path(__file__).parents[2] / "fixtures" / "results-0.20"
ASSAY = load_assay("generic-nuclear").replace(mpp=0.5, scores=("h_score", "allred", "percent_positive"))
TILES = expand_inputs([OLD / "tile_1.png", OLD / "tile_2.png"])


@pytest.fixture
def old(tmp_path):
    return Path(shutil.copytree(OLD / "results", tmp_path / "results"))


def scores(folder):
    return (folder / "scores.csv").read_bytes()


def test_a_folder_is_completed(old):
    shutil.rmtree(old / "tile_2")
    before = (old / "tile_1" / "cells.parquet").read_bytes()
    report = score_files(TILES, ASSAY, old, geojson=False)
    assert not report.failed
    assert (old / "tile_1" / "cells.parquet").read_bytes() == before
    assert scores(old) == scores(OLD / "results")
    assert StoredResult.read(old / "tile_2").summary["steps"] == STEPS
    assert StoredResult.read(old / "tile_1").summary["ihcscore"] == "0.20.0"
    assert score_files(TILES, ASSAY, old, geojson=False).kept == 2


@pytest.mark.parametrize("name", ["tile_1", "tile_2"])
def test_a_result_is_replayed(old, name):
    found = replay(old / name / "summary.json", OLD)
    assert found.same, found.differences
    assert not any(note.startswith("step") for note in found.notes)


def test_a_step_that_changed_is_named(old, monkeypatch):
    monkeypatch.setitem(STEPS, "segmentation", 2)
    found = replay(old / "tile_1" / "summary.json", OLD)
    assert "step segmentation: version 2, then 1" in found.notes


def test_recorded_parameters_rescore_to_identical_scores(old, tmp_path):
    rescore_folder(old, tmp_path / "again")
    assert scores(tmp_path / "again") == scores(OLD / "results")


def test_missing_optional_fields_are_tolerated(old, tmp_path):
    path = old / "tile_1" / "summary.json"
    summary = json.loads(path.read_text("utf-8"))
    for key in ("heterogeneity", "band", "saturated_share"):
        del summary["scores"][key]
    del summary["assay"]["band_membrane"], summary["context"]["plane"]
    path.write_text(json.dumps(summary), "utf-8")
    report = rescore_folder(old, tmp_path / "again")
    assert not report.failed
    assert report.rows[0].h_score == StoredResult.read(OLD / "results" / "tile_1").row.h_score


def test_an_interrupted_slide_is_resumed(tmp_path):
    job = {"input": "x", "parameters": parameters_digest(ASSAY)}
    ((version, digest),) = released_digests(ASSAY)
    assert version in STEPS_BEFORE
    then = {**job, "ihcscore": version, "parameters": digest}
    FolderStore(tmp_path, then)
    FolderStore(tmp_path, job, [then])
    assert json.loads((tmp_path / JOB).read_text("utf-8")) == then
    recorded = json.loads((OLD / "results" / "run.json").read_text("utf-8"))["parameters"]
    assert digest == recorded
