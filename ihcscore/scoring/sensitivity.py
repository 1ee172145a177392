"""What a score would be if thresholds, stain vectors, the white point or membranes were a little different."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies
from ihcscore.scoring.classify import scored_channels
from ihcscore.scoring.score_row import Band
from ihcscore.stains.vectors import StainMatrix, unit
from ihcscore.survey.context import SlideContext
from ihcscore.table.schema import SCORED_COLUMN

THRESHOLDS, STAINS, BACKGROUND, MEMBRANE = "thresholds", "stains", "background", "membrane"
Variant = tuple[str, NDArray[np.int8], NDArray[np.float64]]


def variants(cells: pd.DataFrame, assay: Assay, context: SlideContext | None) -> Iterator[Variant]:
    """Class cells as they would be under small changes of what the classes rest on.

    Parameters
    ----------
    cells : DataFrame
        Classed cells, with `SCORED_COLUMN`; none unmeasurable. Not modified.
    assay : Assay
        Its thresholds, and how far to move what.
    context : SlideContext or None
        Stain vectors and background; without it they are not moved.

    Yields
    ------
    what : str
        "thresholds", "stains" and "background", or for membranes that were found "thresholds" and "membrane"; each
        twice.
    level : ndarray of shape (n,), dtype int8
        0 to 3.
    od : ndarray of shape (n,), dtype float64
        The density it would have.
    """
    od = cells[SCORED_COLUMN].to_numpy(np.float64)
    cuts = np.asarray(assay.thresholds, np.float64)
    for sign in (-1, 1):
        yield THRESHOLDS, _levels(od, cuts + sign * assay.band_od), od
    if assay.compartment == ("membrane",) and assay.membrane_from == "ridge":
        # a ridge does not follow from the means of channels; how dense it is taken for is one error for all of a slide
        for sign in (-1, 1):
            moved = od * (1 + sign * assay.band_membrane)
            yield MEMBRANE, _levels(moved, cuts), moved
        return
    if context is None:
        return
    channels = scored_channels(cells, assay.compartment)
    for sign in (-1, 1):
        matrix = tilted(context.stains, sign * assay.band_degrees)
        moved = channels @ matrix.inverse[:, 1]
        yield STAINS, _levels(moved, cuts), moved
    for sign in (-1, 1):
        shift = np.log10(1 + sign * assay.band_white)
        moved = (channels + shift) @ context.stains.inverse[:, 1]
        yield BACKGROUND, _levels(moved, cuts), moved


def tilted(stains: StainMatrix, degrees: float) -> StainMatrix:
    """Turn the DAB vector in the plane of the two stains, towards hematoxylin for positive angles.

    Examples
    --------
    >>> from ihcscore.stains.vectors import angle_deg
    >>> round(angle_deg(tilted(StainMatrix(), 2.0).dab, StainMatrix().hematoxylin), 1)
    34.9
    """
    dab, hematoxylin = unit(stains.dab), unit(stains.hematoxylin)
    across = unit(hematoxylin - (hematoxylin @ dab) * dab)
    turned = np.cos(np.radians(degrees)) * dab + np.sin(np.radians(degrees)) * across
    r, g, b = (float(v) for v in turned)
    return StainMatrix(stains.hematoxylin, (r, g, b))


def _levels(od: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int8]:
    return np.searchsorted(cuts, od, side="right").astype(np.int8)


def band(score: Score, value: float, sums: dict[str, list[Tallies]]) -> Band | None:
    """Put the scores under all changes together.

    Parameters
    ----------
    value : float
        The score itself.
    sums : dict of str to list of Tallies
        Of all cells under each change.
    """
    ranges = {}
    for what, each in sums.items():
        found = [float(score.of(tallies)) for tallies in each]
        ranges[what] = (min([value, *found]), max([value, *found]))
    if not ranges:
        return None
    return Band(score.name, ranges, max(ranges, key=lambda what: ranges[what][1] - ranges[what][0]))
