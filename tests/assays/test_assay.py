import dataclasses
import hashlib
import shutil
from importlib import resources

import numpy as np
import pytest
import shapely
import tomli_w
from conftest import discs

from ihcscore.api import score_cells, score_image
from ihcscore.assays.assay import INPUT_FIELDS, MEASURED_FIELDS, Assay, field_specs
from ihcscore.assays.loading import assay_from_dict, assay_toml, load_assay, preset_names
from ihcscore.errors import AssayError, IhcscoreError, UnknownName, WeightsError
from ihcscore.io.regions import Region
from ihcscore.scoring.regions import RegionSet
from ihcscore.stains.vectors import StainMatrix

RULE = resources.files("ihcscore.scoring.cell_types") / "epithelium.json"
WEIGHTS = resources.files("ihcscore.cells.segmentation") / "weights" / "nuclei.onnx"
REGION = Region("left", "", shapely.box(0, 0, 120, 80))
CHANGES = {
    "name": "other",
    "version": 2,
    "description": "another text",
    "compartment": ("cytoplasm",),
    "thresholds": (0.1, 0.3, 0.5),
    "population": "tumor",
    "include_cut": True,
    "exclude_off_color": True,
    "exclude": ("Necrosis",),
    "only_regions": True,
    "hotspot_mm2": 0.003,
    "scores": ("percent_positive", "allred"),
    "minimum_cells": {"h_score": 500},
    "block_um": 40.0,
    "band_od": 0.2,
    "band_degrees": 9.0,
    "band_white": 0.1,
    "band_membrane": 0.3,
    "atm_max_od": 1.0,
    "background": (240.0, 240.0, 240.0),
    "stains": StainMatrix((0.75, 0.6, 0.28), (0.24, 0.5, 0.83)),
    "segmenter": "watershed",
    "segmenter_parameters": {"largest_object_um": 12.0},
    "weights": str(WEIGHTS),
    "weights_sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(),
    "classifier": "NAME",
    "classifier_sha256": hashlib.sha256(RULE.read_bytes()).hexdigest(),
    "tumor_rule": True,
    "expansion_um": 2.0,
    "membrane_um": 2.0,
    "membrane_from": "band",
    "complete_share": 0.1,
    "nucleus_edge_um": 0.0,
    "cytoplasm_edge_um": 0.0,
    "mpp": 0.5,
    "group": "case",
    "sources": {"thresholds": "somewhere"},
}


@pytest.fixture(scope="module")
def image():
    places = [(1, 40)] + [(30 + 30 * k, 40) for k in range(6)]
    return discs((80, 230), places, 8, 0.3, (0.9, 0.0, 0.15, 0.3, 0.5, 0.8, 1.2))[0]


def outcome(assay, image):
    if assay.only_regions:
        cells = score_image(image, mpp=0.5).measurement.cells
        return dataclasses.asdict(score_cells(cells, assay, RegionSet((REGION,), 0.5)).scores)
    result = score_image(image, mpp=0.5, assay=assay)
    return {**dataclasses.asdict(result.scores), **result.provenance}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Assay)])
def test_every_field_changes_a_result_or_its_provenance(field, image, tmp_path):
    change = CHANGES[field]
    base = load_assay("generic-nuclear")
    if field == "classifier":
        shutil.copy(RULE, tmp_path / "mine.json")
        change = str(tmp_path / "mine.json")
    if field.endswith("_sha256"):  # a hash alone has nothing to check
        base = base.replace(**{field.removesuffix("_sha256"): str(WEIGHTS if field == "weights_sha256" else RULE)})
    before, after = outcome(base, image), outcome(base.replace(**{field: change}), image)
    assert before != after


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("thresholds", "h_score"),
        ("background", "mean_dab_od"),
        ("stains", "mean_dab_od"),
        ("include_cut", "cells"),
        ("atm_max_od", "atm"),
        ("compartment", "h_score"),
        ("band_od", "band"),
        ("band_degrees", "band"),
        ("band_white", "band"),
        ("block_um", "blocks"),
        ("minimum_cells", "reason"),
        ("tumor_rule", "none"),
    ],
)
def test_scoring_fields_change_a_score(field, what, image):
    base = load_assay("generic-nuclear")
    before = score_image(image, mpp=0.5, assay=base)
    after = score_image(image, mpp=0.5, assay=base.replace(**{field: CHANGES[field]}))
    if what == "none":
        assert not before.cells["Cell type"].any()
        assert after.cells["Cell type"].all()
    else:
        assert getattr(before.scores, what) != getattr(after.scores, what)


@pytest.mark.parametrize("name", preset_names())
def test_presets_load_and_say_where_their_values_come_from(name):
    assay = load_assay(name)
    assert assay.name == name
    assert assay.description
    general = load_assay("generic-nuclear")
    changed = {f.name for f in dataclasses.fields(Assay) if getattr(assay, f.name) != getattr(general, f.name)}
    assert changed - {"name", "version", "description", "sources"} <= set(assay.sources)
    assert {"thresholds", "background"} <= set(assay.sources)


def test_the_preset_is_the_default():
    preset = load_assay("generic-nuclear")
    assert dataclasses.replace(preset, sources={}, description="") == Assay()
    assert preset.thresholds == (0.2, 0.4, 0.6)
    assert preset.compartment == ("nucleus",)


def test_an_assay_survives_a_file(tmp_path):
    assay = load_assay("generic-nuclear").replace(**{k: v for k, v in CHANGES.items() if v is not None})
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(assay.to_dict()))
    assert load_assay(path) == assay


def test_a_changed_value_loses_its_source():
    changed = load_assay("generic-nuclear").replace(thresholds=(0.1, 0.2, 0.3))
    assert "thresholds" not in changed.sources
    assert "background" in changed.sources
    assert "thresholds" in load_assay("generic-nuclear").replace(thresholds=(0.2, 0.4, 0.6)).sources


def test_all_problems_are_listed_at_once():
    wrong = {
        "name": "bad",
        "tresholds": [1, 2, 3],
        "thresholds": [0.4, 0.2, 0.6],
        "compartment": ["nucleus", "nukleus"],
        "background": [0, 255, 255],
        "stains": {"hematoxylin": [1, 0, 0]},
        "expansion_um": -1,
        "membrane_um": "wide",
        "mpp": -3,
        "include_cut": "yes",
        "population": "tumour",
        "scores": ["h_score", "quick"],
        "minimum_cells": {"cps": 3},
        "membrane_from": "ring",
    }
    with pytest.raises(AssayError) as caught:
        assay_from_dict(wrong)
    text = str(caught.value)
    for word in ("tresholds", "rise", "nukleus", "background", "lack dab", "expansion_um", "membrane_um", "mpp"):
        assert word in text
    for word in ("include_cut", "population", "quick_0_18", "'cps'", "ridge or band"):
        assert word in text


@pytest.mark.parametrize(
    "thresholds", [(0.2, 0.2, 0.4), (0, 0.2, 0.4), (0.2, 0.4), (0.2, 0.4, np.nan), (0.2, 0.4, 9), ("a", "b", "c"), 0.2]
)
def test_impossible_thresholds_are_refused(thresholds):
    with pytest.raises(AssayError, match="thresholds"):
        assay_from_dict({"thresholds": thresholds})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("version", "two"),
        ("version", True),
        ("description", ["x"]),
        ("compartment", 5),
        ("compartment", [1]),
        ("thresholds", ["0.2", "0.4", "0.6"]),
        ("background", [True, True, True]),
        ("background", 255),
        ("background", [1, 1, 1]),
        ("background", "white"),
        ("stains", 5),
        ("stains", "stains.json"),
        ("stains", {"hematoxylin": 5, "dab": [1, 0, 0]}),
        ("stains", {"hematoxylin": [0.65, 0.7, 0.29], "dab": [0.27, 0.57, 0.78], "eosin": [0, 1, 0]}),
        ("segmenter", ["watershed"]),
        ("segmenter_parameters", 5),
        ("weights", 5),
        ("weights_sha256", ["x"]),
        ("segmenter_parameters", {"contrast_od": float("nan")}),
        ("expansion_um", True),
        ("group", 5),
        ("sources", 5),
        ("sources", {"thresholds": 5}),
        ("mpp", "0.5"),
        ("include_cut", "yes"),
        ("nothing_like_it", 1),
    ],
)
def test_values_of_another_type_are_refused_by_name(field, value):
    with pytest.raises(AssayError, match=field):
        assay_from_dict({field: value})


def test_problems_name_the_file(tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text("thresholds = [0.4, 0.2, 0.6]")
    with pytest.raises(AssayError, match=r"assay 'lab\.toml': thresholds"):
        load_assay(path)


def test_cell_holds_the_other_compartments():
    with pytest.raises(AssayError, match="holds the others"):
        Assay(compartment=("cell", "nucleus"))
    with pytest.raises(AssayError, match="different"):
        Assay(compartment=("nucleus", "nucleus"))


def test_some_scores_are_of_one_compartment():
    for compartment in (("nucleus",), ("membrane", "cytoplasm"), ("cell",)):
        with pytest.raises(AssayError, match="is of the compartment 'membrane'"):
            Assay(compartment=compartment, scores=("h_score", "her2"))
        with pytest.raises(AssayError, match="'tps': is of the compartment 'membrane'"):
            Assay(compartment=compartment, scores=("tps",))
    for name in ("er", "pr", "ki67"):
        with pytest.raises(AssayError, match="is of the compartment 'nucleus', not 'membrane"):
            Assay(compartment=("membrane", "cytoplasm"), scores=(name,))
    assert Assay(compartment=("membrane",), scores=("her2", "tps")).scores == ("her2", "tps")


def test_a_hash_without_its_file_is_an_error(image):
    with pytest.raises(WeightsError, match="nothing to check"):
        score_image(image, mpp=0.5, assay=Assay(weights_sha256="0" * 64))
    with pytest.raises(IhcscoreError, match="classifier_sha256: there is nothing to check without classifier"):
        score_image(image, mpp=0.5, assay=Assay(classifier_sha256="0" * 64))


def test_a_byte_order_mark_is_no_part_of_an_assay(tmp_path):
    (tmp_path / "lab.toml").write_text('name = "lab"\n', "utf-8-sig")
    assert load_assay(tmp_path / "lab.toml").name == "lab"


def test_unknown_names_say_what_there_is(tmp_path):
    with pytest.raises(UnknownName, match="generic-nuclear"):
        load_assay("ki76")
    with pytest.raises(AssayError, match="cannot be read"):
        load_assay(tmp_path / "missing.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(AssayError, match="not TOML"):
        load_assay(broken)


@pytest.mark.parametrize("name", preset_names())
def test_a_file_with_explanations_is_the_same_assay(name, tmp_path):
    assay = load_assay(name).replace(segmenter_parameters={"depth": 0.1}, minimum_cells={"h_score": 7})
    path = tmp_path / "mine.toml"
    path.write_text(assay_toml(assay), "utf-8")
    assert load_assay(path) == assay
    assert max(map(len, path.read_text("utf-8").splitlines())) < 400


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Assay)])
def test_a_field_says_its_type_limits_and_meaning(field):
    spec = field_specs()[field]
    assert spec.meaning.endswith(".")
    assert spec.expected
    value = getattr(Assay(), field)
    assert spec.accepts(value)
    assert not spec.problems_of(field, value)
    assert spec.problems_of(field, object())
    if field.endswith(("_um", "_od", "_mm2", "mpp", "thresholds")):
        assert spec.unit


def test_measured_and_input_fields_are_what_they_were():
    assert set(MEASURED_FIELDS) == {
        "segmenter",
        "segmenter_parameters",
        "weights",
        "weights_sha256",
        "expansion_um",
        "membrane_um",
        "nucleus_edge_um",
        "cytoplasm_edge_um",
        "only_regions",
    }
    assert INPUT_FIELDS == ("mpp", "group")
