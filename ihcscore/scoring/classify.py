"""Measured cells to intensity classes."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ihcscore.assays.assay import Assay
from ihcscore.errors import IhcscoreError
from ihcscore.table.schema import (
    CHANNELS,
    CLASS_COLUMN,
    CLASSES,
    LEFT_OUT,
    OFF_COLOR_COLUMN,
    RIDGE_MEAN_COLUMN,
    UNMEASURABLE,
    channel_column,
    measured_column,
    stain_column,
)


def scored_od(cells: pd.DataFrame, compartment: tuple[str, ...], *, ridge: bool = True) -> NDArray[np.float64]:
    """Compute the mean DAB optical density of each cell over one compartment or the union of several.

    Raises IhcscoreError if the ridge is wanted and the table has none, as after a change of stains.

    Parameters
    ----------
    cells : DataFrame
        Cell table (`ihcscore.table.schema`). Not modified.
    compartment : tuple of str
        "nucleus", "cytoplasm", "membrane", "cell".
    ridge : bool
        Take the membrane, where it is scored alone, as the ridge that was found, not as the band of fixed width: blur
        spreads a thin membrane over the band.

    Returns
    -------
    ndarray of shape (n,), dtype float64
        Mean over the pixels of the union, or along the ridge; NaN where none of it has a pixel.
    """
    if compartment == ("membrane",) and ridge:
        if RIDGE_MEAN_COLUMN not in cells.columns:
            raise IhcscoreError(
                "the membrane's ridge has to be measured on pixels: score again, or set membrane_from = 'band'"
            )
        return cells[RIDGE_MEAN_COLUMN].to_numpy(np.float64)
    names = [name.capitalize() for name in compartment]
    areas = np.array([cells[measured_column(name)].to_numpy(np.float64) for name in names])
    means = np.array([cells[stain_column(name, "DAB", "mean")].to_numpy(np.float64) for name in names])
    if len(names) == 1:
        return np.asarray(means[0])
    total = areas.sum(axis=0)
    weighted = np.where(areas > 0, areas * means, 0).sum(axis=0)
    mean = np.full(len(cells), np.nan)
    np.divide(weighted, total, out=mean, where=total > 0)
    return mean


def scored_channels(cells: pd.DataFrame, compartment: tuple[str, ...]) -> NDArray[np.float64]:
    """Compute the mean optical density of each channel and cell over a union of compartments; shape (n, 3)."""
    names = [name.capitalize() for name in compartment]
    total = np.zeros(len(cells))
    weighted = np.zeros((len(cells), len(CHANNELS)))
    for name in names:
        area = cells[measured_column(name)].to_numpy(np.float64)
        means = cells[[channel_column(name, channel) for channel in CHANNELS]].to_numpy(np.float64)
        weighted += np.where(area[:, None] > 0, area[:, None] * means, 0)
        total += area
    mean = np.full(weighted.shape, np.nan)
    np.divide(weighted, total[:, None], out=mean, where=total[:, None] > 0)
    return mean


def exclusion_reasons(cells: pd.DataFrame, assay: Assay, excluded: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return why each cell is excluded from every score.

    Parameters
    ----------
    cells : DataFrame
        Classified, with the off-color columns. Not modified.
    assay : Assay
        Says whether cells that are cut count, and those off-color.
    excluded : ndarray of shape (n,), dtype bool
        Cells in regions of excluded classes.

    Returns
    -------
    ndarray of shape (n,), dtype object
        The first reason of `ihcscore.table.schema.LEFT_OUT` that holds, empty where none does.
    """
    holds = {
        "excluded": excluded,
        "in_artifact": cells["in_artifact"].to_numpy(bool),
        "cut_by_border": cells["cut_by_border"].to_numpy(bool) & (not assay.include_cut),
        "unmeasurable": (cells[CLASS_COLUMN] == UNMEASURABLE).to_numpy(bool),
        "off_color": cells[OFF_COLOR_COLUMN].to_numpy(bool) & assay.exclude_off_color,
    }
    why = np.full(len(cells), "", object)
    for reason in reversed(LEFT_OUT):
        why[holds[reason]] = reason
    return why


def classify(od: ArrayLike, thresholds: tuple[float, float, float]) -> NDArray[np.object_]:
    """Class cells by thresholds; a value on a threshold is in the higher class.

    Parameters
    ----------
    od : array_like of shape (n,)
        DAB optical density of each cell.
    thresholds : tuple of 3 float
        Lowest optical density of 1+, 2+ and 3+; rising, which `Assay` checks.

    Returns
    -------
    ndarray of shape (n,), dtype object
        "Negative", "1+", "2+", "3+", or "Unmeasurable" for NaN.

    Examples
    --------
    >>> classify([0.1, 0.2, 0.39, 0.6, np.nan], (0.2, 0.4, 0.6)).tolist()
    ['Negative', '1+', '1+', '3+', 'Unmeasurable']
    """
    values = np.asarray(od, np.float64)
    names = np.array([*CLASSES, UNMEASURABLE], dtype=object)
    level = np.searchsorted(np.asarray(thresholds, np.float64), values, side="right")
    return names[np.where(np.isnan(values), len(CLASSES), level)]
