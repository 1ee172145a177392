"""Nuclei given as an array."""

import numpy as np
import pytest

from ihcscore.cells.segmentation.given import GivenNuclei
from ihcscore.geometry import frame_for


def given(labels, mpp=0.5):
    return GivenNuclei(labels, frame_for(labels.shape[1], labels.shape[0], mpp=mpp))


def test_a_map_of_classes_is_refused_as_in_a_file():
    classes = np.zeros((300, 300), np.uint8)
    classes[:10, :10] = classes[-10:, -10:] = 1
    classes[100:110, 100:110] = 2
    with pytest.raises(ValueError, match="the array of nuclei holds a nucleus 212 um long: is it a mask"):
        given(classes)
    assert given(classes, mpp=0.2).labels_given == 2  # at this pixel size, 85 um


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_100_um_are_the_limit_in_pixels_of_the_image(mpp):
    labels = np.zeros((9, 600), np.int32)
    side = int(100 / mpp) - 1
    labels[0, :side] = 1
    assert given(labels, mpp).labels_given == 1
    labels[0, : side + 2] = 1
    with pytest.raises(ValueError, match=r"a nucleus 10[01] um long"):
        given(labels, mpp)


def test_labels_that_do_not_fit_in_64_bits_with_a_sign_are_refused():
    labels = np.zeros((20, 20), np.uint64)
    labels[5:9, 5:9] = 2**63 - 1
    assert given(labels).labels_given == 1
    labels[5:9, 5:9] = 2**63
    with pytest.raises(ValueError, match=f"labels up to {2**63}: none may be larger than {2**63 - 1}"):
        given(labels)
