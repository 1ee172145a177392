"""The unit traps: other packages put optical density on other scales."""

import numpy as np
import pytest
from skimage.color import rgb2hed, separate_stains

from ihcscore.stains.density import optical_density
from ihcscore.stains.unmix import unmix
from ihcscore.stains.vectors import StainMatrix

PIXEL = np.array([[[120, 80, 40]]], np.uint8)


def test_density_is_base_ten():
    assert optical_density(np.array([[[255, 26, 3]]], np.uint8), 260)[0, 0] == pytest.approx(
        [np.log10(260 / 255), 1.0, np.log10(260 / 3)]
    )


def test_scikit_image_gives_a_sixth():
    ours = unmix(optical_density(PIXEL))
    theirs = separate_stains(PIXEL, StainMatrix().inverse)
    np.testing.assert_allclose(6 * theirs, ours, rtol=1e-5, atol=1e-6)


def test_rgb2hed_units_call_far_fewer_pixels_positive(ihc):
    theirs = rgb2hed(ihc)[..., 2]
    assert (theirs >= 0.12).mean() == pytest.approx(0.11, abs=0.01)
    assert (6 * theirs >= 0.12).mean() > 0.5


def test_natural_logarithms_are_larger_by_a_known_factor():
    natural = -np.log(PIXEL / 255)  # tiatoolbox
    np.testing.assert_allclose(optical_density(PIXEL), natural / np.log(10), rtol=1e-6)


def test_histomicstk_scale_is_larger_by_a_known_factor():
    theirs = -np.log(PIXEL / 255) * 255 / np.log(255)  # rgb_to_sda with I_0 = 255
    np.testing.assert_allclose(optical_density(PIXEL), theirs * np.log10(255) / 255, rtol=1e-6)
