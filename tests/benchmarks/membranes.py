"""Membranes on rendered fields: completeness of each cell, HER2 class of each field, cytoplasm told apart.

    python tests/benchmarks/membranes.py [--fields 100] [--completeness-fields 24] [--first-field 24]
        [--hscore-fields 50] [--cytoplasmic-fields 20] [--nuclei given|found] [--cytoplasm 0.03 0.12]

Completeness is that of the border that light shows (stained on the cell's own side or the neighbor's). The HER2
fields are drawn so that their class is known: 0 (no stain, or faint in a few cells), 1+ (faint, a third
of the border, in half of the cells), 2+ (complete, moderate, in most), 3+ (complete, intense, in most). The H-score of
the membrane alone is that of phantoms of the preset `membranous`, each with its own background and vectors.
"""

import argparse
import dataclasses
from collections import Counter

import numpy as np

from ihcscore import load_assay, measure_image, score_cells, score_image
from ihcscore.phantom import load_parameters, render
from ihcscore.scoring.membrane_patterns import completeness

OD = {"weak": 0.35, "moderate": 0.7, "strong": 1.4}
LITTLE = {"cytoplasm_leak": (0.03, 0.12), "nucleus_leak": (0.03, 0.12)}
"""HER2 stains hardly anything but the membrane."""
HER2_FIELDS = {
    0: {"positive_share": (0, 0.05), "marker_od": (0.1, 0.25), "completeness": (0.3, 0.3)},
    1: {"positive_share": (0.5, 0.7), "marker_od": (0.3, 0.4), "completeness": (0.15, 0.25)},
    2: {"positive_share": (0.8, 1), "marker_od": (0.55, 0.75), "completeness": (1, 1)},
    3: {"positive_share": (0.8, 1), "marker_od": (1.3, 1.6), "completeness": (1, 1)},
}
GRANULARITY = ((0.05, 0.1), (0.5, 0.6), (0.9, 1.0))
ASSAY = load_assay("her2")


def measured(phantom, how):
    assay = ASSAY.replace(background=tuple(phantom.background), stains=phantom.stains)
    given = phantom.nuclei if how == "given" else None
    return measure_image(phantom.rgb, mpp=phantom.parameters.mpp, assay=assay, nuclei=given).cells, assay


def by_truth(phantom, cells):
    """Give for each measured cell the true one that its centroid lies in, -1 where there is none."""
    x, y = (cells[name].to_numpy().astype(int) for name in ("x_px", "y_px"))
    return phantom.nuclei[y, x] - 1


def errors(parameters, seeds, how):
    """Found and true completeness of cells, an array for each seed."""
    found, true = [], []
    for seed in seeds:
        phantom = render(parameters, seed)
        cells, _ = measured(phantom, how)
        at, table = by_truth(phantom, cells), phantom.table
        share = completeness(cells, ASSAY.thresholds[0])
        good = (at >= 0) & ~cells["cut_by_border"].to_numpy() & np.isfinite(share)
        good &= (table["kind"][at] == "tumor") & (table["level"][at] > 0) & np.isfinite(table["completeness"][at])
        found.append(share[good])
        true.append(table["completeness"][at[good]])
    return found, true


def h_score_errors(seeds, membrane_from, how):
    off = []
    for seed in seeds:
        phantom = render(load_parameters("membranous"), seed)
        assay = load_assay("generic-membranous").replace(
            background=tuple(phantom.background), stains=phantom.stains, membrane_from=membrane_from
        )
        given = phantom.nuclei if how == "given" else None
        found = score_image(phantom.rgb, mpp=phantom.parameters.mpp, assay=assay, nuclei=given).scores.h_score
        off.append(found - phantom.h_score("membrane", assay.thresholds))
    return np.array(off)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=100)
    parser.add_argument("--completeness-fields", type=int, default=24)
    parser.add_argument("--first-field", type=int, default=24, help="seed of the first of them: 0 to 23 were looked at")
    parser.add_argument("--hscore-fields", type=int, default=50)
    parser.add_argument("--cytoplasmic-fields", type=int, default=20)
    parser.add_argument("--nuclei", choices=("given", "found"), default="found")
    parser.add_argument(
        "--cytoplasm",
        nargs=2,
        type=float,
        help="stain of the cytoplasm of membranous fields, as shares of the membrane's",
    )
    given = parser.parse_args()
    little = LITTLE | ({"cytoplasm_leak": tuple(given.cytoplasm)} if given.cytoplasm else {})
    for membrane_from in ("ridge", "band") if given.hscore_fields else ():
        off = h_score_errors(range(10050, 10050 + given.hscore_fields), membrane_from, given.nuclei)
        print(
            f"H-score by {membrane_from}: median {np.median(np.abs(off)):.1f}, 95th percentile "
            f"{np.percentile(np.abs(off), 95):.1f}, bias {off.mean():+.1f}, {len(off)} fields",
            flush=True,
        )
    base = dataclasses.replace(load_parameters("membranous"), **little, marker_spread=(0.1, 0.2))
    wrong = []
    for mpp in (0.5, 0.25) if given.completeness_fields else ():
        for name, od in OD.items():
            for share in (0.005, 0.12, 0.35, 0.65, 1.0):
                side = round(512 * 0.5 / mpp)
                drawn = {"completeness": (share, share), "marker_od": (od, od)}
                drawn |= {"positive_share": (1, 1), "mpp": mpp, "size_px": (side, side)}
                seeds = range(given.first_field, given.first_field + given.completeness_fields)
                fields = errors(dataclasses.replace(base, **drawn), seeds, given.nuclei)
                wrong.append([100 * np.abs(found - true).mean() for found, true in zip(*fields, strict=True)])
                found, true = map(np.concatenate, fields)
                print(
                    f"{mpp} um/px, {name:8s} completeness {true.mean():5.1%}: found {found.mean():5.1%}, mean absolute "
                    f"error {100 * np.abs(found - true).mean():4.1f} points, {len(true)} cells",
                    flush=True,
                )
    if wrong:
        by_seed = np.mean(wrong, axis=0)
        spread = np.std(by_seed, ddof=1) / np.sqrt(len(by_seed)) if len(by_seed) > 1 else np.nan
        print(
            f"all: mean absolute error {by_seed.mean():.1f} points (standard error {spread:.1f}), by seed "
            f"{', '.join(f'{value:.1f}' for value in by_seed)}",
            flush=True,
        )
    for true_class, drawn in HER2_FIELDS.items() if given.fields else ():
        calls, shares = Counter(), Counter()
        for seed in range(given.fields):
            phantom = render(dataclasses.replace(base, **drawn), 1000 + seed)
            cells, assay = measured(phantom, given.nuclei)
            row = score_cells(cells, assay.replace(population="all")).scores
            calls[row.scores["her2"].value] += 1
            shares.update(row.patterns)
        total = sum(shares.values())
        cells = ", ".join(f"{name.removeprefix('membrane_')} {share / total:.0%}" for name, share in shares.items())
        print(f"HER2 {true_class}: called {dict(calls)}; cells {cells}", flush=True)
    for what, preset in cytoplasmic().items() if given.cytoplasmic_fields else ():
        wrong, linear, count = 0.0, [], 0
        for seed in range(1000, 1000 + given.cytoplasmic_fields):
            cells, assay = measured(render(preset, seed), given.nuclei)
            row = score_cells(cells, assay.replace(population="all")).scores
            wrong += sum(row.patterns.get(name, 0) for name in ("membrane_complete", "membrane_intense")) * row.cells
            count += row.cells
            linear += cells["Membrane: Linear share"].dropna().tolist()
        print(
            f"{what}: {wrong / count:.1%} of {count} cells have a complete membrane; of the border called stained, "
            f"{np.median(linear):.0%} goes on as a line (median)",
            flush=True,
        )


def cytoplasmic():
    """Fields of stained cytoplasm, and of membranes for comparison, by how granular the stain is."""
    plain = load_parameters("cytoplasmic")
    fields = {"cytoplasmic": plain}
    for low, high in GRANULARITY:
        drawn = {"granularity": (low, high), "positive_share": (0.8, 1), "marker_od": (0.5, 1.0)}
        fields[f"cytoplasmic, granularity {low} to {high}"] = dataclasses.replace(plain, **drawn)
        fields[f"membranous, granularity {low} to {high}"] = dataclasses.replace(load_parameters("membranous"), **drawn)
    return fields


if __name__ == "__main__":
    main()
