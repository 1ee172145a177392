import cv2
import numpy as np
import pytest
from conftest import discs, read_only
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi

from ihcscore.cells.compartments import CYTOPLASM, EDGE, MEMBRANE, NUCLEUS, expand, partition

PLACES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 50)), min_size=1, max_size=6, unique=True)


@settings(max_examples=30)
@given(PLACES, st.floats(0.5, 8))
def test_cells_hold_their_nuclei_and_reach_no_farther(places, distance_um):
    _, nuclei = discs((50, 60), places, 5)
    cells = expand(read_only(nuclei), distance_um, 0.5)
    inside = nuclei > 0
    np.testing.assert_array_equal(cells[inside], nuclei[inside])
    if inside.any():
        reach = ndi.distance_transform_edt(~inside) * 0.5
        assert (reach[cells > 0] <= distance_um * 1.03 + 0.02).all()
        assert (cells[reach <= distance_um * 0.97 - 0.02] > 0).all()


def test_neighbors_meet_halfway():
    nuclei = np.zeros((1, 21), np.int32)
    nuclei[0, 5], nuclei[0, 15] = 1, 2
    cells = expand(nuclei, 20, 0.5)
    assert (cells[0, :10] == 1).all()
    assert (cells[0, 11:] == 2).all()


def test_the_nearest_nucleus_is_found_as_far_as_cells_grow():
    nuclei = np.zeros((260, 300), np.int32)
    nuclei[120:126, 140:150], nuclei[10, 5] = 1, 2
    cells = expand(nuclei, 55, 0.5)
    away = [ndi.distance_transform_edt(nuclei != label) for label in (1, 2)]
    clear = (np.abs(away[0] - away[1]) > 4) & (np.minimum(*away) < 108 / 1.03)
    np.testing.assert_array_equal(cells[clear], np.where(away[0] < away[1], 1, 2)[clear])
    assert (cells[np.minimum(*away) > 114] == 0).all()
    with pytest.raises(ValueError, match="at most 110 pixels"):
        expand(nuclei, 56, 0.5)


def test_no_distance_leaves_the_nuclei():
    _, nuclei = discs((20, 20), [(10, 10)], 4)
    np.testing.assert_array_equal(expand(nuclei, 0, 0.5), nuclei)


@settings(max_examples=30)
@given(PLACES)
def test_parts_lie_where_they_belong(places):
    _, nuclei = discs((50, 60), places, 6)
    cells = expand(nuclei, 5, 0.5)
    part = partition(nuclei, cells, 0.5, membrane_um=1.0, nucleus_edge_um=1.0, cytoplasm_edge_um=1.0)
    plain = partition(nuclei, cells, 0.5, membrane_um=1.0)
    outside = nuclei == 0
    np.testing.assert_array_equal(np.isin(part, (NUCLEUS, EDGE)) & ~outside, nuclei > 0)
    np.testing.assert_array_equal((part == MEMBRANE), plain == MEMBRANE)
    assert (plain[outside & (part == EDGE)] == CYTOPLASM).all()
    away_um = ndi.distance_transform_edt(outside) * 0.5
    for label in np.unique(cells[(plain == CYTOPLASM) & (cells > 0)]):
        cytoplasm = (cells == label) & (plain == CYTOPLASM)
        if (cytoplasm & (away_um > 1.25)).any():  # OpenCV's disc reaches a little beyond its radius
            assert (part[cytoplasm & (away_um <= 1)] == EDGE).all()
            assert (part[cytoplasm & (away_um > 1.25)] == CYTOPLASM).all()
        assert (part[cytoplasm] == CYTOPLASM).any()
    assert (part[cells == 0] == CYTOPLASM).all()
    assert (cells[part == MEMBRANE] > 0).all()
    for label in np.unique(nuclei[nuclei > 0]):
        assert (part[nuclei == label] == NUCLEUS).any()


def test_the_edge_is_as_wide_as_asked():
    nuclei = np.zeros((30, 30), np.int32)
    nuclei[5:25, 5:25] = 1
    cells = expand(nuclei, 5, 0.5)
    for um, inner in ((0, 400), (0.5, 18 * 18), (1.0, 16 * 16)):
        part = partition(nuclei, cells, 0.5, membrane_um=1, nucleus_edge_um=um)
        assert (part == NUCLEUS).sum() == inner


def test_the_border_of_the_image_is_no_membrane():
    nuclei = np.zeros((20, 20), np.int32)
    nuclei[:6, :6] = 1
    cells = expand(nuclei, 3, 0.5)
    part = partition(nuclei, cells, 0.5, membrane_um=1, nucleus_edge_um=0)
    assert (part[0, :6] == NUCLEUS).all()
    assert part[0, 8] == CYTOPLASM


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)),
    st.integers(1, 4),
)
def test_a_border_is_near_where_another_label_is(labels, width):
    """What partition makes of a membrane of so many pixels, against looking at each pixel of the disc."""
    part = partition(np.zeros_like(labels), labels, 0.5, membrane_um=width / 2)
    offsets = np.argwhere(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))) - width
    for (y, x), label in np.ndenumerate(labels):
        around = [at for at in offsets + np.array((y, x)) if (at >= 0).all() and (at < labels.shape).all()]
        near = label > 0 and any(labels[tuple(at)] != label for at in around)
        assert part[y, x] == (MEMBRANE if near else CYTOPLASM)


def test_cells_are_the_same_wherever_tiles_begin():
    """The kernel grows cells tile by tile, of 256 rows and 512 columns."""
    rng = np.random.default_rng(3)
    nuclei = np.zeros((400, 700), np.int32)
    rows, columns = rng.integers(2, 398, 900), rng.integers(2, 698, 900)
    nuclei[rows, columns] = np.arange(1, 901)
    moved = expand(np.pad(nuclei, ((100, 0), (300, 0))), 5, 0.5)[100:, 300:]
    np.testing.assert_array_equal(moved, expand(nuclei, 5, 0.5))
    assert (moved > 0).mean() > 0.5
