"""What is measured survives as whole blocks, and is not mixed with that of another job."""

import copy

import numpy as np
import pandas as pd
import pytest

from ihcscore.cells.network_maps import compute_maps, read_window
from ihcscore.cells.segmentation.registry import load_segmenter
from ihcscore.errors import DamagedResult, ResultMismatch
from ihcscore.table.digest import TableDigest, digest
from ihcscore.tiles.stitching import empty_table
from ihcscore.tiles.store import FolderStore, MeasuredTile

ROWS = {"x": np.array([1.5, np.nan]), "flag": np.array([True, False]), "wkb": np.array([b"\x00a", b""], object)}
JOB = {"input": "abc", "parameters": [1, 2]}


def test_parts_come_back_as_they_were(tmp_path):
    store = FolderStore(tmp_path / "p", JOB)
    store.put((3, 11), MeasuredTile(ROWS, {"focus": 0.5}))
    store.put((0, 2), MeasuredTile(ROWS, {}))
    (tmp_path / "p" / ".00001_00001.arrow.77.part").write_bytes(b"cut off by a kill")
    again = FolderStore(tmp_path / "p", JOB)
    assert again.done() == [(0, 2), (3, 11)]
    found = again.get((3, 11))
    assert found.quality == {"focus": 0.5}
    for name, values in ROWS.items():
        assert found.rows[name].dtype == values.dtype
        np.testing.assert_array_equal(found.rows[name], values)
    assert [*again.get((3, 11), ["flag"]).rows] == ["flag"]
    again.remove()
    assert not (tmp_path / "p").exists()


def test_parts_of_another_job_are_refused_and_what_differs_is_named(tmp_path):
    FolderStore(tmp_path / "p", JOB)
    with pytest.raises(ResultMismatch, match="other parameters is there"):
        FolderStore(tmp_path / "p", {**JOB, "parameters": [1, 3]})


def test_a_damaged_part_is_named(tmp_path):
    store = FolderStore(tmp_path / "p", JOB)
    store.put((0, 0), MeasuredTile(ROWS, {}))
    path = tmp_path / "p" / "00000_00000.arrow"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedResult, match="remove it and run"):
        store.get((0, 0))


def test_the_digest_of_a_table_is_that_of_its_stream_and_sees_every_value():
    empty = empty_table()
    row = {name: [b"w"] if name.endswith("wkb") else ["i"] if name == "cell_id" else [1] for name in empty.columns}
    one = pd.DataFrame(row).astype({name: kind for name, kind in empty.dtypes.items() if not name.endswith("wkb")})
    two = one.assign(block_col=np.int32(2))
    stream = TableDigest()
    for table in (one, two):
        stream.update(table)
    assert stream.hexdigest() == digest(pd.concat([one, two], ignore_index=True)) == digest([one, two])
    assert stream.rows == 2
    known = {digest(one)}
    for name in one.columns:
        kind = one[name].dtype
        other = b"v" if name.endswith("wkb") else "j" if name == "cell_id" else kind.type(0)
        known.add(digest(one.assign(**{name: pd.Series([other], dtype=kind)})))
    assert len(known) == 1 + len(one.columns)


def test_maps_of_a_pixel_are_the_same_bytes_in_every_window(nuclear):
    network = load_segmenter("network")
    rgb = np.tile(nuclear.rgb, (2, 2, 1))[:900, :700]
    shape, background = rgb.shape[:2], np.full(3, 240.0)

    def maps(window):
        read = read_window(window, shape, network)
        return compute_maps(rgb[read[0] : read[2], read[1] : read[3]], read, window, background, network)

    whole = maps((0, 0, *shape))
    for y0, x0, y1, x1 in [(0, 0, 300, 300), (13, 57, 412, 333), (801, 601, 900, 700), (5, 0, 900, 64)]:
        np.testing.assert_array_equal(maps((y0, x0, y1, x1)), whole[y0:y1, x0:x1])


def test_a_margin_that_is_too_small_is_seen(nuclear):
    """The test above can fail: with a smaller margin than the network needs, windows differ."""
    network = load_segmenter("network")
    narrow = copy.copy(network)
    object.__setattr__(narrow, "margin_px", 8)
    rgb, background = nuclear.rgb, np.full(3, 240.0)
    shape = rgb.shape[:2]
    results = []
    for window in ((0, 0, *shape), (64, 64, 200, 200)):
        read = read_window(window, shape, narrow)
        results.append(compute_maps(rgb[read[0] : read[2], read[1] : read[3]], read, window, background, narrow))
    assert not np.array_equal(results[0][64:200, 64:200], results[1])
