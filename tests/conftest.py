"""Fixtures shared by the tests: small images with known content."""

import numpy as np
import pytest
from hypothesis import settings
from scipy import ndimage as ndi
from skimage.data import immunohistochemistry

from ihcscore.phantom import load_parameters, render
from ihcscore.stains.unmix import mix

settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")

WHITE = 240
SLOW = {
    "test_benchmarks.py": ["test_"],
    "test_slide_runs.py": [
        "test_every_nucleus_is_there_once",
        "test_workers_",
        "test_a_killed_run",
        "test_a_batch_goes_on",
        "test_manifests_name",
        "test_a_full_disk",
        "test_a_worker_that_dies",
        "test_a_scheduler",
        "test_odd_sizes",
        "test_nuclei_of_a_tile",
        "test_one_run_at_a_time",
        "test_a_disk_without_locks",
        "test_parts_",
    ],
    "test_tma_scoring.py": ["test_cores_", "test_slides_", "test_a_failed_slide", "test_a_damaged", "test_patients_"],
    "test_score_folder.py": ["test_tiles_are_scored_by_workers", "test_workers_"],
    "test_rescore_folder.py": ["test_cells_of_regions_alone"],
    "test_estimate.py": ["test_dab_that_lies_nowhere"],
    "test_phantom_benchmark.py": ["test_each_tile"],
    "test_tile.py": ["test_blocks_of_any_size"],
    "test_watershed.py": ["test_a_window_has"],
    "test_intervals.py": ["test_coverage"],
    "test_api.py": ["test_h_scores_of_phantoms"],
}
"""Beginnings of the names of the tests that take the most time; the others are marked ``fast``."""


def pytest_collection_modifyitems(items):
    for item in items:
        if not item.name.startswith(tuple(SLOW.get(item.path.name, ()))):
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
