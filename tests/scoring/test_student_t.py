"""Student's t equals SciPy's."""

import math

import numpy as np
import pytest
from scipy.special import stdtrit

from ihcscore.scoring.student_t import two_sided_t


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_equal_to_scipy(level):
    for freedom in np.geomspace(0.1, 1e6, 60).tolist():
        assert two_sided_t(freedom, level) == pytest.approx(float(stdtrit(freedom, 0.5 + level / 2)), rel=1e-8)


def test_wider_with_less_freedom_up_to_infinity():
    found = [two_sided_t(freedom, 0.95) for freedom in (1e-4, 0.01, 0.5, 1, 2, 10, 1e4)]
    assert found[0] == math.inf
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("freedom", "level"), [(0, 0.95), (-1, 0.95), (math.nan, 0.95), (5, 0), (5, 1)])
def test_what_makes_no_sense_is_refused(freedom, level):
    with pytest.raises(ValueError, match="degrees of freedom"):
        two_sided_t(freedom, level)
