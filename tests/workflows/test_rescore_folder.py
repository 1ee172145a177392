"""What is scored again is what scoring the images anew gives, or an error, or said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import discs
from PIL import Image

from ihcscore import load_assay, score_cells, score_image
from ihcscore.cli.options import changes
from ihcscore.errors import IhcscoreError
from ihcscore.io.manifests import expand_inputs
from ihcscore.io.regions import Region, write_regions
from ihcscore.results.writers.tables import iter_cells, read_cells, write_cells
from ihcscore.scoring.regions import RegionSet
from ihcscore.stains.vectors import StainMatrix
from ihcscore.workflows.replay import replay
from ihcscore.workflows.rescore_folder import rescore_folder
from ihcscore.workflows.score_folder import score_files

ASSAY = load_assay("generic-nuclear").replace(mpp=0.5, segmenter="watershed")
REGIONS = (
    Region("tumor", "Tumor", shapely.box(0, 0, 300, 512)),
    Region("dead", "Necrosis", shapely.box(200, 100, 400, 300)),
    Region("pen", "Ignore*", shapely.box(400, 400, 512, 512)),
)


@pytest.fixture
def image(tmp_path, ihc):
    Image.fromarray(ihc).save(tmp_path / "t.png")
    write_regions(tmp_path / "t.geojson", REGIONS)
    return tmp_path / "t.png"


def run(image, out, assay=ASSAY, regions="t.geojson", **options):
    given = None if regions is None else image.with_name(regions)
    return score_files(expand_inputs([image], regions=given), assay, out, **options)


def table(out, name="t"):
    return read_cells(out / name / "cells.parquet")


def summary(out, name="t"):
    return json.loads((out / name / "summary.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "fields", [{"tumor_rule": True, "population": "tumor"}, {"exclude": ("Necrosis",)}, {"exclude": ()}]
)
def test_cells_of_regions_alone_are_scored_again_as_they_would_be_anew(image, tmp_path, fields):
    alone = ASSAY.replace(only_regions=True)
    run(image, tmp_path / "first", alone.replace(tumor_rule=True, population="tumor"))
    run(image, tmp_path / "anew", alone.replace(**{"tumor_rule": True, "population": "tumor", **fields}))
    rescore_folder(tmp_path / "first", tmp_path / "again", **fields)
    pd.testing.assert_frame_equal(table(tmp_path / "again"), table(tmp_path / "anew"), check_exact=True)
    assert summary(tmp_path / "again")["scores"] == summary(tmp_path / "anew")["scores"]
    assert summary(tmp_path / "again")["regions"] == summary(tmp_path / "anew")["regions"]
    assert replay(tmp_path / "anew" / "t").same
    rescore_folder(tmp_path / "first", tmp_path / "preset", ASSAY.replace(**fields))
    assert len(table(tmp_path / "preset")) == len(table(tmp_path / "anew"))


def test_regions_that_are_wanted_have_to_be_there(ihc):
    alone = ASSAY.replace(only_regions=True)
    with pytest.raises(IhcscoreError, match="only_regions"):
        score_image(ihc, mpp=0.5, assay=alone)
    cells = score_image(ihc, mpp=0.5, assay=ASSAY).measurement.cells
    with pytest.raises(IhcscoreError, match="there are none: give regions"):
        score_cells(cells, alone)
    regions = RegionSet(REGIONS[:1], 0.5)
    assert score_cells(cells, alone, regions).scores.cells == score_cells(cells, ASSAY, regions).regions[0].cells


def test_what_cannot_leave_out_pigment_says_so(image, tmp_path):
    assay = ASSAY.replace(exclude_off_color=True)
    run(image, tmp_path / "first", assay)
    text = "off-color cells cannot be detected here"
    assert not any(text in warning for warning in summary(tmp_path / "first")["warnings"])
    report = rescore_folder(tmp_path / "first", tmp_path / "again", background=(250.0, 250.0, 250.0))
    assert any(text in warning for warning in report.warnings)
    assert sum(text in warning for warning in summary(tmp_path / "again")["warnings"]) == 1
    rescore_folder(tmp_path / "again", tmp_path / "not", exclude_off_color=False)
    assert not any(text in warning for warning in summary(tmp_path / "not")["warnings"])


def test_a_pool_does_not_count_pigment_by_halves(tmp_path, ihc):
    blue = discs((256, 256), [(x, y) for x in range(20, 240, 40) for y in range(20, 240, 40)], 8)[0]
    for name, rgb in (("a", ihc), ("b", blue)):  # of hematoxylin alone no plane is known
        Image.fromarray(rgb).save(tmp_path / f"case_{name}.png")
    images = [tmp_path / f"case_{name}.png" for name in "ab"]
    report = score_files(expand_inputs(images, "case"), ASSAY.replace(group="case"), tmp_path / "out")
    off = {row.image: row.off_color for row in report.rows}
    assert (off["case_a"] is None, off["case_b"] is None) == (False, True)
    assert off["case"] is None


def test_notes_follow_the_regions(image, tmp_path):
    wide = (Region("wide", "Tumor", shapely.box(-50, 0, 300, 512)),)
    write_regions(tmp_path / "wide.geojson", wide)
    run(image, tmp_path / "first", regions="wide.geojson")
    assert any("clipped" in text for text in summary(tmp_path / "first")["warnings"])
    rescore_folder(tmp_path / "first", tmp_path / "inside", regions=tmp_path / "t.geojson")
    assert not any("clipped" in text for text in summary(tmp_path / "inside")["warnings"])
    rescore_folder(tmp_path / "inside", tmp_path / "clipped", regions=tmp_path / "wide.geojson")
    assert sum("clipped" in text for text in summary(tmp_path / "clipped")["warnings"]) == 1


def test_a_table_that_was_changed_does_not_replay(image, tmp_path):
    run(image, tmp_path / "out")
    path = tmp_path / "out" / "t" / "cells.parquet"
    (cells,) = iter_cells(path)
    write_cells(path, [cells.assign(**{"Nucleus: DAB OD mean": np.float32(9)})])
    found = replay(tmp_path / "out" / "t")
    assert not found.same
    assert "is not the table its summary.json speaks of" in found.differences[0]


@pytest.mark.parametrize(
    ("key", "value"), [("warnings", None), ("warnings", 3), ("segmenter", "network"), ("segmenter", {})]
)
def test_damaged_summaries_are_said(image, tmp_path, key, value):
    run(image, tmp_path / "out")
    path = tmp_path / "out" / "t" / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(IhcscoreError, match="no results that can be read"):
        rescore_folder(tmp_path / "out", tmp_path / "again")


def test_a_damaged_context_is_said(image, tmp_path):
    run(image, tmp_path / "out")
    path = tmp_path / "out" / "t" / "summary.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "context": {**data["context"], "warnings": 3}}))
    report = rescore_folder(tmp_path / "out", tmp_path / "again")
    assert "warnings must be a list" in report.failed[0]


def test_an_image_that_failed_stays_failed(image, tmp_path):
    out = tmp_path / "out"
    good = image.read_bytes()
    Image.open(image).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "u.png")
    run(image, out, regions=None)
    image.write_bytes(good[:1000])
    run(image, out, regions=None)
    report = run(tmp_path / "u.png", out, regions=None)
    assert {row.image: row.status for row in report.rows} == {"u": "ok", "t": "failed"}
    assert any("failed in an earlier run and were not scored now: t" in text for text in report.warnings)
    again = rescore_folder(out, tmp_path / "again")
    assert {row.image: row.status for row in again.rows} == {"u": "ok", "t": "failed"}
    image.write_bytes(good)
    report = run(image, out, regions=None)
    assert {row.image: row.status for row in report.rows} == {"t": "ok", "u": "ok"}
    image.write_bytes(good[:1000])
    run(image, out, regions=None)
    other = run(tmp_path / "u.png", out, ASSAY.replace(thresholds=(0.1, 0.2, 0.3)), regions=None, overwrite=True)
    assert {row.image for row in other.rows} == {"u"}


def test_a_band_of_densities_is_that_of_other_rules(ihc):
    assay = ASSAY.replace(scores=("mean_dab_od", "h_score", "atm"))
    scored = score_image(ihc, mpp=0.5, assay=assay)
    low, high = scored.scores.band.ranges["thresholds"]
    assert low == high == scored.scores.mean_dab_od
    context = scored.measurement.context
    for first in ("mean_dab_od", "atm"):
        rows = score_cells(scored.measurement.cells, assay.replace(scores=(first, "h_score")), context=context)
        band = rows.scores.band
        assert band.low < rows.scores.value(first) < band.high
        darker = {"background": tuple(255 * (1 + sign * assay.band_white) for sign in (-1, 1))}
        found = []
        for white in darker["background"]:
            shift = np.log10(white) - np.log10(255)
            channels = scored.measurement.cells[[f"Nucleus: {c} OD mean" for c in ("Red", "Green", "Blue")]].to_numpy()
            od = (channels + shift) @ StainMatrix().inverse[:, 1]
            od = od[(scored.cells["Left out"] == "").to_numpy()]
            found.append(od.mean() if first == "mean_dab_od" else (np.clip(od, 0, 1.5) / 1.5).mean())
        assert assay.atm_max_od == 1.5
        np.testing.assert_allclose(sorted(band.ranges["background"]), sorted(found), rtol=1e-6)


def test_a_rule_and_a_classifier_replace_each_other():
    assert changes(tumor_rule=True) == {"tumor_rule": True, "classifier": None, "classifier_sha256": None}
    by_file = changes(classifier=Path("c.json"))
    assert (by_file["classifier"], by_file["tumor_rule"]) == ("c.json", False)


def test_notes_of_nuclei_stay_with_other_regions_of_the_same_name(image, tmp_path):
    nuclei, regions = tmp_path / "nuclei", tmp_path / "regions"
    ring = [[10, 10], [30, 10], [30, 30], [10, 30], [10, 10]]
    cell = {"type": "Polygon", "coordinates": [ring]}
    line = {"type": "LineString", "coordinates": ring}
    features = [{"type": "Feature", "geometry": g, "properties": {"objectType": "detection"}} for g in (cell, line)]
    nuclei.mkdir()
    (nuclei / "t.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    regions.mkdir()
    write_regions(regions / "t.geojson", (Region("wide", "", shapely.box(-50, 0, 300, 512)),))
    score_files(expand_inputs([image], nuclei=nuclei, regions=regions), ASSAY, tmp_path / "out")
    before = summary(tmp_path / "out")["warnings"]
    rescore_folder(tmp_path / "out", tmp_path / "again", regions=tmp_path / "t.geojson")
    after = summary(tmp_path / "again")["warnings"]
    assert set(before) - set(after) == {"t.geojson: 1 regions reach beyond the slide and were clipped"}
    assert len(before) > 1


def test_other_vectors_leave_what_does_not_depend_on_them(image, tmp_path):
    assay = ASSAY.replace(exclude_off_color=True)
    other = StainMatrix((0.7, 0.65, 0.29), (0.28, 0.55, 0.79))
    run(image, tmp_path / "found", assay)
    inputs = expand_inputs([image], nuclei=tmp_path / "found" / "t" / "cells.geojson")
    score_files(inputs, assay, tmp_path / "first")
    score_files(inputs, assay.replace(stains=other), tmp_path / "anew")
    rescore_folder(tmp_path / "first", tmp_path / "again", stains=other)
    found, wanted = (summary(tmp_path / name)["scores"] for name in ("again", "anew"))
    assert found["off_color"] is not None
    for name in ("cells", "negative", "weak", "moderate", "strong", "off_color", "saturated_share"):
        assert found[name] == wanted[name], name
    rescore_folder(tmp_path / "first", tmp_path / "brighter", background=(250.0, 250.0, 250.0))
    assert summary(tmp_path / "brighter")["scores"]["off_color"] is None


def test_warnings_of_an_estimate_go_with_it(tmp_path):
    blue = np.random.default_rng(0).normal((120, 105, 180), 8, (80, 140, 3))
    Image.fromarray(blue.round().astype(np.uint8)).save(tmp_path / "t.png")  # all tissue, hematoxylin alone
    run(tmp_path / "t.png", tmp_path / "first", ASSAY.replace(stains="estimate", background="auto"), regions=None)
    told = " ".join(summary(tmp_path / "first")["warnings"])
    assert "no glass found" in told
    assert "stains not estimated" in told
    report = rescore_folder(tmp_path / "first", tmp_path / "again", stains="default", background=(240.0, 240.0, 240.0))
    told = " ".join((*summary(tmp_path / "again")["warnings"], *report.warnings))
    assert "no glass found" not in told
    assert "stains not estimated" not in told
