"""Sizes from spans against a slow and obvious reference."""

import numpy as np
from conftest import read_only
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ihcscore.cells.label_runs import LabelRuns

LABELS = hnp.arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 4))


@given(LABELS)
def test_sizes_are_those_of_the_pixels(labels):
    spans = LabelRuns.of(read_only(labels), 3)
    for label in (1, 2, 3):
        rows, cols = np.nonzero(labels == label)
        assert spans.areas[label - 1] == len(rows)
        if len(rows):
            assert spans.boxes()[label - 1].tolist() == [rows.min(), cols.min(), rows.max() + 1, cols.max() + 1]
            np.testing.assert_allclose(spans.centroids((10, 20))[label - 1], [cols.mean() + 20.5, rows.mean() + 10.5])
            moments = np.cov(np.array([cols, rows]), bias=True).reshape(2, 2) + np.eye(2) / 12
            axes = [axis[label - 1] for axis in spans.axes()]
            np.testing.assert_allclose(axes, 4 * np.sqrt(np.linalg.eigvalsh(moments)[::-1]))
        else:
            assert np.isnan(spans.centroids()[label - 1]).all()


@given(LABELS)
def test_a_selection_has_the_spans_of_its_labels(labels):
    spans = LabelRuns.of(labels, 3)
    some = spans.select(np.array([2, 0]))
    assert some.areas.tolist() == [spans.areas[2], spans.areas[0]]
    np.testing.assert_array_equal(some.boxes(), spans.boxes()[[2, 0]])


def test_no_labels_no_spans():
    spans = LabelRuns.of(np.zeros((3, 4), np.int32), 0)
    assert len(spans.areas) == len(spans.hull_areas()) == len(spans.boxes()) == 0
