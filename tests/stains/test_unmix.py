import numpy as np
import pytest
from conftest import read_only
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ihcscore.stains.unmix import mix, unmix
from ihcscore.stains.vectors import StainMatrix, angle_deg, unit

AMOUNTS = hnp.arrays(np.float32, (3, 2, 3), elements=st.floats(0, 2, width=32))
VECTORS = st.tuples(*[st.floats(0.05, 1)] * 3)


@given(AMOUNTS, VECTORS, VECTORS)
def test_unmixing_undoes_mixing(amounts, hematoxylin, dab):
    assume(angle_deg(hematoxylin, dab) > 10)
    stains = StainMatrix(hematoxylin, dab)
    # Condition numbers reach 12 at 10 degrees, on float32 sums of up to three.
    np.testing.assert_allclose(unmix(mix(read_only(amounts), stains), stains), amounts, atol=2e-5)


@given(hnp.arrays(np.float32, (2, 2, 3), elements=st.floats(-0.5, 2, width=32)))
def test_exchanging_the_stains_exchanges_planes_only(od):
    one = StainMatrix()
    other = StainMatrix(one.dab, one.hematoxylin)
    a, b = unmix(od, one), unmix(od, other)
    np.testing.assert_allclose(a[..., 0], b[..., 1], atol=1e-5)
    np.testing.assert_allclose(a[..., 1], b[..., 0], atol=1e-5)
    np.testing.assert_allclose(a[..., 2], -b[..., 2], atol=1e-5)


def test_unmixing_is_linear_and_not_clipped():
    od = np.array([[[0.6, 0.1, 0.0]]], np.float32)
    assert unmix(od)[0, 0, 1] < 0
    np.testing.assert_allclose(unmix(2 * od), 2 * unmix(od), rtol=1e-6)


def test_unmixing_needs_three_channels():
    with pytest.raises(ValueError, match="3 channels"):
        unmix(np.zeros((4, 2), np.float32))


def test_empty_arrays_stay_empty():
    assert unmix(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_default_vectors_are_those_of_the_paper():
    stains = StainMatrix()
    assert angle_deg(stains.hematoxylin, (0.65, 0.70, 0.29)) < 0.01
    assert angle_deg(stains.dab, (0.27, 0.57, 0.78)) < 0.01
    assert angle_deg(stains.hematoxylin, stains.dab) == pytest.approx(36.9, abs=0.1)
    assert np.linalg.cond(stains.rows[:2]) == pytest.approx(3.0, abs=0.1)


def test_residual_is_the_cross_product():
    stains = StainMatrix()
    assert abs(np.dot(stains.residual, stains.hematoxylin)) < 1e-4
    assert abs(np.dot(stains.residual, stains.dab)) < 1e-4
    assert np.linalg.norm(stains.rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-4)


def test_vectors_come_back_from_plain_values():
    stains = StainMatrix((0.7, 0.6, 0.3), (0.2, 0.5, 0.8))
    assert StainMatrix.from_dict(stains.to_dict()) == stains


@pytest.mark.parametrize(
    ("hematoxylin", "dab", "message"),
    [
        ((0, 0, 0), (0.27, 0.57, 0.78), "not all 0"),
        ((0.65, 0.70), (0.27, 0.57, 0.78), "three numbers"),
        ((0.65, np.nan, 0.29), (0.27, 0.57, 0.78), "three numbers"),
        ((0.65, -0.7, 0.29), (0.27, 0.57, 0.78), "negative"),
        ((0.27, 0.57, 0.75), (0.27, 0.57, 0.78), "degrees apart"),
    ],
)
def test_impossible_vectors_are_refused(hematoxylin, dab, message):
    with pytest.raises(ValueError, match=message):
        StainMatrix(hematoxylin, dab)


def test_missing_vectors_are_named():
    with pytest.raises(ValueError, match="dab"):
        StainMatrix.from_dict({"hematoxylin": [1, 1, 0]})


def test_unit_has_length_one():
    assert np.linalg.norm(unit([3, 4, 12])) == pytest.approx(1)


@given(st.integers(1, 200))
def test_a_value_does_not_depend_on_what_comes_after_it(count):
    od = np.random.default_rng(0).random((1, 300, 3), np.float32)
    np.testing.assert_array_equal(unmix(od[:, :count]), unmix(od)[:, :count])
