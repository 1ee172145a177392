"""The training trains: in minutes, from phantoms alone, to a file that the segmenter reads."""

import importlib.util
import json

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ihcscore.cells.segmentation.base import TilePixels
from ihcscore.cells.segmentation.network import Network
from ihcscore.phantom import load_parameters, render
from ihcscore.train import network, tiles
from ihcscore.train.__main__ import main
from ihcscore.train.export import export
from ihcscore.train.fit import CROP, Run, Schedule, crops, load_tiles
from ihcscore.train.integers import MOST_WEIGHT, fold
from ihcscore.train.membranes.__main__ import main as main_of_membranes
from ihcscore.train.tile_parameters import DENSE_WEIGHT, training_parameters
from ihcscore.train.tiles import SIDE, Tiles, heights, training_tile


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training, stopped half way and taken up again."""
    out = tmp_path_factory.mktemp("train")
    options = ["--out", str(out), "--tiles", "200", "--batch", "8", "--workers", "2", "--steps", "450"]

    def stop(text):
        if text.startswith("step 200"):
            raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ihcscore.train.fit.CHECKPOINT_STEPS", 150)
        patch.setattr("ihcscore.train.__main__.say", stop)
        with pytest.raises(Stopped):
            main(options)
    first = torch.load(out / "checkpoint.pt", weights_only=True)
    assert first["step"] == 150
    main(options)
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 450
    return out


def test_a_checkpoint_of_another_training_is_refused(trained, tmp_path):
    options = ["--out", str(trained), "--tiles", "200", "--workers", "1"]
    before = (trained / "nuclei.json").read_bytes()
    for other in (["--batch", "8", "--steps", "450", "--seed", "9"], ["--steps", "450"], ["--batch", "8"]):
        with pytest.raises(SystemExit, match=r"checkpoint\.pt is of another training .*: remove it"):
            main([*options, *other])
    assert (trained / "nuclei.json").read_bytes() == before
    (tmp_path / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(SystemExit, match=r"checkpoint\.pt is damaged"):
        main(["--out", str(tmp_path), "--tiles", "200", "--steps", "5", "--workers", "1"])


def test_a_short_training_finds_nuclei(trained):
    segmenter = Network(weights=trained / "nuclei.onnx")
    overlap = []
    for seed in range(900, 904):
        phantom = render(load_parameters("nuclear"), seed)
        block = TilePixels(phantom.rgb, phantom.stains, phantom.background, 0.5)
        found = segmenter.segment(block) > 0
        truth = phantom.nuclei > 0
        overlap.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    assert np.mean(overlap) > 0.6  # the full training reaches 0.9; an untrained network 0.0 to 0.35
    about = json.loads((trained / "nuclei.json").read_text())
    assert about["sha256"] == segmenter.weights_sha256
    assert about["steps"] == 450


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with random weights and norms that have seen noise, the same in integers, and other noise."""
    torch.manual_seed(0)
    net = network.NucleusNet().train()
    rng = np.random.default_rng(0)
    noise = np.kron(rng.integers(0, 256, (8, 16, 16, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    with torch.no_grad():
        for _ in range(20):
            net(torch.from_numpy(noise).permute(0, 3, 1, 2).float() / 255)
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    export(net, noise, path, {})
    rgb = np.kron(rng.integers(0, 256, (16, 20, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    return net.eval(), path, rgb


def test_the_shipped_file_says_what_the_network_says(exported):
    net, path, rgb = exported
    with torch.no_grad():
        light = torch.from_numpy(rgb.transpose(2, 0, 1)[None].copy()).float() / 255
        expected = torch.sigmoid(net(light))[0].numpy().transpose(1, 2, 0) * 255
    found = Network(weights=path).maps(rgb, np.full(3, 255.0))
    away = np.abs(found - expected)
    assert expected.std() > 10
    assert away.mean() < 1.5  # a byte for each value between the layers
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_sums_are_of_whole_numbers_that_cannot_overflow(exported, tmp_path):
    _, path, _ = exported
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operators.count("QLinearConv") == 6 + network.DEEP_BLOCKS
    assert not {"Conv", "Add", "DequantizeLinear", "QuantizeLinear"} & set(operators)
    whole = [w for w in onnx.load(path).graph.initializer if w.name.endswith("weight.whole")]
    assert len(whole) == 6 + network.DEEP_BLOCKS
    for weight in whole:
        assert np.abs(onnx.numpy_helper.to_array(weight).astype(int)).max() == MOST_WEIGHT


def test_a_norm_is_part_of_its_convolution():
    torch.manual_seed(0)
    convolution, norm = torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    norm.weight.data.normal_()
    norm.bias.data.normal_()
    light = torch.rand(1, 3, 8, 8)
    layer = fold(torch.nn.Sequential(convolution, norm))
    alone = torch.nn.functional.conv2d(light.double(), *(torch.from_numpy(v) for v in (layer.weight, layer.bias)))
    torch.testing.assert_close(alone.float(), norm(convolution(light)))


def test_nothing_farther_than_the_margin_matters():
    torch.manual_seed(0)
    net = network.NucleusNet().double().eval()
    rng = np.random.default_rng(0)
    light = torch.from_numpy(rng.random((1, 3, 192, 192)))
    far = light.clone()
    middle = slice(88, 104)
    near = slice(88 - network.RECEPTIVE_PX, 104 + network.RECEPTIVE_PX)
    far[...] = torch.from_numpy(rng.random((1, 3, 192, 192)))
    far[..., near, near] = light[..., near, near]
    with torch.no_grad():
        torch.testing.assert_close(net(light)[..., middle, middle], net(far)[..., middle, middle], rtol=0, atol=1e-12)
        shifted = light.clone()
        shifted[..., 96, 96] = 1 - shifted[..., 96, 96]
        assert not torch.equal(net(light)[..., 96, 96], net(shifted)[..., 96, 96])


def test_tiles_are_the_same_again_and_differ_from_each_other():
    rgb, nuclei, weight = training_tile(3, 5)
    again, *_ = training_tile(3, 5)
    assert weight in (1, DENSE_WEIGHT)
    assert rgb.shape == (SIDE, SIDE, 3)
    assert nuclei.shape == (SIDE, SIDE)
    np.testing.assert_array_equal(rgb, again)
    assert not np.array_equal(rgb, training_tile(3, 6)[0])
    assert not np.array_equal(rgb, training_tile(4, 5)[0])


def test_tiles_are_drawn_by_their_weight():
    shades = np.array([0, 60, 120, 180], np.uint8)[:, None, None]
    flat = np.broadcast_to(shades, (4, SIDE, SIDE))
    tiles = Tiles(np.repeat(flat[..., None], 3, axis=3), np.array(flat), np.array([1, 0, 3, 1], np.uint8))
    _, height = crops(np.random.default_rng(1), tiles, 1000)
    seen = (height[:, 0, 0] * 255).round()
    assert (seen == 60).sum() == 0
    assert (seen == 120).float().mean() == pytest.approx(0.6, abs=0.05)


def test_a_stain_that_leaks_into_nuclei_does_not_hide_them():
    seen = [training_parameters(np.random.default_rng(number)) for number in range(300)]
    assert {drawn.marker for drawn in seen} == {"nuclear", "membranous", "cytoplasmic", "negative"}
    stained = [drawn for drawn in seen if drawn.marker in ("membranous", "cytoplasmic")]
    assert len(stained) == pytest.approx(0.52 * 300, abs=25)
    leaks = [drawn for drawn in stained if drawn.nucleus_leak[0] > 0.35]
    assert leaks
    assert all(drawn.marker_od[0] <= 0.6 and drawn.hematoxylin_in_positive[0] >= 0.5 for drawn in leaks)


def test_every_nucleus_is_one_hill():
    phantom = render(load_parameters("nuclear"), 2)
    hill = heights(phantom.nuclei)
    np.testing.assert_array_equal(hill > 0, phantom.nuclei > 0)
    tops = np.zeros(phantom.nuclei.max() + 1)
    np.maximum.at(tops, phantom.nuclei.ravel(), hill.ravel())
    assert tops[1:].min() > 100


def test_a_crop_and_its_heights_are_cut_turned_and_zoomed_alike():
    discs = np.zeros((SIDE, SIDE), np.uint8)
    for x in range(20, SIDE, 40):
        for y in range(15, SIDE, 30):
            cv2.circle(discs, (x, y), 8, 255, -1)
    white = Tiles(np.repeat(255 - discs[None, ..., None], 3, axis=3), discs[None], np.ones(1, np.uint8))
    light, height = crops(np.random.default_rng(3), white, 40)
    assert light.shape == (40, 3, CROP, CROP)
    agree = ((light.mean(1) < 0.5) == (height > 0)).float().mean((1, 2))
    assert agree.min() > 0.97
    sizes = [np.median(cv2.connectedComponentsWithStats(h.numpy().astype(np.uint8))[2][1:, 4]) for h in height]
    assert min(sizes) < 0.75 * 197 < 1.3 * 197 < max(sizes)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    paths = [tiles.make_shard(tmp_path, 1, 0)]
    data = load_tiles(paths)
    monkeypatch.setattr("ihcscore.train.fit.REPORT_STEPS", 1)
    monkeypatch.setattr("ihcscore.train.fit.CHECKPOINT_STEPS", 2)
    whole = Run(Schedule(5, batch=2), tmp_path / "whole.pt", tiles=100)
    whole.fit(data, lambda text: None)

    def stop(text):
        if text.startswith("step 3"):
            raise Stopped

    with pytest.raises(Stopped):
        Run(Schedule(5, batch=2), tmp_path / "parts.pt", tiles=100).fit(data, stop)
    resumed = Run(Schedule(5, batch=2), tmp_path / "parts.pt", tiles=100)
    assert resumed.step == 2
    resumed.fit(data, lambda text: None)
    for mine, other in zip(whole.net.state_dict().values(), resumed.net.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


def test_bad_options_are_refused(capsys, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main(["--steps", "0"])
    assert "1 or more" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--seed", "-1"])
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        main(["--out", str(tmp_path / "file")])


@pytest.mark.parametrize("train", [main, main_of_membranes])
def test_what_is_missing_is_said_before_anything_is_trained(train, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnx" else found(name))
    with pytest.raises(SystemExit, match="training needs onnx: pip install"):
        train(["--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
