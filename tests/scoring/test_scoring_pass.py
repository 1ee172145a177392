"""One stream from cell tables to rows: classified tables, digest, and scores only when all cells were seen."""

import numpy as np
import pandas as pd
import pytest
from conftest import discs

from ihcscore import load_assay, measure_image, score_cells
from ihcscore.api import score_slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.scoring.scoring_pass import ScoringPass
from ihcscore.table.digest import digest

ASSAY = load_assay("generic-nuclear")


@pytest.fixture(scope="module")
def measured():
    return measure_image(discs((80, 260), [(30 + 40 * k, 40) for k in range(6)], 9)[0], mpp=0.5)


def test_rows_before_the_last_cell_are_an_error(measured):
    scoring = ScoringPass(lambda: [measured.cells[:3], measured.cells[3:]], ASSAY)
    stream = iter(scoring)
    next(stream)
    for ask in (scoring.rows, lambda: scoring.cells_sha256, lambda: scoring.cell_count, lambda: scoring.samplings):
        with pytest.raises(RuntimeError, match="not all cells were scored"):
            ask()
    list(stream)
    assert scoring.rows()[0].cells == 6


def test_a_pass_is_iterated_over_once(measured):
    scoring = ScoringPass(lambda: [measured.cells], ASSAY).run()
    with pytest.raises(RuntimeError, match="once"):
        list(scoring)


def test_it_gives_what_scoring_a_whole_table_gives(measured):
    scoring = ScoringPass(lambda: [measured.cells[:2], measured.cells[2:]], ASSAY, context=measured.context)
    tables = pd.concat(list(scoring))
    whole = score_cells(measured.cells, ASSAY, context=measured.context)
    pd.testing.assert_frame_equal(tables, whole.cells, check_exact=True)
    assert scoring.rows()[0].h_score == whole.scores.h_score
    assert scoring.cell_count == len(tables)
    assert ScoringPass(lambda: [measured.cells], ASSAY).run().cells_sha256 == digest(measured.cells)


def test_a_slide_is_composed_of_the_same_passes(measured):
    rgb = discs((80, 260), [(30 + 40 * k, 40) for k in range(6)], 9)[0]
    slide, scoring = score_slide(ArraySlide(rgb, 0.5), ASSAY, keys=("mine", "case"))
    assert scoring.run().cells_sha256 == digest(measured.cells)
    row = scoring.rows(slide.tissue_mm2)[0]
    assert (row.image, row.group, row.area_mm2) == ("mine", "case", slide.provenance()["tissue"]["tissue_mm2"])
    assert slide.plan.keys == tuple(slide.store.done())


def test_without_digest_a_table_may_lack_columns(measured):
    cells = measured.cells.drop(columns=["nucleus_wkb"]).assign(**{"cell_id": np.nan})
    scoring = ScoringPass(lambda: [cells], ASSAY, with_digest=False).run()
    assert scoring.rows()[0].cells == 6
    with pytest.raises(RuntimeError, match="no digest"):
        _ = scoring.cells_sha256
