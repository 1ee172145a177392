"""Features for classifying cell types: of the nucleus and its neighbors, none of the scored marker."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.errors import IhcscoreError
from ihcscore.table.schema import area_column, stain_column

NEAR, FAR = 8, 24
"""How many neighbors are looked at: those that touch, and the tissue around."""
FARTHEST_UM = 60.0
"""A neighbor that is farther away counts as this far."""
MEASURED = (
    area_column("Nucleus"),
    "Nucleus: Circularity",
    "Nucleus: Solidity",
    "Nucleus: Major axis µm",
    "Nucleus: Minor axis µm",
    "Nucleus/Cell area ratio",
    stain_column("Nucleus", "Hematoxylin", "mean"),
    stain_column("Nucleus", "Hematoxylin", "std dev"),
)
NEEDED = ("x_um", "y_um", *MEASURED)
OWN = ("log area", "circularity", "solidity", "log elongation", "nucleus/cell", "hematoxylin", "hematoxylin spread")
# these names are in the files of classifiers, so their spelling stays
_AROUND = (*(f"{{}} neighbours' {name}" for name in OWN), "log distance of {} neighbours", "spread of {} log areas")
FEATURES = (*OWN, *(name.format(count) for count in (NEAR, FAR) for name in _AROUND))

Values = NDArray[np.float64]


def features_of(tables: Iterable[pd.DataFrame]) -> Values:
    """Compute the features of all cells of an image.

    Raises IhcscoreError if a column is missing, as where background or stain vectors changed after measuring.

    Parameters
    ----------
    tables : iterable of DataFrame
        The cell table, block by block; `NEEDED` are used.

    Returns
    -------
    ndarray of shape (n, 25), dtype float64
        Columns of `FEATURES`; neighbors are the nearest nuclei, with fewer cells those that there are.
    """
    kept = [_needed(table) for table in tables]
    values = np.concatenate(kept) if kept else np.zeros((0, len(NEEDED)))
    if not len(values):
        return np.zeros((0, len(FEATURES)))
    xy = values[:, :2]
    area, circularity, solidity, major, minor, ratio, stain, spread = values[:, 2:].T
    elongation = np.log(np.maximum(major, 0.1) / np.maximum(minor, 0.1))
    own = np.column_stack([np.log(np.maximum(area, 0.1)), circularity, solidity, elongation, ratio, stain, spread])
    own = np.nan_to_num(own)
    return np.column_stack([own, *(_around(xy, own, count) for count in (NEAR, FAR))])


def _needed(table: pd.DataFrame) -> Values:
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise IhcscoreError(
            f"cell types need {', '.join(missing)}, which cannot be recomputed for other background or stain vectors: "
            "score the images again with them"
        )
    return table[list(NEEDED)].to_numpy(np.float64)


def _around(xy: Values, own: Values, count: int) -> Values:
    """Compute the means of the nearest cells' features, their distances, and the spread of their areas."""
    from scipy.spatial import cKDTree  # slow to load, and few runs classify cell types

    k = min(count + 1, len(xy))
    if k == 1:
        return np.column_stack([own, np.full(len(own), np.log(FARTHEST_UM)), np.zeros(len(own))])
    distance, index = (np.asarray(found) for found in cKDTree(xy).query(xy, k=k))
    near = own[index[:, 1:]]
    away = np.minimum(distance[:, 1:], FARTHEST_UM).mean(axis=1)
    return np.column_stack([near.mean(axis=1), np.log(np.maximum(away, 0.1)), near[:, :, 0].std(axis=1)])
