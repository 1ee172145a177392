"""Light in 256 levels: DAB, and all colors together."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.kernels.stain_levels import light_levels
from ihcscore.stains.density import as_background, check_light
from ihcscore.stains.unmix import DAB, shares_of_light
from ihcscore.stains.vectors import StainMatrix

LOWEST_OD, STEPS_PER_OD = -0.2, 100
"""Of DAB: the lowest of 256 levels, and how many there are for each OD; denser than 2.35 lets next to no light by."""
LOWEST_LUMA_OD, LUMA_STEPS_PER_OD = -0.05, 200
"""Of the luma, which is about half as dense."""
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue."""


def dab_levels(rgb: NDArray[np.uint8], background: ArrayLike, stains: StainMatrix) -> NDArray[np.uint8]:
    """Convert transmitted light to DAB in 8-bit levels.

    Raises TypeError, ValueError as `ihcscore.stains.optical_density`.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    background : array_like of shape () or (3,)
        Light without tissue; positive.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
        0 at -0.2 OD and less, 255 at 2.35 OD and more.

    Examples
    --------
    >>> dab_levels(np.full((1, 1, 3), 255, np.uint8), 255, StainMatrix())
    array([[20]], dtype=uint8)
    """
    check_light(rgb)
    return light_levels(rgb, shares_of_light(background, stains)[DAB], LOWEST_OD, STEPS_PER_OD)


def luma_levels(rgb: NDArray[np.uint8], background: ArrayLike) -> NDArray[np.uint8]:
    """Convert transmitted light to luma density in 8-bit levels.

    Raises TypeError, ValueError as `ihcscore.stains.optical_density`.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    background : array_like of shape () or (3,)
        Light without tissue; positive.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
        Optical density of the luma (ITU-R BT.601), 0 at -0.05 and less, 255 at 1.225 and more.

    Notes
    -----
    JPEG keeps the luma of every pixel, and in most files the color of every second one in each direction: what is seen
    in luma is as sharp as the lens, what is unmixed from colors is not.

    Examples
    --------
    >>> luma_levels(np.full((1, 1, 3), 255, np.uint8), 255)
    array([[10]], dtype=uint8)
    """
    check_light(rgb)
    white = float(np.dot(LUMA, as_background(background)))
    od = -np.log10((np.arange(256) + 1) / (white + 1))
    table = np.clip(np.rint((od - LOWEST_LUMA_OD) * LUMA_STEPS_PER_OD), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY), table), np.uint8)


def both_levels(rgb: NDArray[np.uint8], background: ArrayLike, stains: StainMatrix) -> NDArray[np.uint8]:
    """Return `dab_levels` and `luma_levels` stacked; shape (2, M, N)."""
    return np.stack([dab_levels(rgb, background, stains), luma_levels(rgb, background)])
