"""Columns of texts and bytes as Arrow holds them: their letters in one buffer, not an object for each."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pandas.arrays import ArrowExtensionArray

BYTES = pd.ArrowDtype(pa.large_binary())
"""Type of columns of bytes: offsets of 64 bits, as those of a slide can exceed 2 GB."""


def bytes_column(
    letters: NDArray[np.uint8], stop: NDArray[np.int64], missing: NDArray[np.bool_] | None = None
) -> ArrowExtensionArray:
    """Make a column of bytes of their letters.

    Parameters
    ----------
    letters : ndarray of shape (n,), dtype uint8
        Of one value after the other. Not copied.
    stop : ndarray of shape (count,), dtype int64
        Where those of each end.
    missing : ndarray of shape (count,), dtype bool, optional
        Which are missing.

    Examples
    --------
    >>> list(bytes_column(np.frombuffer(b"onetwo", np.uint8), np.array([3, 6])))
    [b'one', b'two']
    """
    offsets = np.concatenate([np.zeros(1, np.int64), stop])
    there = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    buffers = [there, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters))]
    return ArrowExtensionArray(pa.Array.from_buffers(pa.large_binary(), len(stop), buffers))


def filter_bytes(column: ArrowExtensionArray, keep: NDArray[np.bool_]) -> ArrowExtensionArray:
    """Filter a column of bytes; consecutive kept values are copied at once.

    Parameters
    ----------
    keep : ndarray of shape (n,), dtype bool

    Examples
    --------
    >>> column = bytes_column(np.frombuffer(b"abc", np.uint8), np.array([1, 2, 3]))
    >>> list(filter_bytes(column, np.array([True, False, True])))
    [b'a', b'c']
    """
    if keep.all():
        return column
    array = _whole(column)
    turns = np.flatnonzero(np.diff(keep, prepend=False, append=False)).reshape(-1, 2).tolist()
    return ArrowExtensionArray(pa.concat_arrays([array[:0], *(array[start:stop] for start, stop in turns)]))


def bytes_and_lengths(column: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the concatenated bytes of a column of text (UTF-8) or bytes, and the length of each value.

    Raises ValueError if one is missing.

    Parameters
    ----------
    column : Series, or array or sequence of str or bytes
        None of them missing.

    Returns
    -------
    letters : ndarray of shape (n,), dtype uint8
    length : ndarray of shape (count,), dtype int64

    Examples
    --------
    >>> bytes_and_lengths(["ab", "c"])
    (array([97, 98, 99], dtype=uint8), array([2, 1]))
    """
    array = _whole(column).cast(pa.large_binary())
    if array.null_count:
        raise ValueError(f"{array.null_count} values are missing")
    _, offsets, data = array.buffers()
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(0, np.int64)
    at = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    letters = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return letters[at[0] : at[-1]], np.diff(at)


def _whole(column: Any) -> pa.Array:
    array = pa.array(column)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
