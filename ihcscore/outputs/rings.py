"""Coordinates to GeoJSON text, many at once."""

import numpy as np
from numpy.typing import NDArray

DECIMALS_PX = 2


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
    >>> ring_texts(np.array([[0, 1.5], [2, 0.123], [7, 8]]), np.array([2, 1]))
    ['[[0.0,1.5],[2.0,0.12]]', '[[7.0,8.0]]']
    """
    if not len(sizes):
        return []
    words = np.column_stack([_words(xy[:, 0], "[", ","), _words(xy[:, 1], "", "],")])
    letters = words.view(np.uint8).ravel()
    text = letters[letters != 0].tobytes().decode()  # words end in zeros
    stop = np.cumsum(np.strings.str_len(words).sum(axis=1))[np.cumsum(sizes) - 1]
    start = np.append(0, stop[:-1])
    return [f"[{text[a : b - 1]}]" for a, b in zip(start.tolist(), stop.tolist(), strict=True)]


def _words(values: NDArray[np.float64], before: str, after: str) -> NDArray[np.bytes_]:
    """Write each value as text; equal ones, of which there are many, once."""
    scale = 10**DECIMALS_PX
    whole = np.rint(values * scale).astype(np.int64)
    whole -= (lowest := int(whole.min()))
    used = np.bincount(whole) > 0
    texts = [f"{before}{(k + lowest) / scale!r}{after}" for k in np.flatnonzero(used).tolist()]
    return np.asarray(np.array(texts, np.bytes_).take((np.cumsum(used) - 1).take(whole)))
