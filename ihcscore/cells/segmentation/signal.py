"""Combine stains to an integer plane in which nuclei are bright: hematoxylin plus DAB in blobs.

Everything after `quantise` is integer arithmetic without running float sums, so that a pixel's value depends on the
pixels within reach alone and is bit for bit the same in every window that holds them.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.kernels.stain_levels import two_stain_levels
from ihcscore.stains.density import check_light
from ihcscore.stains.unmix import shares_of_light
from ihcscore.stains.vectors import StainMatrix

STEP_OD = 0.005
"""Optical density of one gray level of a quantised plane."""
WIDEST_MEAN = 63
"""Half side in pixels: a column of twice 255 still fits in 16 bits."""


Plane = NDArray[np.uint8]


def quantise(
    rgb: NDArray[np.uint8], background: ArrayLike, stains: StainMatrix, caps_od: tuple[float, float]
) -> tuple[Plane, Plane]:
    """Round the optical densities of hematoxylin and DAB to steps of `STEP_OD` between 0 and a cap.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Light. Not modified.
    background : array_like of shape () or (3,)
        Light without tissue.
    caps_od : tuple of 2 float
        What is denser counts as this; 0 to 1.275.

    Returns
    -------
    hematoxylin, dab : ndarray of shape (M, N), dtype uint8

    Examples
    --------
    >>> black, white = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)
    >>> quantise(np.hstack([black, white]), 255, StainMatrix(), (1.0, 0.5))
    (array([[200,   0]], dtype=uint8), array([[100,   0]], dtype=uint8))
    """
    check_light(rgb)
    shares, caps = shares_of_light(background, stains)[:2], np.array([*map(levels_of, caps_od)], np.int32)
    return two_stain_levels(rgb, shares, 1 / STEP_OD, caps)


def levels_of(od: float) -> int:
    """Convert optical density to a whole number of steps.

    Examples
    --------
    >>> levels_of(0.04)
    8
    """
    return round(od / STEP_OD)


def disc(radius: int) -> Plane:
    """Return a nearly round structuring element of ``2 * radius + 1`` pixels.

    Examples
    --------
    >>> disc(1)
    array([[0, 1, 0],
           [1, 1, 1],
           [0, 1, 0]], dtype=uint8)
    """
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def local_mean(plane: Plane, radius: int, other: Plane | None = None) -> Plane:
    """Compute the mean of squares of ``2 * radius + 1`` pixels, rounded down; mirrored at the border.

    Raises ValueError if the radius is larger, or the shapes differ.

    Parameters
    ----------
    plane : ndarray of shape (M, N), dtype uint8
        Not modified.
    radius : int
        In pixels; at most 63.
    other : ndarray of shape (M, N), dtype uint8, optional
        The mean is that of both planes. Not modified.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8

    Notes
    -----
    Sums are whole numbers and the division is a multiplication by ``floor(2 ** 22 / n)`` and a shift, so that a mean of
    a constant may come out one level low. OpenCV's own mean rounds differently in the last columns of a row.

    Examples
    --------
    >>> local_mean(np.array([[0, 0, 90, 0, 0]], np.uint8), 1)
    array([[ 0, 29, 29, 29,  0]], dtype=uint8)
    """
    if radius > WIDEST_MEAN:
        raise ValueError(f"means are of squares of at most {2 * WIDEST_MEAN + 1} pixels, found {2 * radius + 1}")
    if other is not None and other.shape != plane.shape:
        raise ValueError(f"expected planes of one shape, found {plane.shape} and {other.shape}")
    if not plane.size:
        return plane.copy()
    side = 2 * radius + 1
    total = _window_sums(plane, side) if other is None else _window_sums(plane, side) + _window_sums(other, side)
    total *= (1 << 22) // (side**2 * (1 if other is None else 2))
    return np.asarray(total >> 22, np.uint8)


def _window_sums(plane: Plane, side: int) -> NDArray[np.int32]:
    """Sum a plane over squares of `side` pixels; mirrored at the border, whose pixels are not repeated."""
    sums = cv2.boxFilter(plane, cv2.CV_32S, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(sums, np.int32)


def blobs(dab: Plane, width: int, window: int, share: float) -> Plane:
    """Keep the DAB that lies in blobs wider than a membrane and denser than around them.

    Parameters
    ----------
    dab : ndarray of shape (M, N), dtype uint8
        Quantised DAB. Not modified.
    width : int
        Radius in pixels of the disc that has to fit in: membranes are thinner and vanish.
    window : int
        Half side in pixels of the square whose mean is taken off.
    share : float
        How often that mean is taken off; 1 to 2. Stained cytoplasm is as dense as its surroundings and vanishes, a
        nucleus in unstained cytoplasm keeps most of its DAB.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8

    Examples
    --------
    >>> blobs(np.full((9, 9), 100, np.uint8), 2, 4, 1.25).max()
    np.uint8(0)
    """
    around = local_mean(dab, window)
    taken = np.minimum(np.arange(256) * share, 255).astype(np.uint8)
    wide = cv2.morphologyEx(dab, cv2.MORPH_OPEN, disc(width))
    return np.asarray(cv2.subtract(wide, cv2.LUT(around, taken)), np.uint8)


def contrast(plane: Plane, smooth_px: float, reach: int, window: int) -> Plane:
    """Compute the contrast of a plane to its surroundings, half way between their mean and their floor.

    Parameters
    ----------
    plane : ndarray of shape (M, N), dtype uint8
        Not modified.
    smooth_px : float
        Standard deviation in pixels of the Gaussian that takes off noise.
    reach : int
        Half side in pixels of the square in which the floor, the lowest value, is looked for.
    window : int
        Half side in pixels of the square over which floor and plane are averaged.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
        0 where the plane is no higher.

    Notes
    -----
    A threshold at the mean alone loses pale nuclei in crowds, where nuclei are most of the mean; at the floor alone it
    takes in cytoplasm.

    Examples
    --------
    >>> contrast(np.full((9, 9), 100, np.uint8), 1.0, 2, 4).max() <= 1
    np.True_
    """
    smooth = cv2.GaussianBlur(plane, (0, 0), smooth_px)
    side = 2 * reach + 1
    floor = cv2.erode(smooth, np.ones((side, side), np.uint8))
    return np.asarray(cv2.subtract(smooth, local_mean(plane, window, np.asarray(floor, np.uint8))), np.uint8)
