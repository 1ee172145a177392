import numpy as np
import pytest
from conftest import read_only
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ihcscore.stains.density import as_background, density_table, optical_density

IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)))


@given(IMAGES, st.floats(1, 255))
def test_density_is_not_negative_and_leaves_the_image_alone(image, background):
    frozen = read_only(image)
    assert (optical_density(frozen, background) >= 0).all()


@given(IMAGES)
def test_density_is_the_formula(image):
    expected = np.maximum(-np.log10(np.maximum(image.astype(float), 1) / 240), 0)
    np.testing.assert_allclose(optical_density(image, 240), expected, rtol=1e-6, atol=1e-7)


def test_white_gives_zero_and_darker_never_lowers_density():
    ramp = np.repeat(np.arange(255, -1, -1, dtype=np.uint8)[:, None, None], 3, axis=2)
    od = optical_density(ramp, 255)
    assert (od[0] == 0).all()
    assert (np.diff(od, axis=0) >= 0).all()


def test_unclipped_density_moves_to_another_background_by_a_constant():
    image = np.random.default_rng(0).integers(1, 256, (20, 20, 3), dtype=np.uint8)
    moved = optical_density(image, 200, clip=False) + np.log10(np.float32(230 / 200))
    np.testing.assert_allclose(moved, optical_density(image, 230, clip=False), atol=1e-6)


def test_channels_have_their_own_background():
    assert (optical_density(np.array([[[250, 240, 230]]], np.uint8), (250, 240, 230)) == 0).all()


def test_density_table_matches_every_value():
    assert density_table(255)[0, 0] == pytest.approx(np.log10(255))
    assert density_table(100)[200, 1] < 0


def test_an_empty_image_gives_an_empty_density():
    assert optical_density(np.zeros((0, 4, 3), np.uint8)).shape == (0, 4, 3)


@pytest.mark.parametrize("image", [np.zeros((3, 3, 3)), np.zeros((3, 3, 3), np.uint16)])
def test_other_depths_are_refused(image):
    with pytest.raises(TypeError, match="8-bit"):
        optical_density(image)


def test_grey_is_refused():
    with pytest.raises(ValueError, match=r"\(M, N, 3\)"):
        optical_density(np.zeros((3, 3), np.uint8))


@pytest.mark.parametrize("background", [0, -1, (255, 255), (255, 0, 255), np.nan, np.inf])
def test_backgrounds_must_be_positive(background):
    with pytest.raises(ValueError, match="background"):
        as_background(background)


def test_mean_of_densities_is_not_density_of_the_mean():
    pixels = np.array([[[250, 250, 250], [10, 10, 10]]], np.uint8)
    mean_of_od = optical_density(pixels).mean()
    od_of_mean = optical_density(np.full((1, 1, 3), 130, np.uint8)).mean()
    assert mean_of_od > 2 * od_of_mean
