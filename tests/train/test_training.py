"""The training trains: in minutes, from phantoms alone, to a file that the segmenter reads."""

import json

import numpy as np
import pytest
import torch

from ihcscore.phantom import load_parameters, render
from ihcscore.segment.base import BlockPixels
from ihcscore.segment.network import Network
from ihcscore.train import network, tiles
from ihcscore.train.__main__ import main
from ihcscore.train.export import export
from ihcscore.train.fit import Run, Schedule, load_tiles
from ihcscore.train.tiles import SIDE, heights, training_tile


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training, stopped half way and taken up again."""
    out = tmp_path_factory.mktemp("train")
    options = ["--out", str(out), "--tiles", "200", "--batch", "8", "--workers", "2"]
    main([*options, "--steps", "150"])
    first = torch.load(out / "checkpoint.pt", weights_only=True)
    assert first["step"] == 150
    main([*options, "--steps", "450"])
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 450
    return out


def test_a_short_training_finds_nuclei(trained):
    segmenter = Network(weights=trained / "nuclei.onnx")
    overlap = []
    for seed in range(900, 904):
        phantom = render(load_parameters("nuclear"), seed)
        block = BlockPixels(phantom.rgb, np.zeros(phantom.rgb.shape, np.float32), phantom.background, 0.5)
        found = segmenter.segment(block) > 0
        truth = phantom.nuclei > 0
        overlap.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    assert np.mean(overlap) > 0.6  # the full training reaches 0.9; an untrained network 0.0 to 0.35
    about = json.loads((trained / "nuclei.json").read_text())
    assert about["sha256"] == segmenter.weights_sha256
    assert about["steps"] == 450


def test_the_shipped_file_says_what_the_network_says(tmp_path):
    torch.manual_seed(0)
    net = network.NucleusNet().eval()
    export(net, tmp_path / "net.onnx", {})
    rgb = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    with torch.no_grad():
        light = torch.from_numpy(rgb.transpose(2, 0, 1)[None].copy()).float() / 255
        expected = torch.sigmoid(net(light))[0].numpy().transpose(1, 2, 0) * 255
    found = Network(weights=tmp_path / "net.onnx").maps(rgb, np.full(3, 255.0))
    assert np.abs(found - expected).max() <= 0.5 + 1e-2  # rounding to bytes, and float sums in another order


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
    rgb, nuclei = training_tile(3, 5)
    again, _ = training_tile(3, 5)
    assert rgb.shape == (SIDE, SIDE, 3)
    assert nuclei.shape == (SIDE, SIDE)
    np.testing.assert_array_equal(rgb, again)
    assert not np.array_equal(rgb, training_tile(3, 6)[0])
    assert not np.array_equal(rgb, training_tile(4, 5)[0])


def test_every_nucleus_is_one_hill():
    phantom = render(load_parameters("nuclear"), 2)
    hill = heights(phantom.nuclei)
    np.testing.assert_array_equal(hill > 0, phantom.nuclei > 0)
    tops = np.zeros(phantom.nuclei.max() + 1)
    np.maximum.at(tops, phantom.nuclei.ravel(), hill.ravel())
    assert tops[1:].min() > 100


def test_an_interrupted_run_goes_on(tmp_path):
    paths = [tiles.make_shard(tmp_path, 1, 0)]
    data = load_tiles(paths)
    whole = Run(Schedule(4, batch=2), tmp_path / "whole.pt")
    whole.fit(data, lambda text: None)
    resumed = Run(Schedule(4, batch=2), tmp_path / "whole.pt")
    assert resumed.step == 4
    for mine, other in zip(whole.net.state_dict().values(), resumed.net.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other)


def test_bad_counts_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--steps", "0"])
    assert "1 or more" in capsys.readouterr().err
