"""How many pigmented bodies that are taken for stained cells are told by their colour, and how many cells wrongly.

    python tests/benchmarks/off_color.py [--fields 8] [--side 768] [--plain 25]

Rendered fields of stained markers, each without pigment and with some of each colour, scored as the
default assay does. A cell is pigment if the two pictures differ on most of its nucleus. Then, each scored in its own
compartment, fields of the presets and of the frozen parameters without pigment, red cells and debris.
"""

import argparse
import dataclasses

import cv2
import numpy as np
import shapely
from phantom_hscore import COMPARTMENT, PARAMETERS

from ihcscore import load_assay, score_image
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
CLEAN = dict.fromkeys(("pigment_per_mm2", "red_cells_per_mm2", "debris_per_mm2", "refractile_per_mm2"), (0, 0))
FROZEN = PARAMETERS.parent
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


def plain_fields(seeds):
    for marker in MARKERS:
        for source in (marker, FROZEN / f"{marker}_benchmark.toml"):
            parameters = dataclasses.replace(load_parameters(source), **CLEAN)
            assay = load_assay("generic-nuclear").replace(compartment=(COMPARTMENT[marker],))
            off, stained = [], []
            for seed in seeds:
                phantom = render(parameters, seed)
                row = score_image(phantom.rgb, mpp=phantom.parameters.mpp, assay=assay).scores
                if row.off_color is not None:
                    off.append(row.off_color)
                    stained.append(row.cells - row.negative)
            worst = max(a / b for a, b in zip(off, stained, strict=True) if b >= FEW)
            name, share = getattr(source, "stem", source), sum(off) / sum(stained)
            print(
                f"{name}, plain: {share:.2%} of {sum(stained)} stained cells in {len(stained)} fields are called "
                f"off-colour, worst field {worst:.1%}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=8)
    parser.add_argument("--side", type=int, default=768)
    parser.add_argument("--plain", type=int, default=25, help="fields of each kind without anything of another colour")
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
    plain_fields(range(30, 30 + given.plain))


if __name__ == "__main__":
    main()
