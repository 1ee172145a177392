"""Stained cells whose color is not that of the slide's two stains: pigment, red cells, another chromogen."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.scoring.classify import scored_channels, scored_od
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.stains.plane import Plane
from ihcscore.table.schema import measured_column, saturated_column

LEAST = 0.02
"""Share of a cell's density outside the plane from which it is off: what noise leaves of a cell's mean is below."""
LIGHT_OD = 0.5
"""Paler cells count as if they were as dense as this: what blur and JPEG do to their color does not get less with
their density."""
SATURATED = 0.02
"""With a larger share of saturated pixels, the color is that of the darkest gray levels and carries no information."""
WORTH_A_WARNING = 0.05
"""Share of the stained cells from which the result warns of it."""
NOT_DETECTED = "off-color cells cannot be detected here; none were excluded (exclude_off_color)"
OWN_WARNINGS = ("off-color cells", "off-colour cells", "are off-color (", "are off-colour (")
"""Texts by which warnings of this module are recognized, those of earlier versions included."""


def off_plane(cells: pd.DataFrame, assay: Assay, plane: Plane | None) -> NDArray[np.float64]:
    """Compute each cell's distance from the plane of the slide's stains, relative to its optical density.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    assay : Assay
        What is scored.
    plane : tuple of 4 float, optional
        See `ihcscore.stains.plane`.

    Returns
    -------
    ndarray of shape (n,), dtype float64
        Cells of less than 0.5 OD count as if they had as much. NaN where it is unknown: no plane, no pixel, pixels
        that are saturated, or a table of another background than was measured.

    Notes
    -----
    Whatever hematoxylin and DAB are laid over each other, the optical density stays in one plane. Noise takes single
    pixels out of it, but not the mean of a cell.
    """
    names = [name.capitalize() for name in assay.compartment]
    if plane is None or any(saturated_column(name) not in cells.columns for name in names):
        return np.full(len(cells), np.nan)
    area = np.array([cells[measured_column(name)].to_numpy(np.float64) for name in names])
    dark = np.array([cells[saturated_column(name)].to_numpy(np.float64) for name in names])
    clear = np.where(area > 0, area * dark, 0).sum(axis=0) <= SATURATED * area.sum(axis=0)
    od = scored_channels(cells, assay.compartment)
    length = np.linalg.norm(od, axis=1)
    red, green, blue = (od[:, k] * plane[k] for k in range(3))
    beside = red + green + blue - plane[3]  # not as a product of matrices, whose rounding depends on how many cells
    return np.where(clear & (length > 0), beside / np.maximum(length, LIGHT_OD), np.nan)


def off_color(cells: pd.DataFrame, assay: Assay, outside: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which cells are stained and of another color; `outside` is the result of `off_plane`."""
    od = scored_od(cells, assay.compartment, ridge=assay.membrane_from == "ridge")
    return np.asarray((od >= assay.thresholds[0]) & (np.abs(outside) > LEAST))


def off_color_warnings(row: ScoreRow, assay: Assay) -> list[str]:
    """Warn where many stained cells are off-color, or where they should be excluded and cannot be detected."""
    if assay.exclude_off_color and row.off_color is None and row.cells:
        return [NOT_DETECTED]
    off = row.off_color or 0
    stained = (row.cells or 0) - (row.negative or 0) + off * assay.exclude_off_color
    if not off or off < WORTH_A_WARNING * stained:
        return []
    return [f"{off} of {stained} stained cells are off-color (pigment, red cells, another chromogen?): see off_color"]
