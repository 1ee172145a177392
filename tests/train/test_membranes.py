"""The membrane network trains in minutes, from phantoms alone, and what is exported says what was trained."""

import hashlib
import json

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


def test_a_short_training_tells_stained_borders_from_others(out):
    data = (out / "membranes.onnx").read_bytes()
    assert json.loads((out / "membranes.json").read_text())["sha256"] == hashlib.sha256(data).hexdigest()
    session = onnxruntime.InferenceSession(data)
    parts = [training_cells(99, number) for number in range(12)]
    od, line = [], []
    for part in parts:
        found = session.run(None, {"profiles": part.seen.astype(np.float32)})
        known = np.isfinite(part.od)
        od.append(np.stack([found[0][known], part.od[known]]))
        line.append(np.stack([found[1][known], part.line[known]]))
    assert np.corrcoef(np.concatenate(od, axis=1))[0, 1] > 0.6
    assert np.corrcoef(np.concatenate(line, axis=1))[0, 1] > 0.4


def test_turning_a_cell_turns_its_rays():
    torch.manual_seed(0)
    net = MembraneNet().eval()
    x = torch.rand(2, 2, RAYS, SAMPLES)
    with torch.no_grad():
        for before, after in zip(net(x), net(torch.roll(x, 5, 2)), strict=True):
            torch.testing.assert_close(torch.roll(before, 5, 1), after)


def test_cells_to_learn_from_are_the_same_again():
    first, again = training_cells(3, 5), training_cells(3, 5)
    for name in ("seen", "od", "line", "step"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.isfinite(first.od).any()
    assert not np.isinf(first.step).any()
