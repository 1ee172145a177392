import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.geometry import frame_for, px2_to_um2, um_to_px


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.05, 1.0))
def test_working_pixels_fit_the_image(width, height, mpp):
    frame = frame_for(width, height, mpp=mpp)
    rows, cols = frame.shape
    assert rows * frame.scale <= max(height, frame.scale) + 1e-3
    assert cols * frame.scale <= max(width, frame.scale) + 1e-3
    assert frame.working_mpp == pytest.approx(0.5, rel=0.021)


@pytest.mark.parametrize(("mpp", "scale"), [(0.5, 1), (0.499, 1), (0.2525, 2), (0.25, 2), (0.2, 2.5), (1.0, 0.5)])
def test_scales_near_whole_numbers_are_whole(mpp, scale):
    assert frame_for(100, 100, mpp=mpp).scale == pytest.approx(scale)


@pytest.mark.parametrize(
    ("mpp", "message"), [(0, "positive"), (-1, "positive"), (np.nan, "positive"), (1.01, "coarse")]
)
def test_impossible_pixel_sizes_are_refused(mpp, message):
    with pytest.raises(ValueError, match=message):
        frame_for(10, 10, mpp=mpp)


def test_units():
    frame = frame_for(100, 100, mpp=0.25)
    np.testing.assert_allclose(frame.to_level0(np.array([[1.0, 2.5]])), [[2, 5]])
    np.testing.assert_allclose(frame.to_um(np.array([[2.0, 5.0]])), [[0.5, 1.25]])
    assert um_to_px(5, 0.25) == 20
    assert px2_to_um2(np.array([4.0]), 0.5) == [1.0]
