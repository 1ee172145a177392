"""Cells and pixels to measurements."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ihcscore.compartments import EDGE, NUCLEUS, PARTS
from ihcscore.geometry import px2_to_um2
from ihcscore.schema import (
    CHANNELS,
    COMPARTMENTS,
    QUANTILES,
    STAINS,
    area_column,
    channel_column,
    saturated_column,
    stain_column,
)
from ihcscore.stains.density import SATURATED_OD

BINS = 256
BIN_OD = 0.01
LOWEST_OD = -0.3

Named = Callable[[str], str]
Columns = dict[str, NDArray[np.float32]]
"""Measured columns by name, one value for each cell."""


@dataclass(frozen=True)
class CellPixels:
    """The pixels of the cells of a block, sorted by cell and within it by part.

    Parameters
    ----------
    at : ndarray of shape (n,), int
        Where they are in the flattened block.
    sizes : ndarray of shape (4 * count,), int
        Number of pixels of each cell's nucleus, cytoplasm, membrane and nucleus edge.
    """

    at: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, cells: NDArray[np.int32], part: NDArray[np.uint8], count: int) -> "CellPixels":
        """Collect the pixels of a label image.

        Parameters
        ----------
        cells : ndarray of shape (M, N), dtype int32
            Cell labels up to `count`; 0 is left out.
        part : ndarray of shape (M, N), dtype uint8
            As `ihcscore.compartments.partition` gives them.
        count : int
            Highest label.
        """
        at = np.flatnonzero(cells)
        group = (cells.ravel()[at] - 1) * PARTS + part.ravel()[at]
        # A stable sort of 16-bit numbers is a radix sort.
        order = np.argsort(group.astype(np.uint16) if PARTS * count < 2**16 else group, kind="stable")
        return cls(at[order], np.bincount(group, minlength=PARTS * count))

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.sizes) // PARTS

    @cached_property
    def group(self) -> NDArray[np.intp]:
        """Part of a cell that each pixel belongs to: ``4 * cell + part``."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def take(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Give the values of the pixels from an image of shape (M, N)."""
        return plane.ravel()[self.at]

    def reduce(self, how: np.ufunc, values: NDArray[Any]) -> NDArray[np.float64]:
        """Reduce pixel values over each part of each cell; NaN where it has no pixel."""
        out = np.full(len(self.sizes), np.nan)
        filled = self.sizes > 0
        if filled.any():
            out[filled] = how.reduceat(values, (np.cumsum(self.sizes) - self.sizes)[filled])
        return out

    def total(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Add pixel values up over each part of each cell; 0 where it has no pixel."""
        return np.nan_to_num(self.reduce(np.add, values.astype(np.float64)))


def measure_stains(pixels: CellPixels, od: NDArray[np.float32], stains: NDArray[np.float32], mpp: float) -> Columns:
    """Measure hematoxylin and DAB in nucleus, cytoplasm, membrane and cell.

    Parameters
    ----------
    pixels : CellPixels
        Which pixels are whose.
    od : ndarray of shape (M, N, 3), dtype float32
        Optical density of red, green and blue, not clipped. Not modified.
    stains : ndarray of shape (M, N, 3), dtype float32
        Optical density of hematoxylin, DAB and residual, not clipped. Not modified.
    mpp : float
        um per pixel.

    Returns
    -------
    dict of str to ndarray of shape (count,), dtype float32
        Columns of `ihcscore.schema`. A compartment without pixels has area 0 and NaN everywhere else. The edge of the
        nucleus counts for the area of the nucleus and for the cell.

    Notes
    -----
    Means, standard deviations, minima and maxima are exact to float64 before they are stored. Quantiles come from a
    histogram of 0.01 OD from -0.3 to 2.26, linear within a bin.
    """
    area = pixels.sizes.astype(np.float64)
    columns = _by_compartment(area_column, px2_to_um2(area, mpp), np.add)
    columns[area_column("Nucleus")] += px2_to_um2(area[EDGE::PARTS], mpp).astype(np.float32)
    channels = [pixels.take(od[..., channel]) for channel in range(len(CHANNELS))]
    for name, values in zip(CHANNELS, channels, strict=True):
        columns |= _means(partial(channel_column, channel=name), pixels.total(values), area)
    dark = np.maximum(np.maximum(channels[0], channels[1]), channels[2]) >= SATURATED_OD
    columns |= _means(saturated_column, pixels.total(dark), area)
    for number, stain in enumerate(STAINS):
        columns |= _measure_stain(stain, pixels, pixels.take(stains[..., number]), area)
    columns["Nucleus/Cell area ratio"] = columns[area_column("Nucleus")] / columns[area_column("Cell")]
    return columns


def _measure_stain(stain: str, pixels: CellPixels, values: NDArray[np.float32], area: NDArray[np.float64]) -> Columns:
    def named(statistic: str) -> Named:
        return partial(stain_column, stain=stain, statistic=statistic)

    exact = values.astype(np.float64)
    means = _means(named("mean"), pixels.total(exact), area)
    squares = _means(named("std dev"), pixels.total(exact**2), area, np.float64)
    mean_of = _means(named("std dev"), pixels.total(exact), area, np.float64)
    spread = {
        name: np.sqrt(np.maximum(value - mean_of[name] ** 2, 0)).astype(np.float32) for name, value in squares.items()
    }
    lowest = _by_compartment(named("min"), pixels.reduce(np.minimum, values), np.fmin)
    highest = _by_compartment(named("max"), pixels.reduce(np.maximum, values), np.fmax)
    return means | spread | lowest | highest | _quantiles(stain, pixels, values, lowest, highest)


def _by_compartment(named: Named, by_group: NDArray[np.float64], join: np.ufunc, dtype: Any = np.float32) -> Columns:
    """Name a value for each part of a cell, and for the cell what `join` makes of its parts."""
    table = by_group.reshape(-1, PARTS)
    columns = {named(name): table[:, part].astype(dtype) for part, name in enumerate(COMPARTMENTS[:-1])}
    return columns | {named(COMPARTMENTS[-1]): join.reduce(table, axis=1).astype(dtype)}


def _means(named: Named, sums: NDArray[np.float64], area: NDArray[np.float64], dtype: Any = np.float32) -> Columns:
    sums_by, area_by = (_by_compartment(named, values, np.add, np.float64) for values in (sums, area))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: (sums_by[name] / area_by[name]).astype(dtype) for name in sums_by}


def _quantiles(
    stain: str, pixels: CellPixels, values: NDArray[np.float32], lowest: Columns, highest: Columns
) -> Columns:
    bins = ((values - np.float32(LOWEST_OD)) / np.float32(BIN_OD)).clip(0, BINS - 1).astype(np.intp)
    counts = np.bincount(pixels.group * BINS + bins, minlength=len(pixels.sizes) * BINS)
    table = counts.reshape(-1, PARTS, BINS)
    columns: Columns = {}
    for number, where in enumerate(COMPARTMENTS):
        histogram = table.sum(axis=1) if where == "Cell" else table[:, number]
        low, high = lowest[stain_column(where, stain, "min")], highest[stain_column(where, stain, "max")]
        for name, share in QUANTILES.items():
            found = np.clip(_quantile(histogram, share), low, high)
            columns[stain_column(where, stain, name)] = found.astype(np.float32)
    return columns


def _quantile(histogram: NDArray[np.intp], share: float) -> NDArray[np.float64]:
    """Give the value below which `share` of each row's counts lie; NaN for an empty row."""
    below = np.cumsum(histogram, axis=1)
    wanted = share * below[:, -1]
    bin_ = np.minimum((below < wanted[:, None]).sum(axis=1), BINS - 1)
    rows = np.arange(len(histogram))
    inside = histogram[rows, bin_]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = (wanted - (below[rows, bin_] - inside)) / inside
    return np.asarray(LOWEST_OD + BIN_OD * (bin_ + part), np.float64)


def measure_shapes(pixels: CellPixels, width: int, nuclei: NDArray[np.object_], mpp: float) -> Columns:
    """Measure the shape of the nuclei.

    Parameters
    ----------
    pixels : CellPixels
        Which pixels are whose.
    width : int
        Columns of the block.
    nuclei : ndarray of shape (count,), dtype object
        Outlines of the nuclei, shapely polygons in px of `mpp` um.
    mpp : float
        um per pixel.

    Returns
    -------
    dict of str to ndarray of shape (count,), dtype float32
        Columns of `ihcscore.schema`.
    """
    length, area = shapely.length(nuclei), shapely.area(nuclei)
    hull = shapely.area(shapely.convex_hull(nuclei))
    major, minor = _axes(pixels, width)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "Nucleus: Length µm": length * mpp,
            "Nucleus: Circularity": 4 * np.pi * area / length**2,
            "Nucleus: Solidity": area / hull,
            "Nucleus: Major axis µm": major * mpp,
            "Nucleus: Minor axis µm": minor * mpp,
        }
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}


def _axes(pixels: CellPixels, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes of the ellipse with the same second moments (a pixel is a square: 1/12 along each axis)."""
    parts = pixels.sizes.reshape(-1, PARTS)
    sizes = parts[:, NUCLEUS] + parts[:, EDGE]
    at = pixels.at[np.isin(pixels.group % PARTS, (NUCLEUS, EDGE))]
    inside = CellPixels(at, sizes)
    first = np.repeat(at[np.minimum(np.cumsum(sizes) - sizes, max(0, len(at) - 1))], sizes)
    # Whole numbers from the nucleus' own first pixel: their sums are exact, wherever the block lies.
    x, y = at % width - first % width, at // width - first // width

    def mean(values: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(inside.total(values) / np.maximum(sizes, 1), np.float64)

    mean_x, mean_y = mean(x), mean(y)
    xx, yy = mean(x * x) - mean_x**2 + 1 / 12, mean(y * y) - mean_y**2 + 1 / 12
    xy = mean(x * y) - mean_x * mean_y
    half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return 4 * np.sqrt(half + root), 4 * np.sqrt(np.maximum(half - root, 0))
