"""The part of a membrane that is stained, and its mean density, agree."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ihcscore.scoring.membrane_patterns import completeness, intensity
from ihcscore.table.schema import COMPLETENESS_COLUMN, RIDGE_DECILES, ridge_column


def line(deciles):
    found = {ridge_column(p): [float(v)] for p, v in zip(RIDGE_DECILES, deciles, strict=True)}
    return pd.DataFrame(found | {COMPLETENESS_COLUMN: [1.0]})


def test_what_lies_below_the_threshold_does_not_count_for_the_intensity():
    cells = line([0.0] * 10 + [0.12])
    assert completeness(cells, 0.1)[0] == pytest.approx(0.1 / 6)
    assert intensity(cells, 0.1)[0] == pytest.approx(0.11)


@example([0.0] * 10 + [2.3e-313], 1.0)
@example([1.0] * 10 + [1.0000000000000002], 0.5)
@given(st.lists(st.floats(0, 2), min_size=11, max_size=11), st.floats(0.01, 1.9))
def test_share_and_intensity_are_those_of_the_line_between_its_deciles(deciles, threshold):
    cells = line(sorted(deciles))
    places = (np.arange(100_000) + 0.5) / 1e4
    od = np.interp(places, np.arange(11), sorted(deciles))
    stained = od >= threshold
    assert completeness(cells, threshold)[0] == pytest.approx(stained.mean(), abs=2e-5)
    if stained.mean() > 0.01:
        assert intensity(cells, threshold)[0] == pytest.approx(od[stained].mean(), abs=2e-3)
