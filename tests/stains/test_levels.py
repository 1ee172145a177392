"""Light in levels: what is read along rays."""

import cv2
import numpy as np
import pytest

from ihcscore.stains.levels import both_levels, dab_levels, luma_levels
from ihcscore.stains.vectors import StainMatrix


def test_luma_is_the_density_of_grey_light():
    gray = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    od = -np.log10((np.arange(256) + 1) / 241)
    np.testing.assert_array_equal(luma_levels(gray, 240)[0], np.clip(np.rint((od + 0.05) * 200), 0, 255))


def test_luma_keeps_a_line_that_half_resolved_color_blurs():
    rgb = np.full((48, 48, 3), 240, np.uint8)
    rgb[:, 24] = (163, 90, 60)
    fine, coarse = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420)
    heights = []
    for sampling in (fine, coarse):
        options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        back = cv2.imdecode(cv2.imencode(".jpg", rgb[..., ::-1], options)[1], cv2.IMREAD_COLOR)[..., ::-1]
        levels = both_levels(np.ascontiguousarray(back), 240, StainMatrix()).astype(int)
        heights.append(levels[:, 24, 24] - levels[:, 24, 12])
    (dab, luma), (dab_of_half, luma_of_half) = heights
    assert luma_of_half > 0.9 * luma
    assert dab_of_half < 0.8 * dab


def test_both_levels_stand_one_after_the_other():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    both = both_levels(rgb, 240, StainMatrix())
    np.testing.assert_array_equal(both[0], dab_levels(rgb, 240, StainMatrix()))
    np.testing.assert_array_equal(both[1], luma_levels(rgb, 240))


def test_a_background_without_light_is_an_error():
    with pytest.raises(ValueError, match="positive"):
        luma_levels(np.zeros((1, 1, 3), np.uint8), 0)
