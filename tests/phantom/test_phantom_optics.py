"""Light, fields and cells of phantoms obey their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihcscore.phantom.cells import grow
from ihcscore.phantom.fields import Grid, smooth
from ihcscore.phantom.optics import absorb, blurred, compressed, shifted
from ihcscore.stains.vectors import RUIFROK_DAB, StainMatrix, angle_deg

amount = st.floats(0, 1.5, width=32)


def passing(hematoxylin: float, dab: float, deep: float = 0.0, blur: float = 0.0) -> NDArray[np.float32]:
    plane = np.ones((3, 4), np.float32)
    extra = np.zeros((3, 4, 3), np.float32)
    return absorb(plane * hematoxylin, plane * dab, plane * deep, extra, StainMatrix(), blur)


@given(amount, amount, amount, amount)
def test_stains_laid_over_each_other_multiply(h1: float, d1: float, h2: float, d2: float) -> None:
    product = passing(h1, d1) * passing(h2, d2)
    np.testing.assert_allclose(passing(h1 + h2, d1 + d2), product, rtol=1e-4)


@given(amount, amount)
def test_light_is_ten_to_the_minus_od(h: float, d: float) -> None:
    expected = 10.0 ** -(np.array([h, d, 0]) @ StainMatrix().rows)
    np.testing.assert_allclose(passing(h, d)[0, 0], expected, rtol=1e-5)


def test_focus_moves_stain_but_loses_none() -> None:
    even = passing(0.4, 0.3, deep=0.7, blur=1.0)
    np.testing.assert_allclose(even, passing(0.4, 0.3), rtol=1e-5)


@given(st.integers(0, 999), st.floats(0, 15))
def test_stain_vector_turns_by_the_angle(seed: int, degrees: float) -> None:
    turned = shifted(np.random.default_rng(seed), RUIFROK_DAB, degrees)
    assert angle_deg(turned, RUIFROK_DAB) == pytest.approx(degrees, abs=1e-4)


def test_no_blur_and_no_compression_leave_the_image() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    assert compressed(rgb, 0, full_color=True) is rgb
    plane = rgb[..., 0].astype(np.float32)
    assert blurred(plane, 0.0) is plane


@pytest.mark.parametrize("scale_um", [0.6, 1.3, 5.0, 12.0])
def test_field_has_the_asked_shape_and_spread(scale_um: float) -> None:
    field = smooth(np.random.default_rng(1), Grid(600, 650, 0.5), scale_um, octaves=2)
    assert field.shape == (600, 650)
    assert field.dtype == np.float32
    # a random field of a few hundred knots
    assert float(field.std()) == pytest.approx(1, rel=0.1)


def test_wide_field_is_nearly_even_on_a_small_tile() -> None:
    field = smooth(np.random.default_rng(1), Grid(40, 30, 0.5), 2000.0)
    assert float(np.ptp(field)) < 0.1
    assert float(np.abs(field).max()) < 5


# 5 um is 10 and 20 pixels: resized in one and by products in the other
@pytest.mark.parametrize("scale_um", [3.0, 5.0, 20.0, 300.0])
def test_field_is_the_same_at_another_pixel_size(scale_um: float) -> None:
    coarse = smooth(np.random.default_rng(1), Grid(64, 64, 0.5), scale_um)
    fine = smooth(np.random.default_rng(1), Grid(128, 128, 0.25), scale_um)
    assert np.corrcoef(coarse.ravel(), fine[::2, ::2].ravel())[0, 1] > 0.99


def test_cells_meet_halfway_and_keep_their_reach() -> None:
    nuclei = np.zeros((9, 41), np.int32)
    nuclei[4, 10], nuclei[4, 30] = 1, 2
    cells = grow(np.random.default_rng(0), nuclei, np.array([50.0, 50.0]), Grid(9, 41, 0.5), 1.0).cells
    assert np.all(cells[:, :20][cells[:, :20] > 0] == 1)
    assert np.all(cells[:, 21:][cells[:, 21:] > 0] == 2)
    narrow = grow(np.random.default_rng(0), nuclei, np.array([0.0, 2.0]), Grid(9, 41, 0.5), 1.0).cells
    assert np.count_nonzero(narrow == 1) == 1
    columns = np.nonzero(narrow == 2)[1]
    assert abs(columns - 30).max() <= 4
