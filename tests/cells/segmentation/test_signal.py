"""The integer planes in which nuclei are looked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ihcscore.cells.segmentation.signal import WIDEST_MEAN, local_mean

PLANES = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: hnp.arrays(np.uint8, (2, *shape)))


@settings(max_examples=80, deadline=None)
@given(PLANES, st.integers(0, 12), st.booleans())
def test_a_mean_is_that_of_a_mirrored_square(planes, radius, both):
    """Against summing up each square of the padded image."""
    plane, other = planes
    side = 2 * radius + 1
    total = np.pad((plane.astype(int) + (other if both else 0)), radius, "reflect")
    sums = np.lib.stride_tricks.sliding_window_view(total, (side, side)).sum(axis=(2, 3))
    expected = sums * ((1 << 22) // (side * side * (1 + both))) >> 22
    np.testing.assert_array_equal(local_mean(plane, radius, other if both else None), expected)


def test_the_widest_mean_does_not_overflow():
    white = np.full((150, 140), 255, np.uint8)
    assert set(np.unique(local_mean(white, WIDEST_MEAN, white))) <= {254, 255}
    with pytest.raises(ValueError, match="at most 127 pixels, found 129"):
        local_mean(white, WIDEST_MEAN + 1)


def test_planes_of_other_shapes_are_refused_and_empty_ones_stay_empty():
    white = np.full((5, 4), 255, np.uint8)
    with pytest.raises(ValueError, match=r"one shape, found \(5, 4\) and \(4, 5\)"):
        local_mean(white, 1, white.T)
    assert local_mean(white[:0], 2).shape == (0, 4)
