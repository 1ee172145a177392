"""Stained cells whose colour is not that of the slide's two stains: pigment, red cells, another chromogen."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assay import Assay
from ihcscore.classify import scored_channels, scored_od
from ihcscore.schema import CHANNELS, RIDGE_MEAN_COLUMN, channel_column, measured_column, stain_column

FEWEST_CELLS = 20
"""With fewer stained cells there is nothing to compare with."""
LEAST = 0.02
"""Smallest difference that is told from noise and the segmenter's faults."""
TIMES = 4.0
"""Times the spread of the slide's stained cells, by their median deviation, from which a cell is off."""
TO_DEVIATION = 1.4826
"""Standard deviation / median deviation of a normal distribution."""
WORTH_A_WARNING = 0.05
"""Share of the stained cells from which the result warns of it."""


class ColorJudge:
    """Tells stained cells of another colour from those of a slide.

    Parameters
    ----------
    assay : Assay
        What is scored, and from which density a cell is stained.
    plane : tuple of 3 float, optional
        Normal of the plane in which the slide's stained colours lie (`ihcscore.context.SlideContext`); without one,
        nothing is told.

    Notes
    -----
    Whatever hematoxylin and DAB are laid over each other, the optical density stays in the plane of their vectors.
    Noise takes single pixels out of it, but not the mean of a cell. A cell is off if the share of its density that lies
    outside the plane differs from the median of the slide's stained cells by more than 4 of their deviations, and 0.02.
    """

    def __init__(self, assay: Assay, plane: tuple[float, float, float] | None) -> None:
        self._assay, self._plane = assay, plane
        self._middle, self._cut = np.nan, np.nan

    @property
    def needed(self) -> list[str]:
        """Columns that are used."""
        names = [name.capitalize() for name in self._assay.compartment]
        columns = [measured_column(name) for name in names] + [stain_column(name, "DAB", "mean") for name in names]
        columns += [channel_column(name, channel) for name in names for channel in CHANNELS]
        return [*columns, RIDGE_MEAN_COLUMN] if self._assay.compartment == ("membrane",) else columns

    def look(self, tables: Iterable[pd.DataFrame]) -> None:
        """See all cells, to learn what is usual.

        Parameters
        ----------
        tables : iterable of DataFrame
            The cell table, block by block; `needed` columns.
        """
        if self._plane is None:
            return
        kept = [self._outside(cells)[self._stained(cells)] for cells in tables]
        values = np.concatenate(kept) if kept else np.zeros(0)
        values = values[np.isfinite(values)]
        if len(values) >= FEWEST_CELLS:
            self._middle = float(np.median(values))
            spread = TO_DEVIATION * float(np.median(np.abs(values - self._middle)))
            self._cut = max(LEAST, TIMES * spread)

    def judge(self, cells: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Tell how far each cell lies outside the plane, and whether it is stained and off.

        Parameters
        ----------
        cells : DataFrame
            As of `look`.

        Returns
        -------
        outside : ndarray of shape (n,), dtype float64
            Share of the optical density, less the slide's median; NaN where it cannot be told.
        off : ndarray of shape (n,), dtype bool
        """
        if not np.isfinite(self._cut):
            return np.full(len(cells), np.nan), np.zeros(len(cells), bool)
        outside = self._outside(cells) - self._middle
        return outside, self._stained(cells) & (np.abs(outside) > self._cut)

    def _outside(self, cells: pd.DataFrame) -> NDArray[np.float64]:
        od = scored_channels(cells, self._assay.compartment)
        length = np.linalg.norm(od, axis=1)
        out = np.full(len(cells), np.nan)
        np.divide(od @ np.asarray(self._plane), length, out=out, where=length > 0)
        return out

    def _stained(self, cells: pd.DataFrame) -> NDArray[np.bool_]:
        od = scored_od(cells, self._assay.compartment, ridge=self._assay.membrane_from == "ridge")
        return np.asarray(od >= self._assay.thresholds[0])


def warning_of(stained: int, off: int | None) -> list[str]:
    """Say so where much of what is stained is of another colour."""
    if not off or off < WORTH_A_WARNING * stained:
        return []
    return [f"{off} of {stained} stained cells are off-colour (pigment, red cells, another chromogen?): see off_color"]
