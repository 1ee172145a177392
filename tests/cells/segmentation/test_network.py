"""The network that ships: what it finds, what it depends on, what it refuses."""

import json
import pickle
import shutil
from importlib.resources import files

import numpy as np
import onnxruntime
import pytest
from conftest import read_only

from ihcscore.cells.segmentation import network
from ihcscore.cells.segmentation.base import TilePixels
from ihcscore.cells.segmentation.network import Network
from ihcscore.cells.segmentation.registry import describe, load_segmenter
from ihcscore.errors import AssayError, WeightsError
from ihcscore.phantom import load_parameters, render
from ihcscore.stains.vectors import StainMatrix

WEIGHTS = files("ihcscore.cells.segmentation") / "weights"


def block(rgb, background=(255.0, 255.0, 255.0)):
    return TilePixels(read_only(rgb), StainMatrix(), np.asarray(background), 0.5)


def maps_of(hills):
    """Maps with a cone over each (y, x, radius)."""
    maps = np.zeros((80, 120, 2), np.uint8)
    rows, columns = np.mgrid[:80, :120] + 0.5
    for y, x, radius in hills:
        height = np.clip(1 - np.hypot(rows - y, columns - x) / radius, 0, 1)
        maps[..., 1] = np.maximum(maps[..., 1], np.rint(255 * height))
    maps[..., 0] = 255 * (maps[..., 1] > 0)
    return maps


def unstained():
    return block(np.full((80, 120, 3), 255, np.uint8))


@pytest.mark.parametrize("marker", ["nuclear", "membranous", "cytoplasmic", "negative"])
def test_nuclei_of_every_marker_are_found(marker):
    phantom = render(load_parameters(marker), 21)
    labels = Network().segment(block(phantom.rgb))
    truth, found = phantom.nuclei > 0, labels > 0
    assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.8
    assert 0.75 < labels.max() / phantom.nuclei.max() < 1.25


def test_the_size_of_the_shipped_file_and_its_record():
    about = json.loads((WEIGHTS / "nuclei.json").read_text())
    assert len((WEIGHTS / "nuclei.onnx").read_bytes()) < 2_000_000
    assert {"sha256", "mpp", "margin_px", "seed", "tiles", "steps", "hours", "versions"} <= set(about)
    assert describe(Network())["parameters"]["weights_sha256"] == about["sha256"]


def test_touching_hills_are_split_where_the_waist_is_deep_enough():
    apart, one = maps_of([(40, 40, 12), (40, 58, 12)]), maps_of([(40, 40, 12), (40, 43, 12)])
    assert Network().nuclei(apart, unstained()).max() == 2
    assert Network().nuclei(one, unstained()).max() == 1
    assert Network(depth=0.9).nuclei(apart, unstained()).max() == 1


def test_stain_between_two_hills_parts_them_at_a_lower_waist():
    maps = maps_of([(40, 40, 12), (40, 47, 12)])
    brown = np.full((80, 120, 3), 255, np.uint8)
    brown[30:50, 42:46] = (163, 90, 60)
    assert Network().nuclei(maps, unstained()).max() == 1
    assert Network().nuclei(maps, block(brown)).max() == 2
    assert Network(stained_od=1.5).nuclei(maps, block(brown)).max() == 1
    assert Network(stained_depth=0.3).nuclei(maps, block(brown)).max() == 1
    everywhere = np.broadcast_to(brown[40, 43], brown.shape)
    assert Network().nuclei(maps, block(everywhere)).max() == 1


def test_what_is_too_small_too_long_or_too_low_is_left_out():
    maps = maps_of([(40, 40, 12)])
    assert Network().nuclei(maps, unstained()).max() == 1
    assert Network(smallest_um2=200).nuclei(maps, unstained()).max() == 0
    assert Network(largest_object_um=10).nuclei(maps, unstained()).max() == 0
    low = maps // np.array([1, 4], np.uint8)
    assert Network().nuclei(low, unstained()).max() == 0
    assert Network(peak=0.1, depth=0.02).nuclei(low, unstained()).max() == 1


def test_threads_change_no_byte(monkeypatch):
    rgb = render(load_parameters("nuclear"), 8).rgb
    one = Network().maps(rgb, np.full(3, 255.0))
    network._session.cache_clear()
    make = onnxruntime.SessionOptions

    class Two(make):
        def __setattr__(self, name, value):
            super().__setattr__(name, 2 if name == "intra_op_num_threads" else value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Two)
    np.testing.assert_array_equal(Network().maps(rgb, np.full(3, 255.0)), one)
    network._session.cache_clear()


def test_it_crosses_a_process_border():
    again = pickle.loads(pickle.dumps(Network(depth=0.2)))
    assert again == Network(depth=0.2)


def test_the_light_is_taken_relative_to_the_background():
    rgb = render(load_parameters("nuclear"), 8).rgb
    dimmer = np.rint(rgb * 0.5).astype(np.uint8)
    bright = Network().maps(rgb, np.full(3, 254.0)).astype(int)
    dark = Network().maps(dimmer, np.full(3, 127.0)).astype(int)
    assert np.abs(bright - dark).mean() < 3
    assert np.abs(bright - Network().maps(dimmer, np.full(3, 254.0))).mean() > 5


# --- what it refuses


def test_missing_weights_are_an_error(tmp_path):
    with pytest.raises(WeightsError, match=r"none.onnx: cannot be read"):
        Network(weights=tmp_path / "none.onnx")


def test_what_is_no_network_is_an_error(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a network")
    with pytest.raises(WeightsError, match=r"text.onnx: is not a network"):
        Network(weights=path)


def test_a_truncated_or_changed_packaged_file_is_an_error(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    shutil.copytree(str(WEIGHTS), folder)
    monkeypatch.setattr(network, "files", lambda package: tmp_path)
    data = (folder / "nuclei.onnx").read_bytes()
    assert Network().mpp == 0.5
    (folder / "nuclei.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(WeightsError, match="install ihcscore again"):
        Network()
    (folder / "nuclei.onnx").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        Network()


def test_another_format_or_pixel_size_is_an_error(tmp_path):
    data = (WEIGHTS / "nuclei.onnx").read_bytes()
    path = tmp_path / "other.onnx"
    path.write_bytes(data.replace(b"ihcscore-nuclei-1", b"ihcscore-nuclei-9"))
    with pytest.raises(WeightsError, match="expected a network of format ihcscore-nuclei-1, found ihcscore-nuclei-9"):
        Network(weights=path)
    path.write_bytes(data.replace(b"mpp\x12\x030.5", b"mpp\x12\x030.3"))  # key, and value of 3 letters
    other = Network(weights=path)
    assert other.mpp == 0.3
    with pytest.raises(ValueError, match=r"expected pixels of 0.3 um, found 0.5"):
        other.segment(block(np.full((60, 60, 3), 240, np.uint8)))


def test_a_file_that_changes_under_a_segmenter_is_an_error(tmp_path):
    path = tmp_path / "mine.onnx"
    data = (WEIGHTS / "nuclei.onnx").read_bytes()
    path.write_bytes(data)
    segmenter = Network(weights=path)
    network._session.cache_clear()
    path.write_bytes(data.replace(b"ihcscore-nuclei-1", b"ihcscore-nuclei-9"))
    with pytest.raises(WeightsError, match=r"mine.onnx: has changed"):
        segmenter.segment(block(np.full((60, 60, 3), 240, np.uint8)))


def test_a_wrong_hash_is_an_error(tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes((WEIGHTS / "nuclei.onnx").read_bytes())
    assert load_segmenter("network", weights=path).mpp == 0.5
    with pytest.raises(WeightsError, match="not the ffffffffffff"):
        load_segmenter("network", weights=path, weights_sha256="f" * 64)


def test_all_bad_parameters_are_named():
    with pytest.raises(ValueError, match=r"inside=-1 .*peak=2 .*smooth_um=1e\+300 \(0.1 to 10\)"):
        Network(inside=-1, peak=2, smooth_um=1e300)


@pytest.mark.parametrize("name", sorted(network.LIMITS))
def test_every_parameter_has_limits_that_hold(name):
    low, high = network.LIMITS[name]
    for value in (low - 1e-6, high * 1.001, 1e300, -1.0, float("nan")):
        with pytest.raises(ValueError, match=name):
            Network(**{name: value})
    hills = maps_of([(40, 40, 12), (40, 80, 12)])
    for value in (low, high):
        assert Network(**{name: value}).nuclei(hills, unstained()).shape == (80, 120)


def with_facts(tmp_path, **changed):
    """The packaged network with other metadata of equal length, which keeps the file valid."""
    data = (WEIGHTS / "nuclei.onnx").read_bytes()
    for key, (old, new) in changed.items():
        entry = key.encode() + bytes([0x12, len(old)])
        assert data.count(entry + old) == 1
        data = data.replace(entry + old, entry + new)
    path = tmp_path / "odd.onnx"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"margin_px": (b"52", b"-5")}, "margin_px -5"),
        ({"margin_px": (b"52", b"00")}, "margin_px 0"),
        ({"margin_px": (b"52", b"4x")}, "hold no numbers"),
        ({"mpp": (b"0.5", b"nan")}, "mpp nan"),
        ({"mpp": (b"0.5", b"0.0")}, "mpp 0,"),
        ({"mpp": (b"0.5", b"abc")}, "hold no numbers"),
        ({"stride": (b"8", b"0")}, "stride 0"),
    ],
)
def test_metadata_that_make_no_sense_are_an_error_that_names_the_file(tmp_path, changed, match):
    with pytest.raises(WeightsError, match=rf"odd\.onnx: .*{match}"):
        Network(weights=with_facts(tmp_path, **changed))


def test_missing_metadata_are_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "odd.onnx"
    path.write_bytes((WEIGHTS / "nuclei.onnx").read_bytes().replace(b"\x03mpp\x12", b"\x03mqq\x12"))
    with pytest.raises(WeightsError, match=r"odd\.onnx: its metadata lack .*mpp"):
        Network(weights=path)


def test_an_unknown_parameter_is_named_with_those_there_are():
    for name in ("foo", "mpp", "weights", "version"):
        with pytest.raises(AssayError, match=rf"network has no {name}: it has depth, grow_um, influence_um"):
            load_segmenter("network", {name: 1.0})
