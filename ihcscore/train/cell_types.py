"""Train the rule that classifies epithelium against other cells, on phantoms alone.

    python -m ihcscore.train.cell_types [--fields 60] [--seed 7]

Writes ``ihcscore/scoring/cell_types/epithelium.json``. Nuclei are found by the network that ships, and have the type of
the true nucleus that their centroid lies in.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.api import measure_image
from ihcscore.phantom import load_parameters, render
from ihcscore.scoring import cell_types
from ihcscore.scoring.cell_types.model import RULE
from ihcscore.scoring.cell_types.training import Labels, train
from ihcscore.version import __version__

PRESETS = ("nuclear", "membranous", "cytoplasmic", "negative")
TYPES = {"tumor": "Tumor", "stroma": "Stroma", "lymphocyte": "Immune", "macrophage": "Immune"}


def labeled(preset: str, seed: int) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    """Return the cells of a phantom and their true types, empty where a detected cell is none."""
    phantom = render(load_parameters(preset), seed)
    cells = measure_image(phantom.rgb, mpp=phantom.parameters.mpp).cells
    x, y = (cells[name].to_numpy().astype(int) for name in ("x_px", "y_px"))
    at = phantom.nuclei[y, x]
    kinds = np.array(["", *(TYPES[kind] for kind in phantom.table["kind"])], object)
    return cells, kinds[at]


def main() -> None:
    """Render, measure, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    tables, labels = [], []
    for k in range(given.fields):
        cells, types = labeled(PRESETS[k % len(PRESETS)], 500_000 + given.seed * 1000 + k)
        rows = np.flatnonzero(types != "")
        tables.append(cells)
        labels.append(Labels(rows, types[rows], np.zeros(len(rows), np.int64)))
    about = {"trained_on": f"{given.fields} phantoms, seed {given.seed}", "ihcscore": __version__}
    model = train(tables, labels, about)
    model.write(Path(cell_types.__file__).parent / RULE)
    print(model.about)


if __name__ == "__main__":
    main()
