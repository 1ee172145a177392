"""Tumor cells are told by regions, a classifier, a rule, and all of them together; a classifier is only numbers."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import shapely

from ihcscore.errors import IhcscoreError, InputError
from ihcscore.geometry import Placement
from ihcscore.io.regions import Region
from ihcscore.scoring.cell_types.features import FEATURES, MEASURED, features_of
from ihcscore.scoring.cell_types.model import CellClassifier, epithelium_rule, read_classifier
from ihcscore.scoring.cell_types.training import Labels, read_labels, train
from ihcscore.scoring.cell_types.types import CellTyper, type_named
from ihcscore.scoring.regions import RegionSet

pytest.importorskip("sklearn")


def cells_of(seed=0, n=200):
    """Draw two kinds of cells: large round ones on the left, small long ones on the right."""
    chance = np.random.default_rng(seed)
    x, y = chance.uniform(0, 1000, n), chance.uniform(0, 1000, n)
    tumor = x < 500
    major = np.where(tumor, 10, 12) + chance.normal(0, 1, n)
    minor = np.where(tumor, 8, 4) + chance.normal(0, 0.5, n)
    values = {
        MEASURED[0]: np.pi / 4 * major * minor,
        MEASURED[1]: np.where(tumor, 0.85, 0.6),
        MEASURED[2]: 0.95,
        MEASURED[3]: major,
        MEASURED[4]: minor,
        MEASURED[5]: 0.4,
        MEASURED[6]: 0.4 + chance.normal(0, 0.05, n),
        MEASURED[7]: 0.1,
    }
    return pd.DataFrame({"x_um": x, "y_um": y, "x_px": 2 * x, "y_px": 2 * y, **values, "Region": ""}), tumor


def labels_of(cells, tumor, count=10):
    rows = np.concatenate([np.flatnonzero(tumor)[:count], np.flatnonzero(~tumor)[:count]])
    types = np.where(tumor[rows], "Tumor", "Stroma").astype(object)
    groups = (cells["x_um"].to_numpy()[rows] // 200 * 10 + cells["y_um"].to_numpy()[rows] // 200).astype(np.int64)
    return Labels(rows, types, groups)


@pytest.fixture(scope="module")
def model():
    cells, tumor = cells_of()
    return train([cells], [labels_of(cells, tumor)])


def test_twenty_labels_tell_two_kinds(model):
    cells, tumor = cells_of(1)
    right = (model.predict(features_of([cells])) == "Tumor") == tumor
    assert right.mean() > 0.95
    assert model.about["cross_validation"]["balanced_accuracy"] > 0.8
    assert model.about["labelled"] == {"Stroma": 10, "Tumor": 10}


def test_blocks_of_a_table_have_the_features_of_the_whole():
    cells, _ = cells_of(2)
    whole = features_of([cells])
    assert whole.shape == (200, len(FEATURES))
    np.testing.assert_array_equal(whole, features_of([cells[:70], cells[70:]]))
    assert np.isfinite(features_of([cells[:1]])).all()
    assert features_of([]).shape == (0, len(FEATURES))


def test_a_classifier_survives_its_file(model, tmp_path):
    model.write(tmp_path / "m.json")
    again = read_classifier(str(tmp_path / "m.json"))
    features = features_of([cells_of(3)[0]])
    np.testing.assert_array_equal(model.predict(features), again.predict(features))
    assert len(again.sha256) == 64


def wrong(**changes):
    def change(data):
        return {**data, **changes}

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda data: [],
        lambda data: {},
        wrong(format="pickle"),
        wrong(features=["area"]),
        wrong(classes=["Tumor", "Alien"]),
        wrong(mean=[1.0]),
        wrong(scale=[0.0] * len(FEATURES)),
        wrong(intercepts=["x", "y"]),
        wrong(intercepts=[float("nan"), 0.0]),
    ],
)
def test_what_is_no_classifier_is_refused(model, tmp_path, change):
    model.write(tmp_path / "m.json")
    data = json.loads((tmp_path / "m.json").read_text())
    (tmp_path / "bad.json").write_text(json.dumps(change(data)))
    with pytest.raises(InputError, match=r"bad\.json"):
        read_classifier(tmp_path / "bad.json")


def box(x0, y0, x1, y1, name, kind):
    return Region(name, kind, shapely.box(x0, y0, x1, y1))


def test_regions_and_a_classifier_combine():
    cells = pd.DataFrame({"Region": ["t", "t", "s", "", "t | s", "n"]})
    regions = RegionSet(
        (box(0, 0, 1, 1, "t", "Tumor"), box(0, 0, 1, 1, "s", "stroma"), box(0, 0, 1, 1, "n", "Necrosis"))
    )
    assert CellTyper(regions).types(cells).tolist() == ["Tumor", "Tumor", "Stroma", "", "Stroma", ""]
    typer = CellTyper(regions, epithelium_rule())
    typer._predicted = np.array(["Tumor", "Immune", "Tumor", "Tumor", "Tumor", "Tumor"], object)
    assert typer.types(cells).tolist() == ["Tumor", "Immune", "Stroma", "", "Stroma", ""]
    alone = CellTyper(RegionSet(), epithelium_rule())
    alone._predicted = typer._predicted
    assert alone.types(cells).tolist() == typer._predicted.tolist()
    assert CellTyper(RegionSet()).types(cells).tolist() == [""] * 6


def test_names_of_types():
    assert [type_named(n) for n in ("TUMOR", " tumour", "Immune cells", "Stroma", "other", "Ignore*", "")] == [
        "Tumor",
        "Tumor",
        "Immune",
        "Stroma",
        "Other",
        "",
        "",
    ]


def geojson(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def feature(geometry, coordinates, name):
    properties = {"objectType": "annotation", "classification": {"name": name}}
    return {"type": "Feature", "geometry": {"type": geometry, "coordinates": coordinates}, "properties": properties}


def test_labels_are_points_or_regions(tmp_path):
    cells, _ = cells_of()
    near = cells[["x_px", "y_px"]].to_numpy()[:3]
    square = [[[1000, 0], [1400, 0], [1400, 400], [1000, 400], [1000, 0]]]
    path = geojson(
        tmp_path / "l.geojson",
        feature("MultiPoint", (near[:2] + 3).tolist(), "Tumor"),
        feature("Point", [-500, -500], "Tumor"),
        feature("Polygon", square, "Stroma"),
    )
    found = read_labels(path, cells, (2000, 2000), 0.5)
    inside = cells["x_px"].between(1000, 1400) & cells["y_px"].between(0, 400)
    assert (found.types == "Tumor").sum() == 2
    assert (found.types == "Stroma").sum() == (inside & ~cells.index.isin([0, 1])).sum()
    only = geojson(tmp_path / "one.geojson", feature("Point", near[0].tolist(), "Tumor"))
    with pytest.raises(InputError, match="1 types"):
        read_labels(only, cells, (2000, 2000), 0.5)


def test_labels_on_a_tile_lie_where_its_geojson_does(tmp_path):
    cells, tumor = cells_of()
    place = Placement(1000, 400, 2)
    kinds = np.where(tumor, "Tumor", "Stroma")
    at = place(cells[["x_px", "y_px"]].to_numpy()).tolist()
    path = tmp_path / "labels.geojson"
    geojson(path, *(feature("Point", xy, kind) for xy, kind in zip(at, kinds, strict=True)))
    labels = read_labels(path, cells, (2000, 2000), 0.5, place.back)
    assert labels.types.tolist() == kinds.tolist()
    area = [[[1000, 400], [2990, 400], [2990, 4400], [1000, 4400], [1000, 400]]]
    geojson(path, feature("Polygon", area, "Tumor"), feature("Point", at[int(np.argmin(tumor))], "Stroma"))
    labels = read_labels(path, cells, (2000, 2000), 0.5, place.back)
    assert (labels.types == "Tumor").sum() == (cells["x_px"] <= 995).sum()


def test_labels_that_do_not_count_are_said(tmp_path):
    cells, _ = cells_of()
    near = cells[["x_px", "y_px"]].to_numpy()[:3].tolist()
    path = geojson(
        tmp_path / "l.geojson",
        feature("MultiPoint", near, "Tumor"),
        feature("MultiPoint", [near[0], [-500, -500]], "Stroma"),
        feature("Point", near[2], "Stroma"),
        feature("Point", near[1], "Lymphocyte"),
        feature("Point", [float("nan"), 5], "Stroma"),
        feature("Polygon", [[[1500, 1500], [1900, 1500], [1900, 1900], [1500, 1500]]], "Stroma"),
    )
    assert read_labels(path, cells, (2000, 2000), 0.5).notes == (
        "1 of 6 points lie on no nucleus",
        "2 cells are labeled as two types: the first counts",
        "objects of other classes do not count: Lymphocyte",
    )


def test_nuclei_of_another_segmenter_are_warned_of(model):
    known = dataclasses.replace(model, about={"trained_on": [{"segmenter": "network"}]})
    assert known.warnings("network") == model.warnings("watershed") == []
    assert known.warnings("watershed") == ["the classifier was trained on nuclei of network, these are of watershed"]


def test_types_of_cells_need_what_other_vectors_do_not_tell():
    cells, _ = cells_of()
    with pytest.raises(
        IhcscoreError, match=r"Hematoxylin OD std dev, which cannot be recomputed .* score the images again"
    ):
        features_of([cells.drop(columns="Nucleus: Hematoxylin OD std dev")])


def test_labels_of_one_place_have_no_cross_validation():
    cells, tumor = cells_of()
    labels = labels_of(cells, tumor)
    one = train([cells], [Labels(labels.rows, labels.types, np.zeros(20, np.int64))])
    assert "two places" in one.about["cross_validation"]["why_none"]


def test_the_rule_that_ships_says_how_good_it_is():
    rule = epithelium_rule()
    assert isinstance(rule, CellClassifier)
    assert set(rule.classes) == {"Tumor", "Stroma", "Immune"}
    assert "phantoms" in rule.about["trained_on"]
    assert rule.about["cross_validation"]["balanced_accuracy"] > 0.8
