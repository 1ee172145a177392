"""Recompute cell tables for other stain vectors or another background, without the pixels."""

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import MEASURED_FIELDS, Assay
from ihcscore.errors import IhcscoreError
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.context import ABOUT_ESTIMATE, DEFAULT_STAINS, NO_GLASS, SlideContext
from ihcscore.table.schema import CHANNELS, COMPARTMENTS, MEMBRANE_COLUMNS, channel_column, stain_column

FROM_PIXELS_ONLY = ("OD std dev", "OD min", "OD p10", "OD median", "OD p90", "OD max")
"""Endings of columns that do not follow from the means of the color channels."""


def restain_table(cells: pd.DataFrame, context: SlideContext, assay: Assay, measured_by: Assay) -> pd.DataFrame:
    """Recompute a cell table for the stains and background of another assay.

    Raises IhcscoreError if `assay` measures something else, or needs a new estimate, which needs the pixels.

    Parameters
    ----------
    cells : DataFrame
        As measured, or a part of it. Not modified.
    context : SlideContext
        Of the measurement.
    assay, measured_by : Assay
        The assay to score by, and the assay of the measurement.

    Returns
    -------
    DataFrame
        `cells` itself where stains and background are the same.
    """
    changed = [name for name in MEASURED_FIELDS if getattr(assay, name) != getattr(measured_by, name)]
    if changed:
        raise IhcscoreError(f"{', '.join(changed)} decides what is measured: score the images again to change it")
    new = rescoring_context(context, assay, measured_by)
    shift = np.log10(np.asarray(new.background)) - np.log10(np.asarray(context.background))
    same = new.stains == context.stains and not shift.any()
    return cells if same else restain_means(cells, new.stains, shift)


def rescoring_context(context: SlideContext, assay: Assay, measured_by: Assay) -> SlideContext:
    """Return the context in which an assay scores what another assay measured.

    Raises IhcscoreError if the assay asks for an estimate that was not made when measuring.
    """
    if assay.background != measured_by.background:
        if isinstance(assay.background, str):
            raise IhcscoreError("background 'auto' needs the pixels: give it as R,G,B to score again from the table")
        context = dataclasses.replace(
            context,
            background=assay.background,
            background_origin="given",
            warnings=tuple(text for text in context.warnings if text != NO_GLASS),
        )
    if assay.stains != measured_by.stains:
        if assay.stains == "estimate":
            raise IhcscoreError("stains 'estimate' needs the pixels: give vectors to score again from the table")
        given = isinstance(assay.stains, StainMatrix)
        context = dataclasses.replace(
            context,
            stains=assay.stains if isinstance(assay.stains, StainMatrix) else StainMatrix(),
            stains_origin="given" if given else DEFAULT_STAINS,
            warnings=tuple(text for text in context.warnings if not any(part in text for part in ABOUT_ESTIMATE)),
        )
    return context


def restain_means(
    cells: pd.DataFrame, stains: StainMatrix, background_shift: NDArray[np.float64] | None = None
) -> pd.DataFrame:
    """Recompute the mean optical densities of cells for other stain vectors and another background.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    stains : StainMatrix
        The other stain vectors.
    background_shift : ndarray of shape (3,), optional
        ``log10(other background / background of the measurement)`` per channel, added to every optical density.

    Returns
    -------
    DataFrame
        Means of channels, hematoxylin and DAB are recomputed; unmixing is linear, so they equal those of a new
        measurement but for rounding to float32. Columns that do not follow from means (standard deviation, minimum,
        quantiles, maximum, membrane; with another background, the saturated share) are dropped.
    """
    shift = np.zeros(3) if background_shift is None else np.asarray(background_shift, np.float64)
    endings = (*FROM_PIXELS_ONLY, "Saturated share") if shift.any() else FROM_PIXELS_ONLY
    out = cells.drop(columns=[name for name in cells.columns if name.endswith(endings) or name in MEMBRANE_COLUMNS])
    for name in COMPARTMENTS:
        columns = [channel_column(name, channel) for channel in CHANNELS]
        channels = cells[columns].to_numpy(np.float64) + shift
        out[columns] = channels.astype(np.float32)
        unmixed = channels @ stains.inverse
        out[stain_column(name, "Hematoxylin", "mean")] = unmixed[:, 0].astype(np.float32)
        out[stain_column(name, "DAB", "mean")] = unmixed[:, 1].astype(np.float32)
    return out
