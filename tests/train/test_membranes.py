"""The membrane network trains in minutes, from phantoms alone, and what is exported says what was trained."""

import dataclasses
import hashlib
import json
from importlib.resources import files

import numpy as np
import pytest
import torch

from ihcscore.cells.membrane.profiles import RAYS, SAMPLES, Profiles
from ihcscore.cells.membrane.reader import (
    AROUND,
    BIASES,
    CARD_FILE,
    PLANES,
    RAYS_FILE,
    SLIDE_FILE,
    decode_proposals,
    encode_profiles,
)
from ihcscore.cells.onnx_session import open_session
from ihcscore.phantom import load_parameters
from ihcscore.stains.texture import TEXTURE
from ihcscore.train.membranes.__main__ import SHIPPED_SEED, main
from ihcscore.train.membranes.cells import Cells, training_cells
from ihcscore.train.membranes.fit import STAGES, Run
from ihcscore.train.membranes.net import MembraneNet, export
from ihcscore.train.membranes.tile_parameters import TYPICAL_SHARE, tile_parameters


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("membranes")
    main(["--out", str(folder), "--tiles", "40", "--steps", "400", "--workers", "2"])
    return folder


@pytest.fixture(scope="module")
def cells():
    return training_cells(3, range(4, 6))


def read(folder, around, texture):
    """Read cells of one slide with what was exported."""
    *biases, prior = open_session((folder / SLIDE_FILE).read_bytes(), "slide").run(None, {"texture": texture[None]})
    weights = dict(zip(BIASES, biases, strict=True))
    (proposals,) = open_session((folder / RAYS_FILE).read_bytes(), "rays", weights).run(None, {"profiles": around})
    return decode_proposals(proposals, prior)


def right(folder, cells):
    """Correlate what a network says of cells with the truth: of density (its logarithm), of lines."""
    od, line = np.zeros_like(cells.od), np.zeros_like(cells.line)
    for texture in np.unique(cells.texture, axis=0):
        rows = (cells.texture == texture).all(axis=1)
        level = np.ascontiguousarray(cells.level[rows].swapaxes(0, 1))
        around = encode_profiles(Profiles(level, cells.other[rows], np.zeros_like(cells.od[rows])))
        od[rows], line[rows], _ = read(folder, around, texture)
    known = np.isfinite(cells.od)
    pairs = (np.log(0.1 + od), np.log(0.1 + cells.od)), (line, cells.line)
    return tuple(np.corrcoef(a[known], b[known])[0, 1] for a, b in pairs)


def test_a_short_training_learns_its_tiles(out):
    data = b"".join((out / name).read_bytes() for name in (RAYS_FILE, SLIDE_FILE))
    assert json.loads((out / CARD_FILE).read_text())["sha256"] == hashlib.sha256(data).hexdigest()
    density, line = right(out, training_cells(SHIPPED_SEED, range(12)))
    assert density > 0.85
    assert line > 0.65


def test_the_packaged_network_reads_tiles_it_has_not_seen():
    density, line = right(files("ihcscore.cells.membrane") / "weights", training_cells(99, range(12)))
    assert density > 0.85
    assert line > 0.7


def test_a_share_of_the_tiles_is_stained_as_the_presets_are():
    rng = np.random.default_rng(3)
    tiles = [tile_parameters(rng) for _ in range(1000)]
    marker = ("marker_od", "marker_spread", "positive_share", "cytoplasm_um", "cytoplasm_leak", "completeness")
    typical = [all(getattr(t, name) == getattr(load_parameters(t.marker), name) for name in marker) for t in tiles]
    assert np.mean(typical) == pytest.approx(TYPICAL_SHARE, abs=0.05)


def rounded(x):
    """Repeat rays at both ends, for they go round."""
    return torch.cat([x[..., -AROUND:], x, x[..., :AROUND]], 3)


def test_turning_a_cell_turns_its_rays():
    torch.manual_seed(0)
    net = MembraneNet(torch.zeros(3), torch.ones(3)).eval()
    x, texture = torch.rand(2, PLANES, SAMPLES, RAYS), torch.rand(1, 3)
    with torch.no_grad():
        for before, after in zip(net(rounded(x), texture), net(rounded(torch.roll(x, 8, 3)), texture), strict=True):
            torch.testing.assert_close(torch.roll(before, 8, 1), after)


def test_what_is_exported_reads_as_what_was_trained(tmp_path):
    torch.manual_seed(1)
    net = MembraneNet(torch.randn(len(TEXTURE)), torch.rand(len(TEXTURE)) + 0.5).eval()
    export(net, tmp_path, {})
    x, texture = rounded(torch.randn(5, PLANES, SAMPLES, RAYS)), torch.randn(1, len(TEXTURE))
    with torch.no_grad():
        od, line, step, _ = net(x, texture)
    found = read(tmp_path, x.numpy(), texture.numpy()[0])
    for wanted, values in zip((od, torch.sigmoid(line), step), found, strict=True):
        np.testing.assert_allclose(values, wanted.numpy(), atol=1e-4)


def test_cells_to_learn_from_are_the_same_again(cells):
    again = training_cells(3, range(4, 6))
    for field in dataclasses.fields(Cells):
        np.testing.assert_array_equal(getattr(cells, field.name), getattr(again, field.name))
    assert np.isfinite(cells.od).any()
    assert not np.isinf(cells.step).any()


class Stopped(Exception):
    pass


def test_a_stopped_training_goes_on_after_its_last_stage(tmp_path, cells, monkeypatch):
    monkeypatch.setattr("ihcscore.train.membranes.fit.REPORT_STEPS", 1)
    whole = Run(cells, 20, 5, tmp_path / "whole.pt").fit(lambda line: None)
    told = []

    def stop(line):
        told.append(line)
        if line.startswith("stage 2"):
            raise Stopped

    with pytest.raises(Stopped):
        Run(cells, 20, 5, tmp_path / "parts.pt").fit(stop)
    assert len(told) == 11
    rest = []
    resumed = Run(cells, 20, 5, tmp_path / "parts.pt")
    net = resumed.fit(rest.append)
    assert len(rest) == 9
    assert resumed.finished == len(STAGES)
    for name, values in whole.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], values, rtol=0, atol=0)


def test_a_checkpoint_of_another_training_is_an_error(tmp_path, cells):
    Run(cells, 9, 5, tmp_path / "membranes.pt").fit(lambda line: None)
    with pytest.raises(ValueError, match=r"membranes\.pt is of another training .*: remove it"):
        Run(cells, 9, 6, tmp_path / "membranes.pt")
