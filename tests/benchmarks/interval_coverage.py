"""How often the 95 % interval of the H-score holds the truth, on tables of cells whose staining is patchy.

    python tests/benchmarks/interval_coverage.py [--replicates 2000] [--patch 50] [--sides 2000 750]

A cell's DAB is that of its place, a Gaussian field whose correlation falls to 1/e within `--patch` um, plus its own.
The true H-score is that of the endless tissue that the square of `--sides` um was cut from, known exactly. Beside the
package's interval stands the binomial one over cells, which takes each cell for an independent sample.
"""

import argparse

import numpy as np
import pandas as pd
from scipy import ndimage as ndi
from scipy.stats import norm

from ihcscore import load_assay
from ihcscore.scoring.classify import classify
from ihcscore.scoring.intervals import BOOTSTRAP
from ihcscore.scoring.score_table import score_rows
from ihcscore.table.schema import CLASS_COLUMN, LEFT_OUT_COLUMN, REGION_COLUMN, SCORED_COLUMN

CELLS_PER_MM2 = 2500
SPREAD_OD = 0.25
SHARED = 0.6
"""Part of the variance of DAB that cells of one place share."""
MEANS = (-0.1, 0.15, 0.4, 0.6, 0.8)
STEP_UM = 10
AT_ONCE = 50
ASSAY = load_assay("generic-nuclear").replace(scores=("h_score",))


def true_h(mean):
    return 100 * sum(norm.sf(cut, mean, SPREAD_OD) for cut in ASSAY.thresholds)


def fields(chance, side_um, patch_um):
    """Draw Gaussian fields of variance 1 whose correlation is exp(-(d / patch)^2)."""
    sigma = patch_um / 2 / STEP_UM
    n = int(side_um / STEP_UM) + int(8 * sigma) + 1
    smooth = ndi.gaussian_filter(chance.normal(size=(AT_ONCE, n, n)), (0, sigma, sigma), mode="wrap")
    return smooth * 2 * np.sqrt(np.pi) * sigma


def tables(chance, side_um, patch_um, mean, replicates):
    for start in range(0, replicates, AT_ONCE):
        for field in fields(chance, side_um, patch_um)[: replicates - start]:
            n = chance.poisson(CELLS_PER_MM2 * (side_um / 1000) ** 2)
            x, y = chance.uniform(0, side_um, (2, n))
            shared = field[(y / STEP_UM).astype(int), (x / STEP_UM).astype(int)]
            own = chance.normal(size=n)
            od = mean + SPREAD_OD * (np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own)
            yield pd.DataFrame(
                {
                    "x_um": x,
                    "y_um": y,
                    LEFT_OUT_COLUMN: "",
                    SCORED_COLUMN: od,
                    CLASS_COLUMN: classify(od, ASSAY.thresholds),
                    REGION_COLUMN: "",
                }
            )


def binomial(row):
    """The interval that takes cells for independent, from their classes' own variance."""
    classes = np.repeat([0, 1, 2, 3], [row.negative, row.weak, row.moderate, row.strong])
    half = norm.ppf(0.975) * classes.std() / np.sqrt(len(classes))
    return 100 * (classes.mean() - half), 100 * (classes.mean() + half)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--patch", type=float, default=50)
    parser.add_argument("--sides", type=float, nargs="+", default=[2000, 750])
    given = parser.parse_args()
    print(
        f"patches of {given.patch:g} um, {given.replicates} replicates; standard error of a coverage 0.5 points at 95 %"
    )
    for side in given.sides:
        for mean in MEANS:
            chance, truth = np.random.default_rng(1), true_h(mean)
            held, naive, width, effective, few = [], [], [], [], []
            for cells in tables(chance, side, given.patch, mean, given.replicates):
                (row,) = score_rows(cells, ASSAY)
                score = row.scores["h_score"]
                held.append(score.low <= truth <= score.high)
                low, high = binomial(row)
                naive.append(low <= truth <= high)
                width.append(score.high - score.low)
                effective.append(row.effective_blocks)
                few.append(score.method != BOOTSTRAP)
            held, few = np.array(held), np.array(few)
            parts = [
                f"covers {held[part].mean():.1%} of {part.sum()} {name}"
                for part, name in ((~few, "with >= 20"), (few, "below"))
                if part.any()
            ]
            print(
                f"side {side:.0f} um, true H {truth:5.1f}, {np.mean(effective):4.1f} effective blocks: "
                f"{', '.join(parts)}; median width {np.median(width):.0f}; "
                f"binomial over cells covers {np.mean(naive):.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
