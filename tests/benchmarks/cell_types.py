"""Stroma scored apart from glands on scikit-image's IHC picture, after ten cells of each are labelled.

    python tests/benchmarks/cell_types.py [--picture FILE]

The picture is scored with the preset cxcr4, a classifier trained on the labels, and the result scored again with it, by
the commands a user would give. Glands, which nothing in the classifier knows of, are where blurred DAB is dense. The
picture shows what is called tumor in red, stroma in green, the labelled places in yellow and cyan.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import shapely
from skimage.data import immunohistochemistry

from ihcscore import StainMatrix
from ihcscore.stains.unmix import unmix_light

PLACES = {
    "Tumor": [
        (118, 353),
        (122, 376),
        (80, 350),
        (60, 270),
        (95, 285),
        (334, 346),
        (306, 360),
        (352, 418),
        (425, 112),
        (160, 147),
    ],
    "Stroma": [
        (113, 252),
        (170, 267),
        (300, 215),
        (305, 270),
        (330, 292),
        (190, 355),
        (225, 355),
        (180, 395),
        (480, 245),
        (405, 365),
    ],
}
MARKS = {"Tumor": (255, 255, 0), "Stroma": (0, 255, 255)}
COLORS = {"Tumor": (220, 0, 0), "Stroma": (0, 140, 0)}
GLAND_OD, GLAND_PX = 0.16, 9


def labels():
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "MultiPoint", "coordinates": places},
                "properties": {"objectType": "annotation", "classification": {"name": name}},
            }
            for name, places in PLACES.items()
        ],
    }


def ihcscore(*arguments):
    subprocess.run([sys.executable, "-m", "ihcscore.cli.app", *map(str, arguments)], check=True, capture_output=True)


def typed(rgb, folder):
    """Score, label, train, score again; give the cells and the rows of scores."""
    image, named, trained = folder / "ihc.png", folder / "labels.geojson", folder / "classifier.json"
    cv2.imwrite(str(image), rgb[..., ::-1])
    named.write_text(json.dumps(labels()))
    ihcscore("score", image, "--mpp", 0.5, "--assay", "cxcr4", "-o", folder / "scored")
    ihcscore("classifier", "train", folder / "scored" / "ihc", "--labels", named, "-o", trained)
    ihcscore("rescore", folder / "scored", "-o", folder / "typed", "--classifier", trained)
    with (folder / "typed" / "scores.csv").open(encoding="utf-8-sig") as file:
        return pd.read_parquet(folder / "typed" / "ihc" / "cells.parquet"), list(csv.DictReader(file))


def draw(rgb, cells):
    shown = cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    for kind, nucleus in zip(cells["Cell type"], shapely.from_wkb(cells["nucleus_wkb"].to_numpy()), strict=True):
        outline = np.rint(shapely.get_coordinates(shapely.get_exterior_ring(shapely.get_geometry(nucleus, 0))) * 2)
        cv2.polylines(shown, [outline.astype(np.int32)], True, COLORS.get(kind, (90, 90, 90)), 2, cv2.LINE_AA)
    for name, places in PLACES.items():
        for x, y in places:
            cv2.circle(shown, (2 * x, 2 * y), 5, MARKS[name], -1)
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    rgb = immunohistochemistry()
    with tempfile.TemporaryDirectory() as folder:
        cells, rows = typed(rgb, Path(folder))
    gland = cv2.GaussianBlur(unmix_light(rgb, 255, StainMatrix())[..., 1], (0, 0), GLAND_PX) > GLAND_OD
    inside = gland[cells["y_px"].astype(int), cells["x_px"].astype(int)]
    tumor, stroma = ((cells["Cell type"] == name).to_numpy() for name in PLACES)
    print(f"{len(cells)} nuclei: of those in glands {tumor[inside].mean():.0%} are called tumor, ", end="")
    print(f"of those outside {stroma[~inside].mean():.0%} stroma")
    for row in rows:
        score, low, high = (float(row[name]) for name in ("h_score", "h_score_low", "h_score_high"))
        print(f"{row['population']}: {row['cells']} cells, H {score:.0f} ({low:.0f}-{high:.0f})")
    if given.picture:
        cv2.imwrite(str(given.picture), draw(rgb, cells)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
