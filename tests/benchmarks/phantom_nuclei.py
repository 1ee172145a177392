"""Nuclei and H-scores on unseen phantoms of every marker, each scored in its own compartment.

python tests/benchmarks/phantom_nuclei.py [--count 100] [--first 10000] [--segmenter network] [--weights FILE]
    [--markers nuclear ...] [--cytoplasm-edge-um 1] [--worst FOLDER] [--json FILE]

The presets are not what the network was trained on: training draws from wider ranges, seeds of its own. --worst draws
the ten phantoms of each marker with the lowest AJI: found outlines yellow, true ones white, missed nuclei filled.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import shapely
from agreement import agreement, f1
from phantom_hscore import COMPARTMENT
from scipy import ndimage as ndi

from ihcscore import load_assay, score_image
from ihcscore.phantom import PRESETS, load_parameters, render


def labels_of(cells, shape):
    """Draw the nuclei of a cell table at 0.5 um/px: the pixels whose centers lie inside."""
    labels = np.zeros(shape, np.int32)
    for number, nucleus in enumerate(shapely.from_wkb(cells["nucleus_wkb"].to_numpy()), 1):
        x0, y0, x1, y1 = (int(v) for v in nucleus.bounds)
        columns, rows = np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1))
        inside = shapely.contains_xy(nucleus, columns + 0.5, rows + 0.5) & (columns < shape[1]) & (rows < shape[0])
        labels[rows[inside], columns[inside]] = number
    return labels


def measure(marker, seed, assay):
    phantom = render(load_parameters(marker), seed)
    compartment = COMPARTMENT[marker]
    assay = assay.replace(compartment=(compartment,))
    found = score_image(phantom.rgb, mpp=0.5, assay=assay)
    given = score_image(phantom.rgb, mpp=0.5, assay=assay, nuclei=phantom.nuclei)
    true = phantom.h_score(compartment)
    with np.errstate(invalid="ignore"):
        truly = phantom.table[f"{compartment}_dab_od"] >= assay.thresholds[0]
        positive = found.cells["Scored OD"].to_numpy() >= assay.thresholds[0]
    labels = labels_of(found.cells, phantom.nuclei.shape)
    row = agreement(phantom.nuclei, truly, labels, positive, 0.5)
    row |= {"seed": seed, "true": true, "found": found.scores.h_score, "given": given.scores.h_score}
    return row, (phantom.rgb, phantom.nuclei, labels)


def summary(rows):
    mean = {key: float(np.mean([row[key] for row in rows])) for key in ("AJI", "F1", "detection F1", "found per true")}
    mean["F1 positive"] = f1(*(sum(row["positives"][k] for row in rows) for k in range(3)))
    for key in ("found", "given"):
        error = np.array([row[key] - row["true"] for row in rows])
        mean[f"H {key}: median, p95, bias"] = [
            round(float(v), 1) for v in (np.median(abs(error)), np.percentile(abs(error), 95), error.mean())
        ]
    return mean


def picture(rgb, truth, found):
    """Twice as large: missed nuclei filled, true outlines white, found ones yellow."""
    shown = cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    caught = np.append(False, np.bincount(truth.ravel(), found.ravel() > 0)[1:] > 0.5 * np.bincount(truth.ravel())[1:])
    missed = cv2.resize(
        ((truth > 0) & ~caught[truth]).astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST
    )
    shown[missed > 0] = (shown[missed > 0] * 0.5 + np.array([127, 0, 127])).astype(np.uint8)
    for labels, color in ((truth, (255, 255, 255)), (found, (255, 220, 0))):
        large = cv2.resize(labels.astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        edge = ndi.grey_dilation(large, 3) != ndi.grey_erosion(large, 3)
        shown[edge & (large > 0)] = color
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=10000, help="first seed")
    parser.add_argument("--segmenter", default="network")
    parser.add_argument("--weights")
    parser.add_argument("--markers", nargs="+", default=PRESETS, choices=PRESETS)
    parser.add_argument("--cytoplasm-edge-um", type=float, default=1.0)
    parser.add_argument("--worst", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    assay = load_assay("generic-nuclear").replace(
        segmenter=options.segmenter, weights=options.weights, cytoplasm_edge_um=options.cytoplasm_edge_um
    )
    results = {}
    for marker in options.markers:
        rows = [measure(marker, seed, assay)[0] for seed in range(options.first, options.first + options.count)]
        results[marker] = {**summary(rows), "rows": rows}
        print(marker, json.dumps(summary(rows)), flush=True)
        if options.worst:
            options.worst.mkdir(parents=True, exist_ok=True)
            worst = sorted(rows, key=lambda row: row["AJI"])[:10]
            shown = [picture(*(part[:256, :256] for part in measure(marker, row["seed"], assay)[1])) for row in worst]
            sheet = np.vstack([np.hstack(shown[:5]), np.hstack(shown[5:])]) if len(shown) == 10 else np.hstack(shown)
            half = cv2.resize(sheet, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(options.worst / f"worst_{marker}.jpg"), half[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, default=int))


if __name__ == "__main__":
    main()
