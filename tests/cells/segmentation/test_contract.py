"""What every segmenter keeps, the fakes of other packages included."""

import importlib.metadata
import sys
import types
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import check_labels, read_only
from scipy import ndimage as ndi

from ihcscore.cells.segmentation.base import MapSegmenter, Segmenter, TilePixels
from ihcscore.cells.segmentation.engines.adapter import tidy
from ihcscore.cells.segmentation.registry import SEGMENTERS, describe, load_segmenter
from ihcscore.cells.segmentation.weights import weights_sha256
from ihcscore.errors import AssayError, IhcscoreError, MissingExtra, UnknownName, WeightsError
from ihcscore.phantom import load_parameters, render
from ihcscore.stains.vectors import StainMatrix

MPP = 0.5
WHITE = np.full(3, 240.0)
NETWORK = "weights_best.h5"
ENGINES = ("stardist", "cellpose", "instanseg")


def block(rgb, mpp=MPP, background=WHITE):
    return TilePixels(read_only(rgb), StainMatrix(), background, mpp)


def threshold(light):
    """What a fake engine finds: dark spots, with the faults that real ones have."""
    labels, count = ndi.label(np.asarray(light).mean(axis=-1) < 0.72)
    labels = labels * 3  # gaps
    labels[:2, :2] = labels[-3:-1, -3:-1] = 3 * count + 1  # one label in two pieces
    return labels


@pytest.fixture
def engines(monkeypatch, tmp_path):
    """Fakes of the packages behind the adapters: their calls as documented, a threshold instead of a model."""

    @dataclass
    class StarDist2D:
        config: object
        name: str
        basedir: str

        def __post_init__(self):
            assert self.config is None
            assert (Path(self.basedir) / self.name).exists()

        def predict_instances(self, img, axes):
            assert axes == "YXC"
            return threshold(img), {}

    @dataclass
    class CellposeModel:
        gpu: bool
        pretrained_model: str

        def eval(self, x, diameter, normalize):
            assert normalize == {"lowhigh": [0.0, 1.0]}
            assert diameter > 0
            return threshold(x), [], np.zeros(256)

    class Tensor:
        def __init__(self, array):
            self.array = array

        def __getitem__(self, at):
            return Tensor(self.array[at])

        def cpu(self):
            return self

        def numpy(self):
            return self.array

    class Script:
        def eval(self):
            return self

        def __call__(self, x):
            assert x.array.ndim == 4
            return Tensor(threshold(x.array[0].transpose(1, 2, 0))[None, None].astype(np.float32))

    torch = types.ModuleType("torch")
    torch.from_numpy = Tensor
    torch.inference_mode = lambda: types.SimpleNamespace(__enter__=None)

    class Mode:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    torch.inference_mode = Mode
    torch.jit = types.SimpleNamespace(load=lambda path, map_location: Script())
    for name, module in {
        "stardist": types.ModuleType("stardist"),
        "stardist.models": types.SimpleNamespace(StarDist2D=StarDist2D),
        "cellpose": types.ModuleType("cellpose"),
        "cellpose.models": types.SimpleNamespace(CellposeModel=CellposeModel),
        "torch": torch,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    weights = tmp_path / "model.pt"
    weights.mkdir()
    (weights / "thresholds.json").write_text('{"prob": 0.5, "nms": 0.4}')
    (weights / NETWORK).write_bytes(b"a model")
    return weights


@pytest.fixture(params=sorted(SEGMENTERS))
def segmenter(request, engines):
    own = request.param in ("network", "watershed")
    return load_segmenter(request.param, weights=None if own else engines)


@pytest.fixture(scope="module")
def tissue():
    return read_only(render(load_parameters("nuclear"), 11).rgb[:220, :300])


def test_it_is_a_segmenter_that_says_what_it_is(segmenter):
    assert isinstance(segmenter, Segmenter)
    assert segmenter.mpp == MPP
    assert min(segmenter.largest_object_um, segmenter.influence_um) > 0
    described = describe(segmenter)
    assert described["name"] in SEGMENTERS
    assert described["version"]
    assert not any("/" in str(value) for value in described["parameters"].values())


def test_labels_keep_the_contract_and_the_input_is_left_alone(segmenter, tissue):
    labels = segmenter.segment(block(tissue))
    assert labels.shape == tissue.shape[:2]
    assert labels.max() > 20
    check_labels(labels, segmenter)
    np.testing.assert_array_equal(segmenter.segment(block(tissue)), labels)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 50), (7, 3), (33, 65)])
def test_any_shape_gives_labels(segmenter, shape):
    labels = segmenter.segment(block(np.full((*shape, 3), 240, np.uint8)))
    assert labels.shape == shape
    assert labels.dtype == np.int32


def test_black_and_blank_hold_no_nuclei_longer_than_the_largest(segmenter):
    for gray in (0, 240):
        check_labels(segmenter.segment(block(np.full((90, 130, 3), gray, np.uint8))), segmenter)


def test_another_pixel_size_is_an_error(segmenter, tissue):
    with pytest.raises(ValueError, match="resample"):
        segmenter.segment(block(tissue, mpp=0.25))


def test_maps_do_not_depend_on_what_is_farther_than_the_margin(segmenter, tissue):
    if not isinstance(segmenter, MapSegmenter):
        return
    margin = segmenter.margin_px
    whole = segmenter.maps(tissue, WHITE)
    for top, left in ((0, 0), (8, 16), (40, 72)):
        part = segmenter.maps(np.ascontiguousarray(tissue[top:, left:]), WHITE)
        y, x = (margin if side else 0 for side in (top, left))
        inner = np.s_[y : len(part) - margin, x : part.shape[1] - margin]
        np.testing.assert_array_equal(part[inner], whole[top:, left:][inner])


def test_engines_need_weights_that_are_there(engines):
    with pytest.raises(WeightsError, match="give the path of its model"):
        load_segmenter("stardist")
    with pytest.raises(WeightsError, match="no such file"):
        load_segmenter("cellpose", weights=engines.with_name("none"))
    with pytest.raises(WeightsError, match="leave the weights out"):
        load_segmenter("watershed", weights=engines)
    with pytest.raises(WeightsError, match="not the 000000000000"):
        load_segmenter("instanseg", weights=engines, weights_sha256="0" * 64)
    with pytest.raises(WeightsError, match="nothing to check"):
        load_segmenter("network", weights_sha256="0" * 64)


def replace_loader(monkeypatch, name, load):
    """Put another loader of models into the fake package of an engine."""
    place, call = {
        "stardist": (sys.modules["stardist.models"], "StarDist2D"),
        "cellpose": (sys.modules["cellpose.models"], "CellposeModel"),
        "instanseg": (sys.modules["torch"].jit, "load"),
    }[name]
    monkeypatch.setattr(place, call, load)


@pytest.mark.parametrize("name", ENGINES)
def test_what_the_package_cannot_load_is_a_weights_error(engines, monkeypatch, tissue, name):
    def load(*_, **__):
        raise OSError("cannot open '/home/me/my models/config.json'\nand more")

    replace_loader(monkeypatch, name, load)
    segmenter = load_segmenter(name, weights=engines)
    with pytest.raises(WeightsError, match=rf"model\.pt: is not a (?i:{name}) model \(OSError: cannot open 'config"):
        segmenter.segment(block(tissue))


@pytest.mark.parametrize("name", ENGINES)
def test_what_the_package_raises_names_the_engine_and_the_cause(engines, monkeypatch, tissue, name):
    class Model:
        def fails(self, *_, **__):
            raise RuntimeError("out of memory\nand more")

        predict_instances = __call__ = fails

        def eval(self, *given, **_):
            return self.fails() if given else self

    replace_loader(monkeypatch, name, lambda *_, **__: Model())
    with pytest.raises(IhcscoreError, match=rf"^{name} failed with model\.pt: RuntimeError: out of memory$"):
        load_segmenter(name, weights=engines).segment(block(tissue))


@pytest.mark.filterwarnings("ignore")
def test_a_stardist_folder_without_a_network_is_not_run_with_a_random_one(engines, monkeypatch, tissue):
    def load(*_, **__):
        warnings.warn("Couldn't find any network weights (*.h5, *.hdf5) to load.", stacklevel=1)  # as CSBDeep does

    replace_loader(monkeypatch, "stardist", load)
    with pytest.raises(WeightsError, match="Couldn't find any network weights"):
        load_segmenter("stardist", weights=engines).segment(block(tissue))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("thresholds.json", None, "FileNotFoundError"),
        ("thresholds.json", '{"prob": 0.5}', "KeyError: 'nms'"),
        ("thresholds.json", '{"prob": 2, "nms": 0.4}', "must give prob and nms"),
        ("other_best.h5", "", "holds several networks"),
    ],
)
def test_stardist_is_left_nothing_to_choose(engines, tissue, name, text, message):
    (engines / "weights_last.h5").write_text("")  # what is called best is taken, always
    load_segmenter("stardist", weights=engines).segment(block(tissue))
    (engines / name).unlink() if text is None else (engines / name).write_text(text)
    with pytest.raises(WeightsError, match=message):
        load_segmenter("stardist", weights=engines).segment(block(tissue))


def test_parameters_of_engines_are_positive_numbers(engines):
    for value in (0.0, -1.0, float("nan"), float("inf")):
        for name in ("mpp", "largest_object_um", "influence_um", "diameter_um"):
            with pytest.raises(AssayError, match=f"parameters must be positive, found {name}="):
                load_segmenter("cellpose", {name: value}, weights=engines)


def test_a_failure_within_torchscript_tells_its_cause(engines, monkeypatch, tissue):
    def model(_):
        raise RuntimeError(
            "The following operation failed in the TorchScript interpreter.\nTraceback\nIndexError: gone"
        )

    monkeypatch.setattr(sys.modules["torch"].jit, "load", lambda *_, **__: types.SimpleNamespace(eval=lambda: model))
    with pytest.raises(IhcscoreError, match=r"RuntimeError: IndexError: gone$"):
        load_segmenter("instanseg", weights=engines).segment(block(tissue))


@pytest.mark.parametrize("labels", [np.ones((220, 300), bool), np.ones((220, 300)), np.ones((9, 9), int), None])
def test_what_is_no_labels_is_a_weights_error(engines, monkeypatch, tissue, labels):
    model = types.SimpleNamespace(eval=lambda *_, **__: (labels,))
    replace_loader(monkeypatch, "cellpose", lambda **_: model)
    with pytest.raises(WeightsError, match=r"model\.pt: gives \w+ of shape .* as labels of \(220, 300\) pixels"):
        load_segmenter("cellpose", weights=engines).segment(block(tissue))


def test_changed_weights_are_another_model(engines, monkeypatch, tissue):
    def load(config, name, basedir):
        value = int((Path(basedir) / name / NETWORK).read_text())
        labels = np.zeros(tissue.shape[:2], int)
        labels[0, :value] = 1
        return types.SimpleNamespace(predict_instances=lambda img, axes: (labels, {}))

    def found():
        return (load_segmenter("stardist", weights=engines).segment(block(tissue)) > 0).sum()

    replace_loader(monkeypatch, "stardist", load)
    (engines / NETWORK).write_text("5")
    assert found() == 5
    early = load_segmenter("stardist", weights=engines)
    (engines / NETWORK).write_text("7")
    assert found() == 7
    assert (early.segment(block(tissue)) > 0).sum() == 5  # it was loaded with these weights
    early = load_segmenter("stardist", weights=engines)
    (engines / NETWORK).write_text("9")
    found()
    (engines / NETWORK).write_text("8")
    found()  # of two models kept, the one of 7 is gone
    with pytest.raises(WeightsError, match=r"model\.pt: has changed since it was first read"):
        early.segment(block(tissue))


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_records_its_weights_and_its_installed_version(engines, monkeypatch, name):
    segmenter = load_segmenter(name, weights=engines)
    monkeypatch.setattr(importlib.metadata, "version", {segmenter.package: "4.2.1"}.__getitem__)
    described = describe(segmenter)
    assert described["version"] == "4.2.1"
    assert described["parameters"]["weights_sha256"] == weights_sha256(engines)


def test_a_package_without_metadata_says_its_version_itself(engines, monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(sys.modules["stardist"], "__version__", "0.9.2", raising=False)
    assert load_segmenter("stardist", weights=engines).version == "0.9.2"
    assert load_segmenter("cellpose", weights=engines).version == "unknown"


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "stardist", None)
    with pytest.raises(MissingExtra, match=r"ihcscore\[engines\]"):
        load_segmenter("stardist", weights=tmp_path)


def test_an_unknown_name_is_never_another_segmenter():
    with pytest.raises(UnknownName, match="choose from cellpose, instanseg, network, stardist, watershed"):
        load_segmenter("cyto9")


def test_tidy_keeps_the_largest_piece():
    labels = np.array([[4, 4, 0, 4], [0, 0, 0, 0], [9, 9, 9, 0], [9, 0, 9, 0], [9, 9, 9, -1]])
    expected = [[1, 1, 0, 0], [0, 0, 0, 0], [2, 2, 2, 0], [2, 2, 2, 0], [2, 2, 2, 0]]
    np.testing.assert_array_equal(tidy(labels, 10), expected)
    assert not tidy(labels, 1.5).any()
