"""Texts and bytes in one buffer come out as they went in."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.table.arrow_columns import BYTES, bytes_and_lengths, bytes_column, filter_bytes

VALUES = st.lists(st.binary(max_size=5), max_size=6)


def column(values):
    return bytes_column(np.frombuffer(b"".join(values), np.uint8), np.cumsum([*map(len, values)], dtype=np.int64))


@given(VALUES, st.data())
def test_bytes_are_those_that_were_put_in(values, data):
    made = column(values)
    assert made.dtype == BYTES
    assert list(made) == values
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), bool)
    some = filter_bytes(made, keep)
    assert list(some) == [value for value, wanted in zip(values, keep, strict=True) if wanted]
    letters, length = bytes_and_lengths(pd.Series(some))
    assert letters.tobytes() == b"".join(some)
    assert length.tolist() == [*map(len, some)]


def test_pieces_and_parts_of_columns_are_read_alike():
    pieces = pa.chunked_array([pa.array([b"ab", b""], pa.large_binary()), pa.array([b"cde"], pa.large_binary())])
    series = pd.Series(pd.arrays.ArrowExtensionArray(pieces))
    for given_, wanted in ((series, [b"ab", b"", b"cde"]), (series.iloc[1:], [b"", b"cde"])):
        letters, length = bytes_and_lengths(given_)
        assert (letters.tobytes(), length.tolist()) == (b"".join(wanted), [*map(len, wanted)])
    texts = bytes_and_lengths(pd.Series(["µm", "x"], dtype="str"))
    assert (texts[0].tobytes(), texts[1].tolist()) == ("µmx".encode(), [3, 1])


def test_what_is_missing_is_said():
    made = bytes_column(np.frombuffer(b"ab", np.uint8), np.array([1, 1, 2]), np.array([False, True, False]))
    assert made.isna().tolist() == [False, True, False]
    with pytest.raises(ValueError, match="1 values are missing"):
        bytes_and_lengths(made)
