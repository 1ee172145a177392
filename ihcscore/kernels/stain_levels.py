"""Pixels to stains: a matrix product per pixel, and transmitted light to stains in 8-bit levels."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run

Plane = NDArray[np.uint8]
Values = NDArray[np.float32]


def transform_channels(values: Values, matrix: Values) -> Values:
    """Multiply each pixel's three channels by a matrix, without fused multiply-add.

    Parameters
    ----------
    values : ndarray of shape (..., 3), dtype float32
    matrix : ndarray of shape (3, 3), dtype float32
    """
    check_shapes(matrix=(matrix.shape, (3, 3)))
    out = np.empty(values.shape, np.float32)
    run("transform", values.size // 3, np.ascontiguousarray(values), matrix, out)
    return out


def light_levels(rgb: Plane, shares: Values, lowest_od: float, steps_per_od: float) -> Plane:
    """Convert light to one stain in levels, by a table of each grey level's share per channel.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
    shares : ndarray of shape (3, 256), dtype float32
        What each level of each channel adds to the stain's density.
    lowest_od, steps_per_od : float
        Density of level 0, and levels per OD.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
    """
    check_shapes(shares=(shares.shape, (3, 256)))
    out = np.empty(rgb.shape[:2], np.uint8)
    run("levels_of_light", out.size, np.ascontiguousarray(rgb), shares, lowest_od, steps_per_od, out)
    return out


def two_stain_levels(rgb: Plane, shares: Values, steps_per_od: float, caps: NDArray[np.int32]) -> tuple[Plane, Plane]:
    """Convert light to two stains in levels from 0, each capped.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
    shares : ndarray of shape (2, 3, 256), dtype float32
    caps : ndarray of shape (2,), dtype int32
        Highest level of each.

    Returns
    -------
    tuple of 2 ndarray of shape (M, N), dtype uint8
    """
    check_shapes(shares=(shares.shape, (2, 3, 256)), caps=(caps.shape, (2,)))
    planes = np.empty(rgb.shape[:2], np.uint8), np.empty(rgb.shape[:2], np.uint8)
    run("quantised_stains", planes[0].size, np.ascontiguousarray(rgb), shares, steps_per_od, caps, *planes)
    return planes
