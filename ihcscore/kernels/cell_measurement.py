"""Reduce the pixels of cells to sums and quantiles of optical density."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.label_runs import Ints
from ihcscore.kernels.library import check_shapes, run

Values = NDArray[np.float64]
PARTS, CHANNELS, STAINS = 4, 3, 2


class DensityTables(NamedTuple):
    """How light becomes density.

    Parameters
    ----------
    channels : ndarray of shape (3, 256), dtype float32
        Optical density of each level of each channel.
    stains : ndarray of shape (2, 3, 256), dtype float32
        What each level of each channel adds to each stain.
    saturated_od : float
        Density from which a pixel counts as saturated.
    lowest_od, bin_od : float
        First edge and width of the histogram that quantiles come from.
    quantiles : ndarray of shape (q,), dtype float64
    """

    channels: NDArray[np.float32]
    stains: NDArray[np.float32]
    saturated_od: float
    lowest_od: float
    bin_od: float
    quantiles: Values


class CellSums(NamedTuple):
    """Reduced pixels of each of the four parts of n cells.

    Parameters
    ----------
    pixels, saturated : ndarray of shape (n, 4), dtype int64
    channels : ndarray of shape (n, 4, 3)
        Sums of optical density.
    spread : ndarray of shape (n, 4, 2, 4)
        Of each stain: sum, sum of squares, lowest, highest; the latter two NaN without pixels.
    quantiles : ndarray of shape (n, 4, 2, q)
    """

    pixels: Ints
    saturated: Ints
    channels: Values
    spread: Values
    quantiles: Values


def reduce_cells(
    runs: tuple[Ints, Ints, Ints, Ints], rgb: NDArray[np.uint8], part: NDArray[np.uint8], tables: DensityTables
) -> CellSums:
    """Reduce the pixels of cells, by part. Raises ValueError if shapes do not fit, or runs lie outside the image.

    Parameters
    ----------
    runs : tuple of ndarray
        Row, start, stop and number of the cells, as returned by `ihcscore.kernels.label_runs.find_runs`.
    rgb : ndarray of shape (M, N, 3), dtype uint8
    part : ndarray of shape (M, N), dtype uint8
        Compartment of each pixel.
    """
    row, start, stop, number = runs
    rows, columns = part.shape
    check_shapes(rgb=(rgb.shape, (rows, columns, 3)), channels=(tables.channels.shape, (CHANNELS, 256)))
    check_shapes(stains=(tables.stains.shape, (STAINS, CHANNELS, 256)), row=(row.shape, (int(number.sum()),)))
    ends = row.max(initial=0), stop.max(initial=0), -row.min(initial=0), -start.min(initial=0)
    if ends[0] >= max(rows, 1) or ends[1] > columns or max(ends[2:]) > 0:
        raise ValueError(f"cells reach beyond the image of {rows} x {columns} pixels")
    count = len(number)
    size, dark = np.empty((2, count, PARTS), np.int64)
    channels, spread = np.empty((count, PARTS, CHANNELS)), np.empty((count, PARTS, STAINS, 4))
    quantiles = np.empty((count, PARTS, STAINS, len(tables.quantiles)))
    run(
        "measure_cells",
        *(count, number, row, start, stop, columns, np.ascontiguousarray(rgb), part),
        *(np.ascontiguousarray(tables.channels), tables.stains, *tables[2:]),
        *(size, dark, channels, spread, quantiles),
    )
    return CellSums(size, dark, channels, spread, quantiles)
