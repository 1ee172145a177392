"""Rings of coordinates as JSON text."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run


def write_rings(
    hundredths: NDArray[np.int64], sizes: NDArray[np.int64], longest_text: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write rings as JSON arrays of [x, y].

    Parameters
    ----------
    hundredths : ndarray of shape (n, 2), dtype int64
        Corners of all rings, one after the other, in hundredths.
    sizes : ndarray of shape (k,), dtype int64
        Corners of each ring.
    longest_text : int
        Characters that a corner takes at most.

    Returns
    -------
    text : ndarray of dtype uint8
        ASCII of all rings.
    stop : ndarray of shape (k,), dtype int64
        End of each ring's text.
    """
    check_shapes(hundredths=(hundredths.shape, (int(sizes.sum()), 2)))
    text = np.empty(longest_text * len(hundredths) + 2 * len(sizes), np.uint8)
    stop = np.empty(len(sizes), np.int64)
    run("ring_texts", len(sizes), sizes, hundredths, text, stop)
    return text[: stop[-1] if len(stop) else 0], stop
