"""Cells and pixels to measurements."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.compartments import CYTOPLASM, EDGE, NUCLEUS, PARTS
from ihcscore.geometry import px2_to_um2
from ihcscore.outlines import Outlines
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
from ihcscore.spans import Spans, ranges, stretches
from ihcscore.stains.density import SATURATED_OD, optical_density
from ihcscore.stains.unmix import unmix
from ihcscore.stains.vectors import StainMatrix

BINS = 256
BIN_OD = 0.01
LOWEST_OD = -0.3
BATCH_PIXELS = 1 << 17
"""Pixels measured at once, so that they stay in the processor's cache."""

Named = Callable[[str], str]
Columns = dict[str, NDArray[np.float32]]
"""Measured columns by name, one value for each cell."""
Table = NDArray[np.float64]
STATISTICS = ("sum", "squares", "min", "max", "quantiles")
"""What is kept of a stain: for each part of each cell; quantiles for each of its compartments."""


@dataclass(frozen=True)
class CellPixels:
    """The pixels of the cells of a block, sorted by cell and within it by part.

    Parameters
    ----------
    rgb : ndarray of shape (1, n, 3), dtype uint8
        Light of each pixel.
    sizes : ndarray of shape (4 * count,), int
        Number of pixels of each cell's nucleus, cytoplasm, membrane and nucleus edge.
    """

    rgb: NDArray[np.uint8]
    sizes: NDArray[np.int64]

    @classmethod
    def of(
        cls, rgb: NDArray[np.uint8], cells: NDArray[np.integer], part: NDArray[np.uint8], count: int
    ) -> "CellPixels":
        """Collect the pixels of a label image.

        Parameters
        ----------
        rgb : ndarray of shape (M, N, 3), dtype uint8
            Light. Not modified.
        cells : ndarray of shape (M, N), integer
            Cell labels; 0 and those above `count` are left out.
        part : ndarray of shape (M, N), dtype uint8
            As `ihcscore.compartments.partition` gives them.
        count : int
            Highest label.
        """
        group = np.multiply(cells, PARTS, dtype=np.int32)
        group += part
        group -= PARTS - 1  # 1..4 in the first cell, below outside of cells
        begin, length, number = stretches(group, PARTS * count)
        sizes = np.bincount(np.repeat(np.arange(PARTS * count), number), length, PARTS * count).astype(np.int64)
        if not len(begin):
            return cls(np.zeros((1, 0, 3), np.uint8), sizes)
        at = ranges(begin, length)
        packed = cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA).view(np.uint32).ravel()  # one number for each pixel
        rgba = packed.take(at).view(np.uint8).reshape(1, -1, 4)
        return cls(np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8), sizes)

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.sizes) // PARTS

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each cell."""
        return np.asarray(self.sizes.reshape(-1, PARTS).sum(axis=1))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each part of each cell begins."""
        return np.cumsum(self.sizes) - self.sizes

    @cached_property
    def first_bin(self) -> NDArray[np.int64]:
        """First bin of the histogram of the part of a cell that each pixel is of, counted over all cells."""
        return np.repeat(np.arange(len(self.sizes)) * BINS, self.sizes)

    def batches(self) -> Iterator["CellPixels"]:
        """Give some cells at a time, about `BATCH_PIXELS` of their pixels; at least one batch."""
        stop = np.cumsum(self.areas)
        wanted = np.arange(BATCH_PIXELS, self.rgb.shape[1], BATCH_PIXELS)
        ends = [*np.searchsorted(stop, wanted).tolist(), self.count]
        for first, end in pairwise([0, *ends]):
            low, high = (int(stop[k - 1]) if k else 0 for k in (first, end))
            yield CellPixels(self.rgb[:, low:high], self.sizes[first * PARTS : end * PARTS])

    def reduce(self, how: np.ufunc, values: NDArray[Any]) -> Table:
        """Reduce pixel values over each part of each cell; NaN where it has no pixel."""
        out = np.full(len(self.sizes), np.nan)
        filled = self.sizes > 0
        if filled.any():
            out[filled] = how.reduceat(values, self.starts[filled])
        return out

    def total(self, values: NDArray[Any]) -> Table:
        """Add pixel values up over each part of each cell, in float64; 0 where it has no pixel."""
        return np.nan_to_num(self.reduce(np.add, values.astype(np.float64)))


def measure_stains(
    pixels: CellPixels, nuclei: NDArray[np.integer], background: ArrayLike, stains: StainMatrix, mpp: float
) -> Columns:
    """Measure hematoxylin and DAB in nucleus, cytoplasm, membrane and cell.

    Parameters
    ----------
    pixels : CellPixels
        Which pixels are whose.
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
        Columns of `ihcscore.schema`. A compartment without pixels has area 0 and NaN everywhere else. The edge of the
        nucleus counts for the areas of nucleus and cytoplasm, and for the cell.

    Notes
    -----
    Means, standard deviations, minima and maxima are exact to float64 before they are stored. Quantiles come from a
    histogram of 0.01 OD from -0.3 to 2.26, linear within a bin.
    """
    parts = [_statistics(batch, background, stains) for batch in pixels.batches()]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    area = pixels.sizes.astype(np.float64)
    columns = _by_compartment(measured_column, px2_to_um2(area, mpp), np.add)
    whole = area.reshape(-1, PARTS).copy()
    whole[:, CYTOPLASM] += whole[:, NUCLEUS] + whole[:, EDGE] - nuclei
    whole[:, NUCLEUS], whole[:, EDGE] = nuclei, 0
    columns |= _by_compartment(area_column, px2_to_um2(whole.ravel(), mpp), np.add)
    for name in CHANNELS:
        columns |= _means(partial(channel_column, channel=name), found[name], area)
    columns |= _means(saturated_column, found["saturated"], area)
    for stain in STAINS:
        columns |= _stain_columns(stain, {key: found[f"{stain} {key}"] for key in STATISTICS}, area)
    columns["Nucleus/Cell area ratio"] = columns[area_column("Nucleus")] / columns[area_column("Cell")]
    return columns


def _statistics(pixels: CellPixels, background: ArrayLike, stains: StainMatrix) -> dict[str, Table]:
    """Reduce pixels to sums and the like for each part of each cell, and to quantiles."""
    od = optical_density(pixels.rgb, background, clip=False)
    channels = [od[0, :, k].copy() for k in range(len(CHANNELS))]
    found = {name: pixels.total(values) for name, values in zip(CHANNELS, channels, strict=True)}
    dark = np.flatnonzero(np.maximum(np.maximum(channels[0], channels[1]), channels[2]) >= SATURATED_OD)
    found["saturated"] = np.bincount(pixels.first_bin[dark] // BINS, minlength=len(pixels.sizes)).astype(np.float64)
    unmixed = unmix(od, stains)
    for k, stain in enumerate(STAINS):
        values = unmixed[0, :, k].copy()
        exact = values.astype(np.float64)
        statistics = (
            pixels.total(exact),
            pixels.total(exact * exact),
            pixels.reduce(np.minimum, values),
            pixels.reduce(np.maximum, values),
            _quantiles(pixels, values),
        )
        found |= {f"{stain} {name}": table for name, table in zip(STATISTICS, statistics, strict=True)}
    return found


def _stain_columns(stain: str, found: dict[str, Table], area: Table) -> Columns:
    def named(statistic: str) -> Named:
        return partial(stain_column, stain=stain, statistic=statistic)

    centre = _means(named("std dev"), found["sum"], area, np.float64)
    spread = {
        name: np.sqrt(np.maximum(square - centre[name] ** 2, 0)).astype(np.float32)
        for name, square in _means(named("std dev"), found["squares"], area, np.float64).items()
    }
    lowest = _by_compartment(named("min"), found["min"], np.fmin)
    highest = _by_compartment(named("max"), found["max"], np.fmax)
    columns = _means(named("mean"), found["sum"], area) | spread | lowest | highest
    for number, where in enumerate(COMPARTMENTS):
        values = found["quantiles"][:, number]
        low, high = lowest[stain_column(where, stain, "min")], highest[stain_column(where, stain, "max")]
        for nth, name in enumerate(QUANTILES):
            columns[stain_column(where, stain, name)] = np.clip(values[:, nth], low, high).astype(np.float32)
    return columns


def _by_compartment(named: Named, by_group: NDArray[np.float64], join: np.ufunc, dtype: Any = np.float32) -> Columns:
    """Name a value for each part of a cell, and for the cell what `join` makes of its parts."""
    table = by_group.reshape(-1, PARTS)
    columns = {named(name): table[:, part].astype(dtype) for part, name in enumerate(COMPARTMENTS[:-1])}
    return columns | {named(COMPARTMENTS[-1]): join.reduce(table, axis=1).astype(dtype)}


def _means(named: Named, sums: NDArray[np.float64], area: NDArray[np.float64], dtype: Any = np.float32) -> Columns:
    sums_by, area_by = (_by_compartment(named, values, np.add, np.float64) for values in (sums, area))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: (sums_by[name] / area_by[name]).astype(dtype) for name in sums_by}


def _quantiles(pixels: CellPixels, values: NDArray[np.float32]) -> Table:
    """Quantiles of each compartment of each cell; shape (count, 4, 3)."""
    steps = np.clip((values - np.float32(LOWEST_OD)) * np.float32(1 / BIN_OD), 0, BINS - 1)
    table = np.bincount(pixels.first_bin + steps.astype(np.uint8), minlength=len(pixels.sizes) * BINS)
    table = table.reshape(-1, PARTS, BINS)
    table[:, EDGE] = table.sum(axis=1)  # the edge is no compartment; the cell takes its place
    return _quantiles_of(table.reshape(-1, BINS)).reshape(-1, len(COMPARTMENTS), len(QUANTILES))


def _quantiles_of(histograms: NDArray[np.int64]) -> Table:
    """Give the values below which the shares of `QUANTILES` of each row's counts lie; NaN for an empty row."""
    below = np.cumsum(histograms)  # over all rows: each row is a stretch of it
    first = np.arange(len(histograms)) * BINS
    ends = below[BINS - 1 :: BINS]
    before = np.append(0, ends[:-1]) if len(ends) else ends
    filled = ends > before
    wanted = before + np.array([*QUANTILES.values()])[:, None] * (ends - before)
    at = np.tile(first, (len(QUANTILES), 1))
    for half in (BINS >> k for k in range(1, BINS.bit_length())):  # the first bin with `wanted` below its end
        at += half * (below.take(at + (half - 1)) < wanted)
    inside = histograms.ravel().take(at)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = LOWEST_OD + BIN_OD * (at - first + 1 - (below.take(at) - wanted) / inside)
    return np.where(filled, value, np.nan).T


def measure_shapes(spans: Spans, outlines: Outlines, mpp: float) -> Columns:
    """Measure the shape of the nuclei.

    Parameters
    ----------
    spans : Spans
        Of the nuclei.
    outlines : Outlines
        Of the nuclei, in px of `mpp` um.
    mpp : float
        um per pixel.

    Returns
    -------
    dict of str to ndarray of shape (count,), dtype float32
        Columns of `ihcscore.schema`.
    """
    length, area, hull = outlines.lengths(), outlines.areas(), spans.hull_areas()
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
