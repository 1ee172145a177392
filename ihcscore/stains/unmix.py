"""Optical density to stains and back."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.kernels.stain_levels import transform_channels
from ihcscore.stains.density import density_table, optical_density
from ihcscore.stains.vectors import StainMatrix

DAB = 1
"""Place of DAB among the stains."""


def unmix(od: NDArray[np.float32], stains: StainMatrix | None = None) -> NDArray[np.float32]:
    """Split optical density into hematoxylin, DAB and residual.

    Parameters
    ----------
    od : ndarray of shape (..., 3), dtype float32
        Optical density per color channel. Not modified.
    stains : StainMatrix, optional
        Stain vectors; those of Ruifrok and Johnston unless given.

    Returns
    -------
    ndarray of shape (..., 3), dtype float32
        Optical density of hematoxylin, DAB and residual along their unit vectors, not clipped: what lies outside the
        cone of the two stains is negative.

    Raises
    ------
    ValueError
        If `od` does not end in 3 channels.

    Notes
    -----
    ``od = stains @ rows``, so ``stains = od @ inv(rows)``; linear, so the mean of the stains is the stains of the mean.

    References
    ----------
    .. [1] Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23(4), 291-299, 2001.

    Examples
    --------
    >>> od = mix(np.array([[[0.5, 0.25, 0.0]]], np.float32))
    >>> unmix(od)[..., :2].round(3)
    array([[[0.5 , 0.25]]], dtype=float32)
    """
    return _transform(od, (stains or StainMatrix()).inverse)


def unmix_light(rgb: NDArray[np.uint8], background: ArrayLike, stains: StainMatrix) -> NDArray[np.float32]:
    """Split light into hematoxylin, DAB and residual; not clipped.

    Raises TypeError, ValueError as `optical_density`.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    background : array_like of shape () or (3,)
        Light without tissue; positive.

    Returns
    -------
    ndarray of shape (M, N, 3), dtype float32
        `unmix` of the `optical_density`.

    Examples
    --------
    >>> unmix_light(np.array([[[255, 180, 100]]], np.uint8), 255, StainMatrix()).shape
    (1, 1, 3)
    """
    return unmix(optical_density(rgb, background, clip=False), stains)


def shares_of_light(background: ArrayLike, stains: StainMatrix) -> NDArray[np.float32]:
    """What each 8-bit value of each channel adds to each stain; the sum over channels is what `unmix_light` gives.

    Parameters
    ----------
    background : array_like of shape () or (3,)
        Light without tissue; positive.

    Returns
    -------
    ndarray of shape (3, 3, 256), dtype float32
        By stain, channel, value.
    """
    inverse = stains.inverse.astype(np.float32)
    return np.ascontiguousarray(inverse.T[:, :, None] * density_table(background).T)


def mix(concentrations: NDArray[np.float32], stains: StainMatrix | None = None) -> NDArray[np.float32]:
    """Compute the optical density of superimposed stains (Beer-Lambert); the inverse of `unmix`.

    Parameters
    ----------
    concentrations : ndarray of shape (..., 3), dtype float32
        Optical density of hematoxylin, DAB and residual.
    stains : StainMatrix, optional
        Stain vectors; those of Ruifrok and Johnston unless given.

    Returns
    -------
    ndarray of shape (..., 3), dtype float32

    Raises
    ------
    ValueError
        If `concentrations` does not end in 3 channels.

    Examples
    --------
    >>> mix(np.array([[[0, 1, 0]]], np.float32)).round(3)
    array([[[0.269, 0.568, 0.778]]], dtype=float32)
    """
    return _transform(concentrations, (stains or StainMatrix()).rows)


def _transform(values: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply the last axis by `matrix` from the right, in one pass over the pixels."""
    values = np.asarray(values, dtype=np.float32)
    if values.ndim == 0 or values.shape[-1] != 3:
        raise ValueError(f"expected an array that ends in 3 channels, found shape {values.shape}")
    return transform_channels(values, matrix.astype(np.float32))
