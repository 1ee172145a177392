"""How many pigmented bodies that are taken for stained cells are told by their colour, and how many cells wrongly.

    python tests/benchmarks/off_color.py [--fields 8] [--side 768]

Rendered fields of stained markers, each without pigment and with some of each colour, scored as the
default assay does. A cell is pigment if the two pictures differ on most of its nucleus.
"""

import argparse
import dataclasses

import cv2
import numpy as np
import shapely

from ihcscore import score_image
from ihcscore.phantom import extras, load_parameters, render
from ihcscore.stains.vectors import unit

COLORS = {
    "brown": (0.50, 0.57, 0.65),
    "melanin": (0.43, 0.65, 1.0),
    "black (anthracotic, formalin)": (1.0, 1.0, 1.0),
    "golden (hemosiderin)": (0.2, 0.5, 0.85),
    "red cells": (0.22, 0.62, 0.75),
}
MARKERS = ("nuclear", "membranous", "cytoplasmic")
PER_MM2 = 100
DIFFERENT, MOST, FEW = 25, 0.6, 20


def scored(phantom):
    cells = score_image(phantom.rgb, mpp=phantom.parameters.mpp).cells
    return cells[cells["Classification"].isin(["1+", "2+", "3+"])]


def shares(cells, mask):
    """Part of each nucleus that a mask covers."""
    out = []
    for nucleus in shapely.from_wkb(cells["nucleus_wkb"].to_numpy()):
        x0, y0, x1, y1 = (int(v) for v in nucleus.bounds)
        inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
        ring = shapely.get_coordinates(shapely.get_exterior_ring(shapely.get_geometry(nucleus, 0)))
        cv2.fillPoly(inside, [np.rint(ring - (x0 + 0.5, y0 + 0.5)).astype(np.int32)], 1)
        out.append(mask[y0 : y1 + 1, x0 : x1 + 1][inside[: mask.shape[0] - y0, : mask.shape[1] - x0] > 0].mean())
    return np.array(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=8)
    parser.add_argument("--side", type=int, default=768)
    given = parser.parse_args()
    wrong, found = [], {name: [] for name in COLORS}
    for marker in MARKERS:
        preset = dataclasses.replace(load_parameters(marker), size_px=(given.side, given.side))
        for seed in range(32000, 32000 + given.fields):
            plain = render(dataclasses.replace(preset, pigment_per_mm2=(0, 0)), seed)
            wrong.append(scored(plain)["Off-color"].to_numpy())
            for name, color in COLORS.items():
                extras.PIGMENT = unit(color)
                spoiled = render(dataclasses.replace(preset, pigment_per_mm2=(PER_MM2, PER_MM2)), seed)
                differs = np.abs(plain.rgb.astype(np.float32) - spoiled.rgb).max(axis=2)
                cells = scored(spoiled)
                share = shares(cells, cv2.GaussianBlur(differs, (0, 0), 1) > DIFFERENT)
                found[name] += cells["Off-color"][share > MOST].tolist()
    for name, told in found.items():
        print(f"{name}: {sum(told)} of {len(told)} bodies taken for stained cells are told")
    worst = max((part.mean() for part in wrong if len(part) >= FEW), default=0.0)
    called = np.concatenate(wrong)
    print(
        f"without pigment: {called.sum()} of {len(called)} stained cells are called off-colour, worst field {worst:.1%}"
    )


if __name__ == "__main__":
    main()
