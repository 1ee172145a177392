"""Transmitted light to optical density."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Light = TypeVar("Light", np.uint8, np.float32)

BLACK_LIGHT = 8
"""Light up to which a pixel is black: scanners and programs write areas they left out as black or pure white."""
SATURATED_OD = 1.5
"""A pixel with a channel at or above this optical density is counted as saturated: under a white of 255 it has 8 or
fewer of 255 gray levels left, so that one gray level is worth 0.05 OD or more."""


def as_background(background: ArrayLike) -> NDArray[np.float64]:
    """Validate a background and return it as three float64 values.

    Raises ValueError if it is not one or three positive finite numbers.

    Parameters
    ----------
    background : array_like of shape () or (3,)
        Light without tissue, I0, per channel; positive and finite.

    Returns
    -------
    ndarray of shape (3,), dtype float64

    Examples
    --------
    >>> as_background(255)
    array([255., 255., 255.])
    """
    values = np.asarray(background, dtype=np.float64)
    if values.shape not in ((), (3,)) or not np.all(np.isfinite(values)) or not np.all(values > 0):
        raise ValueError(f"background must be one or three positive numbers, found {background!r}")
    return np.array(np.broadcast_to(values, (3,)))


def optical_density(rgb: NDArray[np.uint8], background: ArrayLike = 255, *, clip: bool = True) -> NDArray[np.float32]:
    """Convert transmitted light to optical density, ``-log10(max(I, 1) / I0)``.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Brightfield image, channels last. Not modified.
    background : array_like of shape () or (3,), default 255
        Light without tissue, I0, in the units of `rgb`; positive.
    clip : bool, default True
        Set what is brighter than `background` to 0. Measurements keep the negative values, so that a mean can be moved
        to another background later (`clip=False`).

    Returns
    -------
    ndarray of shape (M, N, 3), dtype float32
        Optical density, base 10. An empty image gives an empty array.

    Raises
    ------
    TypeError
        If `rgb` is not uint8.
    ValueError
        If `rgb` does not end in 3 channels or `background` is not positive.

    References
    ----------
    .. [1] Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23(4), 291-299, 2001.

    Examples
    --------
    >>> optical_density(np.array([[[255, 25, 0]]], np.uint8)).round(3)
    array([[[0.   , 1.009, 2.407]]], dtype=float32)
    """
    check_light(rgb)
    if rgb.size == 0:
        return np.zeros(rgb.shape, np.float32)
    table = density_table(background)
    if clip:
        table = np.maximum(table, 0)
    return np.asarray(cv2.LUT(np.ascontiguousarray(rgb), table.reshape(1, 256, 3)), np.float32)


def check_light(rgb: NDArray[np.uint8]) -> None:
    """Refuse what is no 8-bit RGB image.

    Raises TypeError if `rgb` is not uint8; ValueError if it is not of shape (M, N, 3).
    """
    if rgb.dtype != np.uint8:
        raise TypeError(f"expected an 8-bit image (uint8), found {rgb.dtype}: rescale it to 0-255 first")
    if rgb.ndim != 3 or rgb.shape[-1] != 3:
        raise ValueError(f"expected an image of shape (M, N, 3), found {rgb.shape}")


def density_table(background: ArrayLike) -> NDArray[np.float32]:
    """Optical density of every 8-bit value, per channel, not clipped.

    Parameters
    ----------
    background : array_like of shape () or (3,)
        Light without tissue, I0; positive.

    Returns
    -------
    ndarray of shape (256, 3), dtype float32

    Examples
    --------
    >>> float(density_table(255)[255, 0])
    0.0
    """
    light = np.maximum(np.arange(256, dtype=np.float64), 1)[:, None]
    return (np.log10(as_background(background)) - np.log10(light)).astype(np.float32)


def ends(image: NDArray[Light]) -> tuple[NDArray[Light], NDArray[Light]]:
    """Return the lowest and highest of each pixel's three channels, as two planes.

    NumPy's own minimum takes ten times as long; and strided planes, an emulated processor with AVX2 compared wrongly.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), dtype uint8 or float32

    Returns
    -------
    lowest, highest : ndarray of shape (M, N)

    Examples
    --------
    >>> ends(np.array([[[3, 1, 2]]], np.uint8))
    (array([[1]], dtype=uint8), array([[3]], dtype=uint8))
    """
    first, second, third = (np.asarray(cv2.extractChannel(image, k), image.dtype) for k in range(3))
    return np.minimum(np.minimum(first, second), third), np.maximum(np.maximum(first, second), third)
