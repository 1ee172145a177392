import numpy as np
import shapely
from conftest import read_only
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi

from ihcscore.cells.contours import outlines, trace
from ihcscore.cells.label_runs import LabelRuns

LABELS = hnp.arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 3))


@given(LABELS)
def test_pixel_centers_lie_on_the_side_their_label_says(labels):
    yy, xx = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    for number, shape in enumerate(outlines(read_only(labels), 3), 1):
        if shape is None:
            assert not (labels == number).any()
        else:
            assert shape.is_valid
            np.testing.assert_array_equal(shapely.contains_xy(shape, xx, yy), labels == number)


@given(LABELS)
def test_areas_are_those_of_the_labels(labels):
    for number, shape in enumerate(outlines(labels, 3), 1):
        mask = labels == number
        if shape is not None:
            _, pieces = ndi.label(mask, np.ones((3, 3)))
            _, outside = ndi.label(np.pad(~mask, 1, constant_values=True))
            assert shape.area == mask.sum() - 0.5 * pieces + 0.5 * (outside - 1)


@given(LABELS)
def test_sizes_are_those_of_the_polygons(labels):
    shapes, spans = outlines(labels, 3), LabelRuns.of(read_only(labels), 3)
    traced = trace(spans)
    np.testing.assert_allclose(traced.area, np.nan_to_num(shapely.area(shapes)))
    np.testing.assert_allclose(traced.length, np.nan_to_num(shapely.length(shapes)))
    np.testing.assert_array_equal(spans.hull_areas(), np.nan_to_num(shapely.area(shapely.convex_hull(shapes))))


def test_neighbors_do_not_overlap():
    labels = np.repeat(np.repeat(np.arange(1, 10, dtype=np.int32).reshape(3, 3), 4, axis=0), 5, axis=1)
    shapes = outlines(labels, 9)
    for k in range(9):
        for other in range(k):
            assert shapely.area(shapely.intersection(shapes[k], shapes[other])) == 0


def test_no_labels_no_outlines():
    assert outlines(np.zeros((3, 3), np.int32), 0).tolist() == []
    assert outlines(np.zeros((3, 3), np.int32), 2).tolist() == [None, None]
