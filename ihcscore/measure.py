"""Cells and pixels to measurements."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import cv2
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
    measured_column,
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
    part : ndarray of shape (n,), dtype uint8
        Part of the cell, as `ihcscore.compartments.partition` gives them.
    sizes : ndarray of shape (4 * count,), int
        Number of pixels of each cell's nucleus, cytoplasm, membrane and nucleus edge.
    """

    at: NDArray[np.intp]
    part: NDArray[np.uint8]
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
        at = at[order]
        return cls(at, part.ravel()[at], np.bincount(group, minlength=PARTS * count))

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.sizes) // PARTS

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each part of each cell begins."""
        return np.asarray(np.cumsum(self.sizes) - self.sizes, np.intp)

    def take(self, image: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
        """Give the pixels of one channel of an image of shape (M, N, K); shape (n,)."""
        return np.asarray(cv2.extractChannel(image, channel).ravel().take(self.at), np.float32)

    def reduce(self, how: np.ufunc, values: NDArray[Any]) -> NDArray[np.float64]:
        """Reduce pixel values over each part of each cell; NaN where it has no pixel."""
        out = np.full(len(self.sizes), np.nan)
        filled = self.sizes > 0
        if filled.any():
            out[filled] = how.reduceat(values, self.starts[filled])
        return out

    def total(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Add pixel values up over each part of each cell, in float64; 0 where it has no pixel."""
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
    columns |= _by_compartment(measured_column, px2_to_um2(area, mpp), np.add)
    columns[area_column("Nucleus")] += px2_to_um2(area[EDGE::PARTS], mpp).astype(np.float32)
    channels = [pixels.take(od, channel) for channel in range(len(CHANNELS))]
    for name, values in zip(CHANNELS, channels, strict=True):
        columns |= _means(partial(channel_column, channel=name), pixels.total(values), area)
    dark = np.flatnonzero(np.maximum(np.maximum(channels[0], channels[1]), channels[2]) >= SATURATED_OD)
    saturated = np.bincount(np.searchsorted(np.cumsum(pixels.sizes), dark, side="right"), minlength=len(area))
    columns |= _means(saturated_column, saturated.astype(np.float64), area)
    for number, stain in enumerate(STAINS):
        columns |= _measure_stain(stain, pixels, pixels.take(stains, number), area)
    columns["Nucleus/Cell area ratio"] = columns[area_column("Nucleus")] / columns[area_column("Cell")]
    return columns


def _measure_stain(stain: str, pixels: CellPixels, values: NDArray[np.float32], area: NDArray[np.float64]) -> Columns:
    def named(statistic: str) -> Named:
        return partial(stain_column, stain=stain, statistic=statistic)

    exact = values.astype(np.float64)
    sums, squares = pixels.total(exact), pixels.total(exact * exact)
    centre = _means(named("std dev"), sums, area, np.float64)
    spread = {
        name: np.sqrt(np.maximum(square - centre[name] ** 2, 0)).astype(np.float32)
        for name, square in _means(named("std dev"), squares, area, np.float64).items()
    }
    lowest = _by_compartment(named("min"), pixels.reduce(np.minimum, values), np.fmin)
    highest = _by_compartment(named("max"), pixels.reduce(np.maximum, values), np.fmax)
    quantiles = _quantiles(stain, pixels, values, lowest, highest)
    return _means(named("mean"), sums, area) | spread | lowest | highest | quantiles


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
    steps = np.clip((values - np.float32(LOWEST_OD)) * np.float32(1 / BIN_OD), 0, BINS - 1)
    bins = np.repeat(np.arange(len(pixels.sizes)) * BINS, pixels.sizes)
    bins += steps.astype(np.uint8)
    table = np.bincount(bins, minlength=len(pixels.sizes) * BINS).reshape(-1, PARTS, BINS)
    by_part = _quantiles_of(table.reshape(-1, BINS)).reshape(-1, PARTS, len(QUANTILES))
    by_cell = _quantiles_of(table.sum(axis=1))
    columns: Columns = {}
    for number, where in enumerate(COMPARTMENTS):
        found = by_cell if where == "Cell" else by_part[:, number]
        low, high = lowest[stain_column(where, stain, "min")], highest[stain_column(where, stain, "max")]
        for nth, name in enumerate(QUANTILES):
            columns[stain_column(where, stain, name)] = np.clip(found[:, nth], low, high).astype(np.float32)
    return columns


def _quantiles_of(histograms: NDArray[np.intp]) -> NDArray[np.float64]:
    """Give the values below which the shares of `QUANTILES` of each row's counts lie; NaN for an empty row."""
    below = np.cumsum(histograms)  # over all rows: each row is a stretch of it
    first = np.arange(len(histograms)) * BINS
    ends = below[first + BINS - 1]
    before = np.concatenate([[0], ends[:-1]])
    found = np.full((len(histograms), len(QUANTILES)), np.nan)
    filled = ends > before
    for nth, share in enumerate(QUANTILES.values()):
        wanted = before + share * (ends - before)
        at = first.copy()
        for half in (BINS >> k for k in range(1, BINS.bit_length())):  # the first bin with `wanted` below its end
            at += half * (below[at + half - 1] < wanted)
        inside = histograms.ravel()[at]
        with np.errstate(invalid="ignore", divide="ignore"):
            value = LOWEST_OD + BIN_OD * (at - first + 1 - (below[at] - wanted) / inside)
        found[filled, nth] = value[filled]
    return found


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
    chosen = np.flatnonzero((pixels.part == NUCLEUS) | (pixels.part == EDGE))
    starts = np.minimum(np.cumsum(sizes) - sizes, max(0, len(chosen) - 1))
    row, col = np.divmod(pixels.at[chosen].astype(np.int32), np.int32(width))
    # Whole numbers from the nucleus' own first pixel: their sums are exact, wherever the block lies.
    x, y = (way - np.repeat(way[starts], sizes) for way in (col, row))

    def mean(values: NDArray[np.int32]) -> NDArray[np.float64]:
        if not len(values):
            return np.zeros(len(sizes))
        sums = np.where(sizes > 0, np.add.reduceat(values, starts, dtype=np.int64), 0)
        return np.asarray(sums / np.maximum(sizes, 1), np.float64)

    mean_x, mean_y = mean(x), mean(y)
    xx, yy = mean(x * x) - mean_x**2 + 1 / 12, mean(y * y) - mean_y**2 + 1 / 12
    xy = mean(x * y) - mean_x * mean_y
    half, root = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return 4 * np.sqrt(half + root), 4 * np.sqrt(np.maximum(half - root, 0))
