"""The membrane network trains in minutes, from phantoms alone, and what is exported says what was trained."""

import hashlib
import json
from importlib.resources import files

import numpy as np
import onnxruntime
import pytest
import torch

from ihcscore.membrane.profiles import RAYS, SAMPLES
from ihcscore.train.membranes import MembraneNet, main, training_cells


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("membranes")
    main(["--out", str(folder), "--tiles", "40", "--steps", "400", "--workers", "2"])
    return folder


def right(data, cells):
    """Correlate what a network says of cells with the truth: of density, of lines."""
    session = onnxruntime.InferenceSession(data)
    od, line = np.zeros_like(cells.od), np.zeros_like(cells.line)
    for texture in np.unique(cells.texture, axis=0):
        rows = (cells.texture == texture).all(axis=1)
        given = {"profiles": cells.seen[rows].astype(np.float32), "texture": texture[None]}
        od[rows], line[rows], _ = session.run(None, given)
    known = np.isfinite(cells.od)
    return tuple(np.corrcoef(a[known], b[known])[0, 1] for a, b in ((od, cells.od), (line, cells.line)))


def test_a_short_training_learns_its_tiles(out):
    data = (out / "membranes.onnx").read_bytes()
    assert json.loads((out / "membranes.json").read_text())["sha256"] == hashlib.sha256(data).hexdigest()
    density, line = right(data, training_cells(12, range(12)))
    assert density > 0.7
    assert line > 0.7


def test_the_packaged_network_reads_tiles_it_has_not_seen():
    data = (files("ihcscore.membrane") / "weights" / "membranes.onnx").read_bytes()
    density, line = right(data, training_cells(99, range(12)))
    assert density > 0.8
    assert line > 0.7


def test_turning_a_cell_turns_its_rays():
    torch.manual_seed(0)
    net = MembraneNet(torch.zeros(3), torch.ones(3)).eval()
    x, texture = torch.rand(2, 2, RAYS, SAMPLES), torch.rand(1, 3)
    with torch.no_grad():
        for before, after in zip(net(x, texture), net(torch.roll(x, 5, 2), texture), strict=True):
            torch.testing.assert_close(torch.roll(before, 5, 1), after)


def test_cells_to_learn_from_are_the_same_again():
    first, again = training_cells(3, range(4, 6)), training_cells(3, range(4, 6))
    for name in ("seen", "texture", "od", "line", "step"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.isfinite(first.od).any()
    assert not np.isinf(first.step).any()
