"""What a phantom writes can be read back."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ihcscore.errors import OutputError
from ihcscore.phantom import Phantom, PhantomParameters, render


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return render(PhantomParameters(size_px=(128, 96)), 9)


def read(path: Path) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_files_round_trip(phantom: Phantom, tmp_path: Path) -> None:
    paths = phantom.write(tmp_path / "new" / "🔬", "tile")
    assert sorted(p.name for p in (tmp_path / "new" / "🔬").iterdir()) == [
        "tile.png",
        "tile_cells.png",
        "tile_nuclei.png",
        "tile_truth.csv",
        "tile_truth.json",
    ]
    assert np.array_equal(read(paths["image"])[..., ::-1], phantom.rgb)
    assert read(paths["nuclei"]).dtype == np.uint16
    assert np.array_equal(read(paths["nuclei"]), phantom.nuclei)
    assert np.array_equal(read(paths["cells"]), phantom.cells)
    with paths["table"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(phantom.table)
    for name, column in phantom.table.items():
        assert [row[name] for row in rows] == [str(value) for value in column.tolist()]


def test_truth_file_restores_the_phantom(phantom: Phantom, tmp_path: Path) -> None:
    text = phantom.write(tmp_path, "tile")["truth"].read_text(encoding="utf-8")
    truth = json.loads(text)
    assert list(truth) == sorted(truth)
    again = render(PhantomParameters.from_dict(truth["parameters"]), truth["seed"])
    assert np.array_equal(again.rgb, phantom.rgb)
    assert truth["h_scores"]["nucleus"] == phantom.h_score()
    assert truth["background"] == phantom.background.tolist()
    assert truth["stains"] == phantom.stains.to_dict()
    assert truth["mpp"] == 0.5


def test_phantom_without_cells_is_written(tmp_path: Path) -> None:
    empty = render(PhantomParameters(size_px=(32, 32), glass_share=(1, 1)), 0)
    truth = json.loads(empty.write(tmp_path, "empty")["truth"].read_text(encoding="utf-8"))
    assert truth["nuclei"] == 0
    assert truth["h_scores"] == {"cell": None, "cytoplasm": None, "membrane": None, "nucleus": None}


def test_place_that_cannot_be_written_is_named(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write phantom 'tile'"):
        phantom.write(tmp_path / "file", "tile")
