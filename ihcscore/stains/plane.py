"""The plane in which the optical densities of a slide's two stains lie: what lies beside it is another color."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.stains.estimate import stained_densities
from ihcscore.stains.vectors import RUIFROK_DAB, RUIFROK_HEMATOXYLIN, unit

Plane = tuple[float, float, float, float]
"""Normal, of length 1, and distance from the origin, which is not 0 where the background is not the slide's own."""

DENSE_OD, LEAST_PIXELS = 0.4, 100
"""So many pixels of DAB have to be as dense as this, and so many be hematoxylin: without one of them nothing says where
it lies."""
MOST_PIXELS, ROUNDS = 25_000, 10
NOISE_OD = 0.01
"""Pixels nearer to the plane than this count alike."""


def find_plane(rgb: NDArray[np.uint8], background: ArrayLike) -> Plane | None:
    """Find the plane of the stains of a slide.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Pixels of its tissue, which looks like H-DAB. Not modified.
    background : array_like of 3 float
        Light without tissue, I0.

    Returns
    -------
    Plane or None
        None where hardly anything is dense DAB, or hematoxylin.

    Notes
    -----
    The plane from which the stained pixels' optical densities lie off least, in sum of distances and not of squares, so
    that what is of another color hardly moves it: least squares, reweighted by the distances found [1]_. It need
    not go through the origin: another light than the slide's own adds the same to every pixel.

    References
    ----------
    .. [1] Schlossmacher, J. Am. Stat. Assoc. 68, 857-859, 1973.
    """
    od = stained_densities(rgb, background).astype(np.float64)
    brown = od @ unit(RUIFROK_DAB) > od @ unit(RUIFROK_HEMATOXYLIN)
    dense = np.linalg.norm(od[brown], axis=1) >= DENSE_OD
    if min(dense.sum(), (~brown).sum()) < LEAST_PIXELS:
        return None
    normal = _least_deviations(od[:: max(1, len(od) // MOST_PIXELS)])
    normal *= np.sign(normal @ np.cross(RUIFROK_HEMATOXYLIN, RUIFROK_DAB)) or 1
    x, y, z = (round(float(v), 4) for v in normal)
    return x, y, z, round(float(np.median(od @ (x, y, z))), 4)


def _least_deviations(od: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = np.ones(len(od))
    for _ in range(ROUNDS):
        away = od - weight @ od / weight.sum()
        normal = np.linalg.eigh((away * weight[:, None]).T @ away)[1][:, 0]
        weight = 1 / np.maximum(np.abs(away @ normal), NOISE_OD)
    return np.asarray(normal)
