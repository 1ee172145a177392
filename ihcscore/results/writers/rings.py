"""Coordinates to GeoJSON text, many at once."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.ring_texts import write_rings

DECIMALS_PX = 2
LONGEST_TEXT = 56
"""Letters of two numbers of 64 bits with the signs around them."""


def ring_texts(xy: NDArray[np.float64], sizes: NDArray[np.integer]) -> list[str]:
    """Write rings as GeoJSON coordinates, rounded to 0.01.

    Parameters
    ----------
    xy : ndarray of shape (n, 2), dtype float64
        Vertices of one ring after the other.
    sizes : ndarray of shape (r,), int
        Vertices of each ring, at least one; they add up to n.

    Returns
    -------
    list of str
        A text for each ring.

    Examples
    --------
    >>> ring_texts(np.array([[0, 1.5], [2, 0.123], [7, -8]]), np.array([2, 1]))
    ['[[0.0,1.5],[2.0,0.12]]', '[[7.0,-8.0]]']
    """
    hundredths = np.rint(xy * 10**DECIMALS_PX).astype(np.int64)
    letters, stop = write_rings(hundredths, sizes.astype(np.int64), LONGEST_TEXT)
    text = letters.tobytes().decode()
    return [text[a:b] for a, b in zip([0, *stop[:-1].tolist()], stop.tolist(), strict=False)]
