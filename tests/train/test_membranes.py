"""The membrane network trains in minutes, from phantoms alone, and what is exported says what was trained."""

import hashlib
import json
from importlib.resources import files

import numpy as np
import pytest
import torch

from ihcscore.inference import open_session
from ihcscore.membrane.profiles import RAYS, SAMPLES
from ihcscore.membrane.reader import AROUND, BIASES, CARD_FILE, PLANES, RAYS_FILE, SLIDE_FILE, settled
from ihcscore.phantom import load_parameters
from ihcscore.stains.texture import TEXTURE
from ihcscore.train.membranes import TYPICAL_SHARE, MembraneNet, export, main, tile_parameters, training_cells


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("membranes")
    main(["--out", str(folder), "--tiles", "40", "--steps", "400", "--workers", "2"])
    return folder


def read(folder, seen, texture):
    """Read cells of one slide with what was exported."""
    *biases, prior = open_session((folder / SLIDE_FILE).read_bytes(), "slide").run(None, {"texture": texture[None]})
    weights = dict(zip(BIASES, biases, strict=True))
    around = np.concatenate([seen[..., -AROUND:], seen, seen[..., :AROUND]], axis=3)
    (proposals,) = open_session((folder / RAYS_FILE).read_bytes(), "rays", weights).run(None, {"profiles": around})
    return settled(proposals, prior)


def right(folder, cells):
    """Correlate what a network says of cells with the truth: of density (its logarithm), of lines."""
    od, line = np.zeros_like(cells.od), np.zeros_like(cells.line)
    for texture in np.unique(cells.texture, axis=0):
        rows = (cells.texture == texture).all(axis=1)
        od[rows], line[rows], _ = read(folder, cells.seen[rows].astype(np.float32), texture)
    known = np.isfinite(cells.od)
    pairs = (np.log(0.1 + od), np.log(0.1 + cells.od)), (line, cells.line)
    return tuple(np.corrcoef(a[known], b[known])[0, 1] for a, b in pairs)


def test_a_short_training_learns_its_tiles(out):
    data = b"".join((out / name).read_bytes() for name in (RAYS_FILE, SLIDE_FILE))
    assert json.loads((out / CARD_FILE).read_text())["sha256"] == hashlib.sha256(data).hexdigest()
    density, line = right(out, training_cells(13, range(12)))
    assert density > 0.85
    assert line > 0.65


def test_the_packaged_network_reads_tiles_it_has_not_seen():
    density, line = right(files("ihcscore.membrane") / "weights", training_cells(99, range(12)))
    assert density > 0.85
    assert line > 0.7


def test_a_share_of_the_tiles_is_stained_as_the_presets_are():
    rng = np.random.default_rng(3)
    tiles = [tile_parameters(rng) for _ in range(1000)]
    marker = ("marker_od", "marker_spread", "positive_share", "cytoplasm_um", "cytoplasm_leak", "completeness")
    typical = [all(getattr(t, name) == getattr(load_parameters(t.marker), name) for name in marker) for t in tiles]
    assert np.mean(typical) == pytest.approx(TYPICAL_SHARE, abs=0.05)


def test_turning_a_cell_turns_its_rays():
    torch.manual_seed(0)
    net = MembraneNet(torch.zeros(3), torch.ones(3)).eval()
    x, texture = torch.rand(2, PLANES, SAMPLES, RAYS), torch.rand(1, 3)
    with torch.no_grad():
        for before, after in zip(net(x, texture), net(torch.roll(x, 8, 3), texture), strict=True):
            torch.testing.assert_close(torch.roll(before, 8, 1), after)


def test_what_is_exported_reads_as_what_was_trained(tmp_path):
    torch.manual_seed(1)
    net = MembraneNet(torch.randn(len(TEXTURE)), torch.rand(len(TEXTURE)) + 0.5).eval()
    export(net, tmp_path, {})
    x, texture = torch.randn(5, PLANES, SAMPLES, RAYS), torch.randn(1, len(TEXTURE))
    with torch.no_grad():
        od, line, step, _ = net(x, texture)
    found = read(tmp_path, x.numpy(), texture.numpy()[0])
    for wanted, values in zip((od, torch.sigmoid(line), step), found, strict=True):
        np.testing.assert_allclose(values, wanted.numpy(), atol=1e-4)


def test_cells_to_learn_from_are_the_same_again():
    first, again = training_cells(3, range(4, 6)), training_cells(3, range(4, 6))
    for name in ("seen", "texture", "od", "line", "step"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.isfinite(first.od).any()
    assert not np.isinf(first.step).any()
