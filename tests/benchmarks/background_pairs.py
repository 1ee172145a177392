"""Which background goes with which threshold, and how far inside its outline a nucleus is measured.

python tests/benchmarks/background_pairs.py --truth DIR [--seeds 20]

Given the true nuclei: how many points percent positive is off on annotated tiles (mean over tiles), and the median
error of the H-score on the frozen phantoms, for each background rule, first threshold and width of the unmeasured edge.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from phantom_hscore import PARAMETERS

from ihcscore import load_assay, measure_image, read_image, score_cells
from ihcscore.phantom import load_parameters, render

CUTS = (0.10, 0.12, 0.15, 0.20, 0.25)
EDGES = (0.0, 0.5, 1.0)
RULES = ("255", "glass", "97th percentile")


def with_rule(assay, rule, rgb):
    if rule == "255":
        return assay.replace(background=(255.0, 255.0, 255.0))
    if rule == "glass":
        return assay.replace(background="auto")
    return assay.replace(background=tuple(float(v) for v in np.percentile(rgb.reshape(-1, 3), 97, axis=0)))


def tiles_of(truth):
    for name, entry in json.loads((truth / "manifest.json").read_text()).items():
        rgb = read_image(truth / entry["image"], entry["mpp"]).rgb
        labels = cv2.imread(str(truth / entry["labels"]), cv2.IMREAD_UNCHANGED).astype(np.int32)
        yield name, rgb, labels, entry["positive"], entry["mpp"]


def points_off(tiles, assay, rule):
    off = []
    for _, rgb, labels, positive, mpp in tiles:
        measured = measure_image(rgb, mpp=mpp, assay=with_rule(assay, rule, rgb), nuclei=labels)
        true = 100 * len(positive) / len(np.unique(labels[labels > 0]))
        row = []
        for cut in CUTS:
            scored = assay.replace(thresholds=(cut, cut + 0.2, cut + 0.4), include_cut=True)
            row.append(score_cells(measured.cells, scored).scores.percent_positive - true)
        off.append(row)
    return np.abs(off).mean(axis=0)


def h_off(phantoms, assay, rule):
    errors = []
    for phantom in phantoms:
        measured = measure_image(phantom.rgb, mpp=0.5, assay=with_rule(assay, rule, phantom.rgb), nuclei=phantom.nuclei)
        errors.append(score_cells(measured.cells, assay).scores.h_score - phantom.h_score())
    return np.median(np.abs(errors)), np.mean(errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    tiles = list(tiles_of(options.truth))
    parameters = load_parameters(PARAMETERS)
    phantoms = [render(parameters, seed) for seed in range(options.seeds)]
    heads = [f"{cut:.2f}" for cut in CUTS]
    print(f"| background | edge um | {' | '.join(heads)} | phantoms: median, bias at 0.2/0.4/0.6 |")
    print("|---|---|" + "---|" * (len(heads) + 1))
    for rule in RULES:
        for edge in EDGES:
            assay = load_assay("generic-nuclear").replace(nucleus_edge_um=edge)
            off = " | ".join(f"{value:.1f}" for value in points_off(tiles, assay, rule))
            median, bias = h_off(phantoms, assay, rule)
            print(f"| {rule} | {edge:g} | {off} | {median:.1f}, {bias:+.1f} |", flush=True)


if __name__ == "__main__":
    main()
