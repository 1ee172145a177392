import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihcscore.api import measure_image
from ihcscore.scoring.classify import classify, scored_od
from ihcscore.scoring.restain import restain_means
from ihcscore.stains.vectors import StainMatrix

LEVELS = ["Negative", "1+", "2+", "3+"]
CUTS = (0.2, 0.4, 0.6)
ODS = st.lists(st.floats(-0.5, 2), min_size=1, max_size=50)


@given(ODS)
def test_bins_partition_the_cells(od):
    classes = classify(od, CUTS)
    assert len(classes) == len(od)
    counts = [(classes == name).sum() for name in LEVELS]
    assert sum(counts) == len(od)
    assert counts[0] == (np.array(od) < 0.2).sum()


@given(ODS, st.integers(0, 2), st.floats(0, 0.1))
def test_raising_a_threshold_never_raises_a_bin(od, which, by):
    higher = list(CUTS)
    higher[which] += by
    before = [LEVELS.index(c) for c in classify(od, CUTS)]
    after = [LEVELS.index(c) for c in classify(od, tuple(higher))]
    assert all(b >= a for b, a in zip(before, after, strict=True))


@pytest.mark.parametrize("cut", CUTS)
def test_a_value_on_a_threshold_is_in_the_higher_class(cut):
    below, at = classify([np.nextafter(cut, 0), cut], CUTS)
    assert LEVELS.index(at) == LEVELS.index(below) + 1
    assert classify([np.float32(cut)], CUTS)[0] == at


def test_nan_is_never_negative():
    assert classify([np.nan], CUTS)[0] == "Unmeasurable"


def table(**values):
    names = {"Nucleus": (100, 0.1), "Cytoplasm": (300, 0.3), "Membrane": (0, np.nan)}
    names |= values
    columns = {}
    for name, (area, mean) in names.items():
        columns[f"{name}: Measured area µm^2"] = [area]
        columns[f"{name}: DAB OD mean"] = [mean]
    return pd.DataFrame(columns)


def test_a_union_is_the_mean_over_its_pixels():
    assert scored_od(table(), ("nucleus", "cytoplasm"))[0] == pytest.approx(0.25)
    assert scored_od(table(), ("cytoplasm", "membrane"))[0] == pytest.approx(0.3)
    assert np.isnan(scored_od(table(), ("membrane",), ridge=False)[0])
    assert np.isnan(scored_od(table(Cytoplasm=(0, np.nan)), ("cytoplasm", "membrane"))[0])


def test_other_stains_and_background_follow_from_the_table(nuclear):
    """What follows from channel means equals measuring again, where the same nuclei are given."""
    other = StainMatrix((0.75, 0.6, 0.28), (0.24, 0.5, 0.83))
    from ihcscore import load_assay

    assay = load_assay("generic-nuclear")
    first = measure_image(nuclear.rgb, mpp=0.5, assay=assay, nuclei=nuclear.nuclei)
    again = measure_image(
        nuclear.rgb, mpp=0.5, assay=assay.replace(stains=other, background=(240.0, 238.0, 235.0)), nuclei=nuclear.nuclei
    )
    shift = np.log10(np.array([240.0, 238.0, 235.0]) / 255)
    followed = restain_means(first.cells, other, shift)
    for name in ("Nucleus", "Cytoplasm", "Membrane", "Cell"):
        for stain in ("Hematoxylin", "DAB"):
            column = f"{name}: {stain} OD mean"
            np.testing.assert_allclose(followed[column], again.cells[column], atol=2e-6)
    assert "Nucleus: DAB OD median" not in followed
    assert "Nucleus: Saturated share" not in followed
