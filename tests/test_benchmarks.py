"""The benchmarks run, in their shortest form."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

BENCHMARKS = Path(__file__).parent / "benchmarks"


def run(name, *arguments):
    command = [sys.executable, str(BENCHMARKS / name), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_phantom_h_scores():
    found = json.loads(run("phantom_hscore.py", "--seeds", 2, "--first", 7))
    assert found["tiles"] == 2
    middle, low, high = found["end_to_end"]["median"]
    assert low < middle < high == found["end_to_end"]["worst"]


def test_phantom_nuclei(tmp_path):
    arguments = ("--count", 1, "--markers", "nuclear", "--worst", tmp_path, "--json", tmp_path / "found.json")
    run("phantom_nuclei.py", *arguments)
    found = json.loads((tmp_path / "found.json").read_text())["nuclear"]
    assert 0.5 < found["AJI"] < 1
    assert 0.8 < found["detection F1"] <= 1
    assert (tmp_path / "worst_nuclear.jpg").stat().st_size > 5000


def test_agreement_of_equal_and_of_disjoint_labels():
    sys.path.insert(0, str(BENCHMARKS))
    from agreement import agreement

    labels = np.zeros((20, 30), np.int32)
    labels[3:9, 3:9], labels[12:18, 20:28] = 1, 2
    positive = np.array([True, False])
    same = agreement(labels, positive, labels, positive, 0.5)
    assert (same["AJI"], same["F1"], same["detection F1"], same["found per true"]) == (1, 1, 1, 1)
    moved = agreement(labels, positive, np.roll(labels, 15, axis=1), positive, 0.5)
    assert (moved["AJI"], moved["F1"]) == (0, 0)
    half = np.where(labels == 1, 1, 0).astype(np.int32)
    some = agreement(labels, positive, half, positive[:1], 0.5)
    assert some["AJI"] == 36 / (36 + 48)
    assert some["F1"] == 2 / 3
    assert some["positives"] == (1, 1, 1)


def test_processors(tmp_path):
    run("processors.py", "--write", tmp_path / "here.json", "--count", 1, "--side", 256)
    text = run("processors.py", "--compare", tmp_path / "here.json")
    assert "equal tables 1 of 1" in text
    assert "differ: 0.00e+00, by at most 0" in text


def test_speed():
    text = run("speed.py", "--side", 512, "--repeats", 1)
    assert "network, median: pixels to table" in text
    assert "watershed, median: pixels to table" in text
    assert len(re.findall(r"compartments add -?\d+%, membranes -?\d+%, scores with their intervals \d+%", text)) == 2


def test_annotated_tiles_and_background_pairs(tmp_path, nuclear):
    truth = tmp_path / "truth"
    nuclear.write(truth, "tile")
    evaluate = tmp_path / "evaluate.py"
    evaluate.write_text("import sys; print(*sorted(p.name for p in __import__('pathlib').Path(sys.argv[1]).iterdir()))")
    labels = np.asarray(Image.open(truth / "tile_nuclei.png"))
    entry = {"image": "tile.png", "labels": "tile_nuclei.png", "positive": [1, int(labels.max())], "mpp": 0.5}
    (truth / "manifest.json").write_text(json.dumps({"tile": entry}))
    assert run("annotated_tiles.py", "--truth", truth, "--evaluate", evaluate).strip() == "tile.geojson"
    evaluate.write_text('import sys; open(sys.argv[-1], "w").write(\'{"mean": {"AJI": 0.5}}\')')
    changed = run("annotated_tiles.py", "--truth", truth, "--evaluate", evaluate, "--changed").splitlines()
    assert len(changed) == 10
    assert all(line.endswith(": AJI 0.500") for line in changed)
    assert "| 255 | 0 |" in run("background_pairs.py", "--truth", truth, "--seeds", 1)


def test_field_coverage():
    assert run("field_coverage.py", "--phantoms", 1, "--side", 768, "--field", 384).startswith("4 fields")


def test_membranes():
    text = run(
        "membranes.py", "--fields", 1, "--completeness-fields", 0, "--hscore-fields", 1, "--cytoplasmic-fields", 0
    )
    assert "H-score by ridge: median" in text
    assert "HER2 3: called {3.0: 1}" in text


def test_folds():
    assert "nuclear: " in run("folds.py", "--fields", 1, "--side", 256)


def test_off_color():
    assert "without pigment: " in run("off_color.py", "--fields", 1, "--side", 192, "--plain", 1)


def test_tma():
    assert "15 places of 15, missing right" in run("tma.py", "--rows", 3, "--columns", 5, "--seeds", 1, "--field", 1)


def test_cell_types(tmp_path):
    text = run("cell_types.py", "--picture", tmp_path / "types.jpg")
    in_glands, outside = (int(share) for share in re.findall(r"(\d+)%", text))
    assert in_glands > 60
    assert outside > 80
    assert (tmp_path / "types.jpg").stat().st_size > 50_000


def test_stain_estimates():
    assert "4 of 4 estimated" in run("stain_estimates.py", "--fields", 4)
