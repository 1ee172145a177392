import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from ihcscore import load_assay, score_cells, score_image
from ihcscore.api import digest
from ihcscore.errors import DamagedResult, InputError, OutputError
from ihcscore.io.atomic import write_bytes
from ihcscore.io.regions import Region
from ihcscore.results.writers.colors import CLASS_COLORS, LEFT_OUT_COLOR
from ihcscore.results.writers.geojson import write_geojson
from ihcscore.results.writers.overlay import overlay
from ihcscore.results.writers.png import encode_png
from ihcscore.results.writers.scoremap import score_grid
from ihcscore.results.writers.stainplot import stain_plot
from ihcscore.results.writers.summary import read_summary, write_summary
from ihcscore.results.writers.tables import read_cells, write_cells, write_cells_csv, write_scores
from ihcscore.scoring.regions import RegionSet
from ihcscore.scoring.score_row import table_columns
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.context import SlideContext
from ihcscore.table.schema import COLUMNS, SCORED_COLUMNS


@pytest.fixture(scope="module")
def scored(ihc):
    return score_image(ihc, mpp=0.5)


def test_tables_come_back_as_they_were(tmp_path, scored):
    write_cells(tmp_path / "cells.parquet", [scored.cells])
    again = read_cells(tmp_path / "cells.parquet")
    pd.testing.assert_frame_equal(again, scored.cells, check_exact=True)
    assert digest(again) == digest(scored.cells)


def test_an_empty_table_comes_back(tmp_path, scored):
    empty = scored.cells.iloc[:0]
    write_cells(tmp_path / "cells.parquet", [empty])
    assert list(read_cells(tmp_path / "cells.parquet").columns) == list(scored.cells.columns)


def test_a_changed_value_changes_the_digest(scored):
    changed = scored.cells.copy()
    changed.loc[5, "Nucleus: DAB OD mean"] += np.float32(1e-6)
    assert digest(changed) != digest(scored.cells)


def test_damaged_tables_are_refused(tmp_path):
    path = tmp_path / "cells.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="not a readable cell table"):
        read_cells(path)


def test_csv_opens_in_a_spreadsheet(tmp_path, scored):
    path = tmp_path / "cells.csv"
    write_cells_csv(path, [scored.cells])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    again = pd.read_csv(path, encoding="utf-8-sig")
    assert list(again.columns) == [c.name for c in (*COLUMNS, *SCORED_COLUMNS) if not c.name.endswith("_wkb")]
    np.testing.assert_allclose(again["Nucleus: DAB OD mean"], scored.cells["Nucleus: DAB OD mean"], rtol=1e-5)


def test_scores_have_the_stated_columns(tmp_path, scored):
    write_scores(tmp_path / "scores.csv", [scored.scores])
    with (tmp_path / "scores.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == table_columns([scored.scores])
    assert [*rows[0]][:5] == ["image", "group", "region", "region_class", "population"]
    low, high = (float(rows[0][f"h_score_{end}"]) for end in ("low", "high"))
    assert low <= float(rows[0]["h_score"]) <= high
    assert float(rows[0]["h_score"]) == pytest.approx(scored.scores.h_score, abs=1e-6)


def test_geojson_is_what_qupath_reads(tmp_path, scored):
    path = tmp_path / "cells.geojson"
    write_geojson(path, [scored.cells])
    data = json.loads(path.read_text("utf-8"))
    assert data["type"] == "FeatureCollection"
    assert len(data["features"]) == len(scored.cells)
    for feature, (_, cell) in zip(data["features"], scored.cells.iterrows(), strict=True):
        properties = feature["properties"]
        assert (feature["type"], properties["objectType"], feature["id"]) == ("Feature", "cell", cell["cell_id"])
        name = properties["classification"]["name"]
        assert name == cell["Classification"]
        assert properties["classification"]["color"] == list(CLASS_COLORS[name])
        assert properties["measurements"]["Cut by border"] == int(cell["cut_by_border"])
        nucleus, whole = (shapely.geometry.shape(feature[key]) for key in ("nucleusGeometry", "geometry"))
        assert nucleus.is_valid
        assert whole.buffer(0.02).covers(nucleus)
        assert shapely.box(0, 0, 512, 512).covers(whole)
        assert properties["measurements"]["Nucleus: DAB OD mean"] == pytest.approx(
            cell["Nucleus: DAB OD mean"], rel=1e-4
        )


def test_a_first_pixel_covers_zero_to_one(tmp_path):
    nuclei = np.zeros((20, 20), np.int32)
    nuclei[:4, :6] = 1
    result = score_image(np.full((20, 20, 3), 120, np.uint8), mpp=0.5, nuclei=nuclei)
    write_geojson(tmp_path / "c.geojson", [result.cells])
    feature = json.loads((tmp_path / "c.geojson").read_text())["features"][0]
    assert shapely.geometry.shape(feature["nucleusGeometry"]).bounds == (0, 0, 6, 4)


def test_missing_measurements_are_left_out(tmp_path):
    nuclei = np.zeros((20, 20), np.int32)
    nuclei[5:15, 5:15] = 1
    from ihcscore import load_assay

    assay = load_assay("generic-nuclear").replace(expansion_um=0.0)
    result = score_image(np.full((20, 20, 3), 120, np.uint8), mpp=0.5, nuclei=nuclei, assay=assay)
    write_geojson(tmp_path / "c.geojson", [result.cells])
    measured = json.loads((tmp_path / "c.geojson").read_text())["features"][0]["properties"]["measurements"]
    assert "Cytoplasm: DAB OD mean" not in measured
    assert "Nucleus: DAB OD mean" in measured


@pytest.mark.parametrize(("side", "expected"), [(100, 800), (512, 1024), (1500, 1500), (5000, 4096)])
def test_overlays_are_large_enough_and_not_too_large(side, expected):
    nuclei = np.zeros((side, 60), np.int32)
    nuclei[20:40, 20:40] = 1
    rgb = np.full((side, 60, 3), 200, np.uint8)
    result = score_image(rgb, mpp=0.5, nuclei=nuclei)
    picture = overlay(rgb, result.cells, 0.5)
    assert expected < picture.shape[0] < expected + 300
    assert (rgb == 200).all()


def test_overlay_outlines_have_the_color_of_their_class(ihc, scored):
    picture = overlay(ihc, scored.cells, 0.5)
    for name in ("Negative", "1+", "2+", "3+"):
        assert (picture == CLASS_COLORS[name]).all(axis=2).sum() > 100


def test_every_output_tells_what_counts_in_no_score(tmp_path, ihc, scored):
    regions = RegionSet((Region("half", "Ignore*", shapely.box(0, 0, 256, 512)),))
    half = score_cells(scored.cells, "generic-nuclear", regions)
    outside = half.cells["Left out"] == ""
    assert half.scores.cells == outside.sum() < scored.scores.cells
    assert set(half.cells["Left out"]) == {"", "excluded", "cut_by_border"}
    write_geojson(tmp_path / "c.geojson", [half.cells])
    features = json.loads((tmp_path / "c.geojson").read_text("utf-8"))["features"]
    counted = [f["properties"] for f in features if f["properties"]["measurements"]["Left out"] == 0]
    level = {"Negative": 0, "1+": 1, "2+": 2, "3+": 3}
    assert np.mean([100 * level[p["classification"]["name"]] for p in counted]) == pytest.approx(half.scores.h_score)
    grid = score_grid([half.cells], (250, 250))  # a single square, for cells beyond it too
    assert grid[0, 0] == pytest.approx(half.scores.h_score)
    drawn = overlay(np.full_like(ihc, 255), half.cells, 0.5)[:, :480]
    assert not any((drawn[:1024] == CLASS_COLORS[name]).all(axis=2).any() for name in level)


def test_cut_cells_that_are_scored_are_shown_as_scored(ihc):
    assay = load_assay("generic-nuclear").replace(include_cut=True)
    scored = score_image(ihc, mpp=0.5, assay=assay)
    assert (scored.cells["Left out"] == "").all()
    assert not (overlay(np.full_like(ihc, 255), scored.cells, 0.5)[:1024] == LEFT_OUT_COLOR).all(axis=2).any()


def test_stain_plot_shows_background_and_stains(ihc):
    stains = StainMatrix((0.7, 0.6, 0.3), (0.2, 0.5, 0.8))
    context = SlideContext((236.0, 235.0, 234.0), "glass", stains, "estimated")
    picture = stain_plot(ihc.reshape(1, -1, 3)[:, :5000], context)
    assert (picture == (236, 235, 234)).all(axis=2).sum() > 2000


def test_files_are_written_whole_or_not_at_all(tmp_path):
    write_bytes(tmp_path / "deep" / "file", b"one")
    assert (tmp_path / "deep" / "file").read_bytes() == b"one"
    (tmp_path / "occupied").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_bytes(tmp_path / "occupied" / "file", b"two")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_bytes(tmp_path / "folder", b"three")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", "file", "folder", "occupied"]


def test_summaries_come_back_and_others_are_refused(tmp_path):
    path = tmp_path / "summary.json"
    write_summary(path, {"scores": {"h_score": 1.5}})
    assert json.loads(path.read_text())["notice"].startswith("For research use only")
    with pytest.raises(DamagedResult, match=r"summary\.json: is damaged \(lacks .*scores.image"):
        read_summary(path)
    for text, message in (("{", "damaged"), ("[]", "not a summary"), ('{"format": "x"}', "not a summary")):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_summary(path)
    path.write_text('{"format": "ihcscore-result", "format_version": 99}')
    with pytest.raises(InputError, match="version 99"):
        read_summary(path)


def test_pictures_come_back_as_they_were():
    rgb = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    for picture in (rgb, rgb[:1, :1], rgb[:, ::-1]):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(picture)))), picture)


def test_a_known_type_is_in_the_name_of_the_class(tmp_path, scored):
    path = tmp_path / "cells.geojson"
    write_geojson(path, [scored.cells.assign(**{"Cell type": "Tumor"})])
    names = {f["properties"]["classification"]["name"] for f in json.loads(path.read_text("utf-8"))["features"]}
    assert names
    assert names <= {f"Tumor: {name}" for name in ("Negative", "1+", "2+", "3+", "Unmeasurable")}
