import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.flat import ArraySlide

IMAGE = np.random.default_rng(0).integers(0, 256, (180, 160, 3), dtype=np.uint8)


@settings(max_examples=40)
@given(st.sampled_from([0.5, 0.25, 0.2, 0.23, 0.35, 0.8, 1.0]), st.data())
def test_a_pixel_does_not_depend_on_the_window(mpp, data):
    image = WorkingImage(ArraySlide(IMAGE, mpp), frame_for(160, 180, mpp=mpp))
    rows, cols = image.frame.shape
    y0, x0 = data.draw(st.integers(0, rows - 2)), data.draw(st.integers(0, cols - 2))
    y1, x1 = data.draw(st.integers(y0 + 1, rows)), data.draw(st.integers(x0 + 1, cols))
    whole = image.read((0, 0, rows, cols))
    assert whole.shape == (rows, cols, 3)
    np.testing.assert_array_equal(image.read((y0, x0, y1, x1)), whole[y0:y1, x0:x1])


@pytest.mark.parametrize("mpp", [0.25, 0.2, 0.35])
def test_reduction_is_the_mean_over_the_area(mpp):
    image = WorkingImage(ArraySlide(IMAGE, mpp), frame_for(160, 180, mpp=mpp))
    scale = image.frame.scale
    found = image.read((0, 0, *image.frame.shape)).astype(float)
    fine = np.repeat(np.repeat(IMAGE, 20, axis=0), 20, axis=1).astype(float)
    for row, col in ((0, 0), (3, 7), (20, 11)):
        part = fine[
            round(row * scale * 20) : round((row + 1) * scale * 20),
            round(col * scale * 20) : round((col + 1) * scale * 20),
        ]
        np.testing.assert_allclose(found[row, col], part.mean(axis=(0, 1)), atol=4)


def test_a_constant_stays_constant():
    for mpp in (0.2, 0.23, 0.8):
        flat = WorkingImage(ArraySlide(np.full((50, 40, 3), 173, np.uint8), mpp), frame_for(40, 50, mpp=mpp))
        assert (flat.read((0, 0, *flat.frame.shape)) == 173).all()
