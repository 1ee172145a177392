"""Fixtures shared by the tests: small images with known content."""

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage.data import immunohistochemistry

from ihcscore.phantom import load_parameters, render
from ihcscore.stains.unmix import mix

WHITE = 240
FAST_OF_SLOW = {
    "test_benchmarks": (),
    "test_slide_runs": (
        "test_a_region_alone_has_the_cells_of_the_slide",
        "test_regions_are_scored_each_and_by_class_without_pixels",
        "test_a_slide_replays",
        "test_the_cells_are_the_same_through_every_reader",
        "test_only_regions_needs_regions_and_regions_need_the_slide",
    ),
    "test_tma_scoring": ("test_from_the_slide_to_patients",),
}
"""Modules that take most of the time, and which of their tests are marked as fast nevertheless."""


def pytest_collection_modifyitems(items):
    for item in items:
        chosen = FAST_OF_SLOW.get(item.path.stem)
        if chosen is None or getattr(item, "originalname", None) in chosen:
            item.add_marker("fast")


def light(hematoxylin, dab, white=WHITE):
    """Render amounts of stain as 8-bit light."""
    amounts = np.stack([hematoxylin, dab, np.zeros_like(dab)], axis=-1).astype(np.float32)
    return np.clip(np.rint(white * 10.0 ** -mix(amounts)), 0, 255).astype(np.uint8)


def discs(shape, places, radius, hematoxylin=0.5, dab=()):
    """Draw round nuclei at (x, y) with the given DAB each, 0 where none is given; image and labels."""
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    h, d = np.zeros(shape), np.zeros(shape)
    for number, (x, y) in enumerate(places, 1):
        rows, columns = (slice(max(0, int(v - radius) - 1), max(0, int(v + radius) + 2)) for v in (y, x))
        inside = np.hypot(xx[:, columns] + 0.5 - x, yy[rows] + 0.5 - y) < radius
        labels[rows, columns][inside] = number
        h[rows, columns][inside] = hematoxylin
        d[rows, columns][inside] = dab[number - 1] if number <= len(dab) else 0
    return light(h, d), labels


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def check_labels(labels, segmenter):
    """What every segmenter's labels keep: numbers without gaps, nuclei in one piece, without holes, not too long."""
    assert labels.dtype == np.int32
    present = np.unique(labels)
    np.testing.assert_array_equal(present[present > 0], np.arange(1, labels.max(initial=0) + 1))
    for number, where in enumerate(ndi.find_objects(labels), 1):
        nucleus = labels[where] == number
        assert ndi.label(nucleus)[1] == 1
        assert np.array_equal(ndi.binary_fill_holes(nucleus), nucleus)
        assert np.hypot(*nucleus.shape) * segmenter.mpp <= segmenter.largest_object_um


@pytest.fixture(scope="session")
def ihc():
    return read_only(immunohistochemistry())


@pytest.fixture(scope="session")
def nuclear():
    return render(load_parameters("nuclear"), 3)
