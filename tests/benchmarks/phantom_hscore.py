"""H-score on the frozen phantoms: with the true nuclei given, and found end to end.

python tests/benchmarks/phantom_hscore.py [--marker nuclear] [--seeds 60] [--first 0] [--segmenter network]
    [--background auto] [--stains estimate] [--own-light] [--parameters FILE] [--json FILE]

Each marker is scored in its own compartment. Truth is relative to the light of the glass; the assay's own background of
255 is taken unless ``--background auto`` (the glass of the tile) or ``--own-light`` (the phantom's own, and its stain
vectors). Behind the median and the 95th percentile stand their 95 % intervals over the phantoms (bootstrap): three of
60 make the 95th percentile. ``in_band`` is the share of phantoms whose truth lies in the sensitivity band,
``p95_outside_band`` the 95th percentile of how far outside it lies.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

from ihcscore import load_assay, score_image
from ihcscore.phantom import load_parameters, render

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "phantoms"
PARAMETERS = FOLDER / "nuclear_benchmark.toml"
COMPARTMENT = {"nuclear": "nucleus", "membranous": "membrane", "cytoplasmic": "cytoplasm", "negative": "nucleus"}


def near_a_threshold(od, thresholds=(0.2, 0.4, 0.6), reach=0.05):
    return (np.abs(np.asarray(od)[:, None] - thresholds) <= reach).any(axis=1)


def measure(seed, parameters, assay, own_light):
    phantom = render(parameters, seed)
    compartment = COMPARTMENT[parameters.marker]
    assay = assay.replace(compartment=(compartment,))
    if own_light:
        assay = assay.replace(background=tuple(float(v) for v in phantom.background), stains=phantom.stains)
    true = phantom.h_score(compartment, assay.thresholds)
    given = score_image(phantom.rgb, mpp=0.5, assay=assay, nuclei=phantom.nuclei)
    found = score_image(phantom.rgb, mpp=0.5, assay=assay)
    od = phantom.table[f"{compartment}_dab_od"]
    return {
        "seed": seed,
        "cells": int(phantom.nuclei.max()),
        "found": len(found.cells),
        "touching": float(np.mean(phantom.table["touching"])),
        "near": int(near_a_threshold(od).sum()),
        "true": true,
        "given": given.scores.h_score,
        "end_to_end": found.scores.h_score,
        "band": [found.scores.band.low, found.scores.band.high],
        "background": list(given.measurement.context.background),
        "true_background": [round(float(v), 1) for v in phantom.background],
    }


def percentile(values, percent):
    def of(sample, axis):
        return np.percentile(sample, percent, axis=axis)

    found = stats.bootstrap((values,), of, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
    return [float(of(values, None)), *map(float, found.confidence_interval)]


def summary(rows):
    def errors(key):
        return np.abs([row[key] - row["true"] for row in rows])

    def spread(values):
        return {
            "median": percentile(values, 50),
            "p95": percentile(values, 95),
            "worst": float(np.max(values)),
        }

    cells = sum(row["cells"] for row in rows)
    outside = np.array([max(row["band"][0] - row["true"], row["true"] - row["band"][1]) for row in rows])
    return {
        "tiles": len(rows),
        "fewest_cells": min(row["cells"] for row in rows),
        "least_touching": min(row["touching"] for row in rows),
        "near_a_threshold": sum(row["near"] for row in rows) / cells,
        "true_h": [min(row["true"] for row in rows), max(row["true"] for row in rows)],
        "given": spread(errors("given")),
        "end_to_end": spread(errors("end_to_end")),
        "bias": {key: float(np.mean([row[key] - row["true"] for row in rows])) for key in ("given", "end_to_end")},
        "in_band": float(np.mean(outside <= 0)),
        "p95_outside_band": float(np.percentile(np.maximum(outside, 0), 95)),
        "median_band_width": float(np.median([row["band"][1] - row["band"][0] for row in rows])),
        "found_per_true": float(sum(row["found"] for row in rows) / cells),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="first seed; the frozen tiles begin at 0")
    parser.add_argument("--segmenter", default="network")
    parser.add_argument("--background", default="default")
    parser.add_argument("--marker", default="nuclear", choices=COMPARTMENT)
    parser.add_argument("--parameters", help="preset or file instead of the frozen one of the marker")
    parser.add_argument("--stains", default="default", help="default or estimate")
    parser.add_argument("--own-light", action="store_true", help="the phantom's own background and stain vectors")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    assay = load_assay("generic-nuclear").replace(segmenter=options.segmenter, stains=options.stains)
    if options.background != "default":
        assay = assay.replace(background=options.background)
    parameters = load_parameters(options.parameters or FOLDER / f"{options.marker}_benchmark.toml")
    rows = [
        measure(seed, parameters, assay, options.own_light)
        for seed in range(options.first, options.first + options.seeds)
    ]
    result = {**summary(rows), "rows": rows}
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
