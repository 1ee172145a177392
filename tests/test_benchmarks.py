"""The benchmarks run, in their shortest form."""

import json
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
    assert json.loads(run("phantom_hscore.py", "--seeds", 2))["tiles"] == 2


def test_speed():
    assert "whole command" in run("speed.py", "--side", 512, "--repeats", 1)


def test_annotated_tiles_and_background_pairs(tmp_path, nuclear):
    truth = tmp_path / "truth"
    nuclear.write(truth, "tile")
    evaluate = tmp_path / "evaluate.py"
    evaluate.write_text("import sys; print(*sorted(p.name for p in __import__('pathlib').Path(sys.argv[1]).iterdir()))")
    labels = np.asarray(Image.open(truth / "tile_nuclei.png"))
    entry = {"image": "tile.png", "labels": "tile_nuclei.png", "positive": [1, int(labels.max())], "mpp": 0.5}
    (truth / "manifest.json").write_text(json.dumps({"tile": entry}))
    assert run("annotated_tiles.py", "--truth", truth, "--evaluate", evaluate).strip() == "tile.geojson"
    assert "| 255 | 0 |" in run("background_pairs.py", "--truth", truth, "--seeds", 1)
