"""Measure cells: optical densities by compartment, and the shape of nuclei."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.cells.compartments import CYTOPLASM, EDGE, NUCLEUS
from ihcscore.cells.contours import Outlines
from ihcscore.cells.label_runs import LabelRuns
from ihcscore.geometry import px2_to_um2
from ihcscore.kernels.cell_measurement import CellSums, DensityTables, reduce_cells
from ihcscore.stains.density import SATURATED_OD, density_table
from ihcscore.stains.unmix import shares_of_light
from ihcscore.stains.vectors import StainMatrix
from ihcscore.table.schema import (
    CHANNELS,
    COMPARTMENTS,
    QUANTILES,
    STAINS,
    area_column,
    channel_column,
    measured_column,
    saturated_column,
    stain_column,
)

BIN_OD = 0.01
LOWEST_OD = -0.3

Named = Callable[[str], str]
Columns = dict[str, NDArray[np.float32]]
"""Measured columns by name, one value for each cell."""
Table = NDArray[np.float64]


@dataclass(frozen=True)
class CellPixels:
    """The pixels of the cells of a tile.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Light.
    cells : LabelRuns
        Which pixels are whose.
    part : ndarray of shape (M, N), dtype uint8
        As `ihcscore.cells.compartments.partition` gives them.
    """

    rgb: NDArray[np.uint8]
    cells: LabelRuns
    part: NDArray[np.uint8]


def measure_stains(
    pixels: CellPixels, nuclei: NDArray[np.integer], background: ArrayLike, stains: StainMatrix, mpp: float
) -> Columns:
    """Measure hematoxylin and DAB in nucleus, cytoplasm, membrane and cell.

    Parameters
    ----------
    pixels : CellPixels
        Not modified.
    nuclei : ndarray of shape (count,), integer
        Pixels of each nucleus, its edge among them.
    background : array_like of shape (3,)
        Light without tissue, in the units of the pixels; optical densities are not clipped.
    stains : StainMatrix
        Stain vectors.
    mpp : float
        um per pixel.

    Returns
    -------
    dict of str to ndarray of shape (count,), dtype float32
        Columns of the cell table. A compartment without pixels has area 0 and NaN everywhere else. The edge of the
        nucleus counts for the areas of nucleus and cytoplasm, and for the cell.

    Notes
    -----
    Means, standard deviations, minima and maxima are exact to float64 before they are stored. Quantiles come from a
    histogram of 0.01 OD from -0.3 to 2.26, linear within a bin.
    """
    found = _reduced(pixels, background, stains)
    pixel_counts, saturated = found.pixels.astype(np.float64), found.saturated.astype(np.float64)
    columns = _by_compartment(measured_column, px2_to_um2(pixel_counts, mpp), np.add)
    whole = pixel_counts.copy()
    whole[:, CYTOPLASM] += whole[:, NUCLEUS] + whole[:, EDGE] - nuclei
    whole[:, NUCLEUS], whole[:, EDGE] = nuclei, 0
    columns |= _by_compartment(area_column, px2_to_um2(whole, mpp), np.add)
    for k, name in enumerate(CHANNELS):
        columns |= _means(partial(channel_column, channel=name), found.channels[..., k], pixel_counts)
    columns |= _means(saturated_column, saturated, pixel_counts)
    for k, stain in enumerate(STAINS):
        columns |= _stain_columns(stain, found.spread[:, :, k], found.quantiles[:, :, k], pixel_counts)
    columns["Nucleus/Cell area ratio"] = columns[area_column("Nucleus")] / columns[area_column("Cell")]
    return columns


def _reduced(pixels: CellPixels, background: ArrayLike, stains: StainMatrix) -> CellSums:
    """Reduce the pixels of cells to sums and quantiles of optical density."""
    tables = DensityTables(
        density_table(background).T,
        shares_of_light(background, stains)[: len(STAINS)],
        SATURATED_OD,
        LOWEST_OD,
        BIN_OD,
        np.array([*QUANTILES.values()]),
    )
    return reduce_cells(pixels.cells.arrays, pixels.rgb, pixels.part, tables)


def _stain_columns(stain: str, spread: Table, quantiles: Table, pixels: Table) -> Columns:
    def named(statistic: str) -> Named:
        return partial(stain_column, stain=stain, statistic=statistic)

    sums, squares, lowest, highest = (spread[..., k] for k in range(4))
    center = _means(named("std dev"), sums, pixels, np.float64)
    deviation = {
        name: np.sqrt(np.maximum(square - center[name] ** 2, 0)).astype(np.float32)
        for name, square in _means(named("std dev"), squares, pixels, np.float64).items()
    }
    least = _by_compartment(named("min"), lowest, np.fmin)
    most = _by_compartment(named("max"), highest, np.fmax)
    columns = _means(named("mean"), sums, pixels) | deviation | least | most
    for number, where in enumerate(COMPARTMENTS):
        low, high = least[stain_column(where, stain, "min")], most[stain_column(where, stain, "max")]
        for nth, name in enumerate(QUANTILES):
            values = np.clip(quantiles[:, number, nth], low, high)
            columns[stain_column(where, stain, name)] = values.astype(np.float32)
    return columns


def _by_compartment(named: Named, table: Table, join: np.ufunc, dtype: Any = np.float32) -> Columns:
    """Name a value for each part of a cell, and for the whole cell the parts combined by `join`."""
    columns = {named(name): table[:, part].astype(dtype) for part, name in enumerate(COMPARTMENTS[:-1])}
    return columns | {named(COMPARTMENTS[-1]): join.reduce(table, axis=1).astype(dtype)}


def _means(named: Named, sums: Table, pixels: Table, dtype: Any = np.float32) -> Columns:
    sums_by, pixels_by = (_by_compartment(named, values, np.add, np.float64) for values in (sums, pixels))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: (sums_by[name] / pixels_by[name]).astype(dtype) for name in sums_by}


def measure_shapes(spans: LabelRuns, outlines: Outlines, mpp: float) -> Columns:
    """Measure the shape of the nuclei.

    Parameters
    ----------
    spans : LabelRuns
        Of the nuclei.
    outlines : Outlines
        Of the nuclei, in px of `mpp` um.
    mpp : float
        um per pixel.

    Returns
    -------
    dict of str to ndarray of shape (count,), dtype float32
        Columns of `ihcscore.table.schema`.
    """
    length, area, hull = outlines.length, outlines.area, spans.hull_areas()
    major, minor = spans.axes()
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "Nucleus: Length µm": length * mpp,
            "Nucleus: Circularity": 4 * np.pi * area / length**2,
            "Nucleus: Solidity": area / hull,
            "Nucleus: Major axis µm": major * mpp,
            "Nucleus: Minor axis µm": minor * mpp,
        }
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}
