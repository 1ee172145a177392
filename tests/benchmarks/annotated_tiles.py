"""Score annotated tiles with one setting and compare with their hand-drawn nuclei.

python tests/benchmarks/annotated_tiles.py --truth DIR [--evaluate EVALUATE.PY] [--assay NAME|FILE] [--segmenter NAME]
    [--background auto] [--out DIR] [--json FILE] [--changed]

DIR holds manifest.json and the tiles it names; EVALUATE.PY compares GeoJSON with them (by default
../../evaluate/evaluate.py beside DIR). Neither is part of this project. ``--changed`` also compares the tiles blurred,
sharpened, compressed, noisy, paler, denser, darker and of other stain colors, one after the other: a line of means
each.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ihcscore.cli.options import assay_with, changes
from ihcscore.io.manifests import ImageInput
from ihcscore.results.layout import GEOJSON
from ihcscore.workflows.score_folder import score_files

SHOWN = ("AJI", "F1", "F1 positive", "detection F1", "difference")


def blurred(rgb, mpp, um):
    return cv2.GaussianBlur(rgb, (0, 0), um / mpp)


def sharpened(rgb, mpp):
    return np.clip(2.0 * rgb - blurred(rgb, mpp, 0.375), 0, 255).astype(np.uint8)


def compressed(rgb, _mpp, quality):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def noisy(rgb, _mpp, gray):
    return np.clip(rgb + np.random.default_rng(0).normal(0, gray, rgb.shape), 0, 255).astype(np.uint8)


def denser(rgb, _mpp, times):
    return np.rint(255 * (np.maximum(rgb, 1) / 255) ** times).astype(np.uint8)


def darker(rgb, _mpp, times):
    return (rgb * times).astype(np.uint8)


def turned(rgb, _mpp, deg):
    """Turn all stains about gray, in optical density."""
    x, y, z = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(np.radians(deg)) * cross + (1 - np.cos(np.radians(deg))) * cross @ cross
    od = np.maximum(-np.log10(np.maximum(rgb, 1) / 255) @ turn.T, 0)
    return np.rint(255 * 10**-od).astype(np.uint8)


CHANGES = {
    "blurred by 0.3 um": partial(blurred, um=0.3),
    "blurred by 0.5 um": partial(blurred, um=0.5),
    "sharpened": sharpened,
    "JPEG, quality 40": partial(compressed, quality=40),
    "noise of 6 gray levels": partial(noisy, gray=6),
    "density x 0.7": partial(denser, times=0.7),
    "density x 1.4": partial(denser, times=1.4),
    "light x 0.85, taken for white": partial(darker, times=0.85),
    "stains turned by 8 degrees": partial(turned, deg=8),
    "stains turned by -8 degrees": partial(turned, deg=-8),
}


def compare(images, assay, out, truth, evaluate, cells):
    """Score, and hand the cells to the comparison; give its text and, by tile, its numbers."""
    report = score_files(images, assay, out, overwrite=True)
    if report.failed:
        sys.exit("\n".join(report.failed))
    cells.mkdir()
    for item in images:
        shutil.copy(out / item.name / GEOJSON, cells / f"{item.name}.geojson")
    found = cells.parent / f"{cells.name}.json"
    command = [sys.executable, str(evaluate), str(cells), "--truth", str(truth), "--json", str(found)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return text, json.loads(found.read_text()) if found.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--evaluate", type=Path)
    parser.add_argument("--assay")
    parser.add_argument("--segmenter")
    parser.add_argument("--background")
    parser.add_argument("--thresholds")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--changed", action="store_true")
    options = parser.parse_args()
    evaluate = options.evaluate or options.truth.resolve().parent.parent / "evaluate" / "evaluate.py"
    fields = changes(thresholds=options.thresholds, background=options.background, segmenter=options.segmenter)
    assay = assay_with(options.assay, fields)
    manifest = json.loads((options.truth / "manifest.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = [ImageInput(options.truth / e["image"], name, mpp=e["mpp"]) for name, e in manifest.items()]
        text, found = compare(
            images, assay, options.out or folder / "result", options.truth, evaluate, folder / "as they are"
        )
        print(text, end="")
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))
        for what, change in CHANGES.items() if options.changed else ():
            place = folder / "changed" / what
            place.mkdir(parents=True)
            moved = []
            for item in images:
                rgb = np.asarray(Image.open(item.path).convert("RGB"))
                path = place / f"{item.name}.png"
                Image.fromarray(change(rgb, item.mpp)).save(path)
                moved.append(ImageInput(path, item.name, mpp=item.mpp))
            _, found = compare(moved, assay, place / "result", options.truth, evaluate, folder / what)
            mean = found.get("mean", {})
            print(f"{what}: " + ", ".join(f"{key} {mean[key]:.3f}" for key in SHOWN if key in mean))


if __name__ == "__main__":
    main()
