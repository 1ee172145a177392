"""How complete and how intense a cell's membrane is stained, at any threshold, from what was measured along it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.table.schema import COMPLETENESS_COLUMN, PATTERN_NAMES, RIDGE_DECILES, ridge_column

STAINED_SHARE = 0.15
"""Share of the perimeter below which a membrane counts as not stained."""

Values = NDArray[np.float64]


def is_measured(cells: pd.DataFrame) -> bool:
    """Return whether a table holds membranes: one recomputed for other stains does not."""
    return COMPLETENESS_COLUMN in cells.columns


def completeness(cells: pd.DataFrame, threshold: float) -> Values:
    """Compute the share of each cell's perimeter with a stained line of at least some DAB OD.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    threshold : float
        OD; positive.

    Returns
    -------
    ndarray of shape (n,), dtype float64
        Linear between the deciles of the line; NaN where the membrane could not be looked for.
    """
    return np.asarray(cells[COMPLETENESS_COLUMN].to_numpy(np.float64) * _denser(_deciles(cells), threshold))


def _denser(deciles: Values, threshold: float) -> Values:
    """Compute the share of each cell's line that has at least some OD."""
    below = (deciles < threshold).sum(axis=1) - 1
    at = np.clip(below, 0, len(RIDGE_DECILES) - 2)
    rows = np.arange(len(deciles))
    low, high = deciles[rows, at], deciles[rows, at + 1]
    between = (low < threshold) & (threshold <= high)
    inside = np.divide(threshold - low, high - low, out=np.zeros(len(deciles)), where=between)
    share = 1 - (at + inside) / (len(RIDGE_DECILES) - 1)
    share[below < 0] = 1
    share[below == len(RIDGE_DECILES) - 1] = 0
    return np.asarray(share)


def intensity(cells: pd.DataFrame, threshold: float) -> Values:
    """Compute the mean DAB OD of the part of each cell's line that has at least `threshold`.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    threshold : float
        OD; positive.

    Returns
    -------
    ndarray of shape (n,), dtype float64
        Linear between the deciles of the line; NaN where no part has as much, or there is no line.
    """
    deciles = _deciles(cells)
    share = _denser(deciles, threshold)
    middles = (deciles[:, 1:] + np.maximum(deciles[:, :-1], threshold)) / 2
    steps = np.arange(1, len(RIDGE_DECILES)) / (len(RIDGE_DECILES) - 1)
    weights = np.clip(steps - (1 - share[:, None]), 0, steps[0])
    total = weights.sum(axis=1)
    return np.asarray(
        np.divide((weights * middles).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
    )


def membrane_patterns(cells: pd.DataFrame, assay: Assay) -> NDArray[np.object_]:
    """Name the pattern of each cell's membrane; see `ihcscore.table.schema.PATTERN_NAMES`.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    assay : Assay
        A membrane is stained from the first threshold on, moderate from the second, intense from the third; complete
        from `complete_share` of its perimeter on.

    Returns
    -------
    ndarray of shape (n,), dtype object
        Empty where the membrane could not be looked for.
    """
    none, faint, complete, intense, other = PATTERN_NAMES
    weak, moderate, strong = assay.thresholds
    share, od = completeness(cells, weak), intensity(cells, weak)
    whole = share >= assay.complete_share
    names = np.select(
        [np.isnan(share), share < STAINED_SHARE, whole & (od >= strong), whole, od < moderate],
        ["", none, intense, complete, faint],
        other,
    )
    return np.asarray(names, object)


def _deciles(cells: pd.DataFrame) -> Values:
    return cells[[ridge_column(percent) for percent in RIDGE_DECILES]].to_numpy(np.float64)
