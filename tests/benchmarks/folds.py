"""How often a field with a fold is flagged, and one without.

    python tests/benchmarks/folds.py [--fields 25] [--side 1024]

Rendered fields of every marker, once with folds of 16 to 50 um and once without; a field counts as folded if the two
differ on at least 3 % of its pixels.
"""

import argparse
import dataclasses

import numpy as np

from ihcscore.cells.quality import FOLDED
from ihcscore.cells.tissue_folds import fold_share
from ihcscore.phantom import folds, load_parameters, render

MARKERS = ("nuclear", "membranous", "cytoplasmic", "negative")
LEAST, CHANGED = 0.03, 25


def share(phantom):
    return fold_share(phantom.rgb, phantom.background, phantom.stains, phantom.parameters.mpp)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=25)
    parser.add_argument("--side", type=int, default=1024)
    given = parser.parse_args()
    folds.HALF_WIDTH_UM = (8.0, 25.0)
    for marker in MARKERS:
        parameters = dataclasses.replace(load_parameters(marker), size_px=(given.side, given.side))
        found, wrong = [], []
        for seed in range(31000, 31000 + given.fields):
            plain = render(dataclasses.replace(parameters, folds_per_mm2=(0, 0)), seed)
            folded = render(dataclasses.replace(parameters, folds_per_mm2=(4, 4)), seed)
            wrong.append(share(plain) > FOLDED)
            differs = np.abs(plain.rgb.astype(int) - folded.rgb).max(axis=2) > CHANGED
            if differs.mean() > LEAST:
                found.append(share(folded) > FOLDED)
        print(f"{marker}: {sum(found)} of {len(found)} folded fields flagged, {sum(wrong)} of {len(wrong)} others")


if __name__ == "__main__":
    main()
