"""Same pixels, same cells: whatever the blocks, the crop or the order."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import discs

from ihcscore import load_assay
from ihcscore.cells.segmentation.registry import load_segmenter
from ihcscore.errors import AssayError
from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.phantom import load_parameters, render
from ihcscore.survey.estimation import complete_context, estimate_context
from ihcscore.survey.slide_survey import survey_slide
from ihcscore.survey.tissue import TISSUE, TissueMap
from ihcscore.table.schema import COLUMNS
from ihcscore.tiles.stitching import cell_ids, stitch
from ihcscore.tiles.store import MeasuredTile, MemoryStore
from ihcscore.tiles.tile import TileJob, measure_rows

ASSAY = load_assay("generic-nuclear")
BLOCK_COLUMNS = ["block_row", "block_col"]


@pytest.fixture(scope="module")
def tissue():
    parameters = dataclasses.replace(load_parameters("nuclear"), size_px=(600, 700))
    return render(parameters, 11).rgb


def settled(rgb, mpp):
    survey = survey_slide(ArraySlide(rgb, mpp), ASSAY).sample
    return complete_context(survey, estimate_context([survey], ASSAY))


def job_for(rgb, core_px, segmenter=None, context=None):
    context = context or settled(rgb, 0.5)
    image = WorkingImage(ArraySlide(rgb, 0.5), frame_for(rgb.shape[1], rgb.shape[0], mpp=0.5))
    job = TileJob.of(image, context, segmenter or load_segmenter("watershed"), ASSAY)
    return dataclasses.replace(job, core_px=core_px)


def cells_of(job, order=None):
    blocks = list(job.grid)
    store = MemoryStore()
    for k in order or range(len(blocks)):
        store.put((blocks[k].row, blocks[k].col), MeasuredTile(measure_rows(job, blocks[k]), {}))
    everywhere = TissueMap(np.full((1, 1), TISSUE, np.uint8), 8.0)
    return pd.concat(stitch(store, everywhere), ignore_index=True)


def plain(cells):
    """Cells without their block, sorted by place."""
    return cells.drop(columns=BLOCK_COLUMNS).sort_values(["y_px", "x_px"], ignore_index=True)


@pytest.fixture(params=["network", "watershed"])
def segmenter(request):
    return load_segmenter(request.param)


def test_blocks_of_any_size_give_the_same_cells(tissue, segmenter):
    whole = plain(cells_of(job_for(tissue, 1024, segmenter)))
    assert len(whole) > 300
    for core in (128, 200, 256, 333):
        pd.testing.assert_frame_equal(plain(cells_of(job_for(tissue, core, segmenter))), whole, check_exact=True)


def test_the_order_of_blocks_changes_nothing(tissue, segmenter):
    job = job_for(tissue, 200, segmenter)
    count = len(job.grid)
    there = cells_of(job)
    back = cells_of(job, order=list(reversed(range(count))))
    pd.testing.assert_frame_equal(back, there, check_exact=True)


def test_a_crop_of_whole_blocks_has_the_same_cells(tissue, segmenter):
    job = job_for(tissue, 200, segmenter)
    crop = job_for(np.ascontiguousarray(tissue[:400, :400]), 200, segmenter, context=job.context)
    reach = job.grid.halo + getattr(segmenter, "margin_px", 0)
    far = 400 - reach
    inside = [
        plain(cells[(cells.x_px < far) & (cells.y_px < far)]).reset_index(drop=True)
        for cells in (cells_of(job), cells_of(crop))
    ]
    assert len(inside[0]) > 40
    pd.testing.assert_frame_equal(*inside, check_exact=True)


def test_nuclei_on_block_borders_stand_once():
    places = [(x, y) for y in range(20, 400, 40) for x in range(20, 400, 40)]
    rgb, _ = discs((400, 400), places, 8)
    cells = cells_of(job_for(rgb, 100))
    assert len(cells) == len(places)
    np.testing.assert_allclose(sorted(zip(cells.x_px, cells.y_px, strict=True)), sorted(places), atol=0.6)


@dataclasses.dataclass(frozen=True)
class Disagreeing:
    """Sees the nucleus on the border of two blocks farther left or right, depending on the window."""

    left: float
    right: float
    name: str = "disagreeing"
    version: str = "1"
    mpp: float = 0.5
    largest_object_um: float = 10.0
    influence_um: float = 10.0

    def segment(self, block):
        row, col = block.origin
        height, width = block.rgb.shape[:2]
        yy, xx = np.mgrid[:height, :width] + 0.5
        x = self.left if col == 0 else self.right
        if np.isnan(x):
            return np.zeros((height, width), np.int32)
        return (np.hypot(yy + row - 50, xx + col - x) < 8).astype(np.int32)


@pytest.mark.parametrize(
    ("left", "right", "block_col"),
    [
        (99, 99, 0),  # they agree
        (99, 101, 0),  # each owns its own: the earlier block's stands
        (101, 99, 0),  # each thinks it the other's
        (101, 101, 1),
        (98, np.nan, 0),  # only one sees it
        (102, np.nan, 0),  # only one sees it, and thinks it the other's
    ],
)
def test_what_two_blocks_see_differently_is_settled_once(left, right, block_col):
    rgb = np.full((100, 200, 3), 200, np.uint8)
    cells = cells_of(job_for(rgb, 100, segmenter=Disagreeing(left, right)))
    assert cells["block_col"].tolist() == [block_col]


@dataclasses.dataclass(frozen=True)
class Merging:
    """The left block sees two nuclei where the right one sees them as one."""

    places: tuple[float, float]
    name: str = "merging"
    version: str = "1"
    mpp: float = 0.5
    largest_object_um: float = 20.0
    influence_um: float = 10.0

    def segment(self, block):
        row, col = block.origin
        yy, xx = np.mgrid[: block.rgb.shape[0], : block.rgb.shape[1]] + 0.5
        labels = np.zeros(block.rgb.shape[:2], np.int32)
        for number, x in enumerate(self.places, 1):
            labels[np.hypot(yy + row - 50, xx + col - x) < 6] = number if col == 0 else 1
        if col > 0:
            labels[(np.abs(yy + row - 50) < 2) & (xx + col > self.places[0]) & (xx + col < self.places[1])] = 1
        return labels


@pytest.mark.parametrize("places", [(90, 104), (88, 102), (92, 108), (97, 111), (84, 98)])
def test_a_nucleus_that_one_block_splits_stands_either_way_but_not_both(places):
    cells = cells_of(job_for(np.full((100, 200, 3), 200, np.uint8), 100, segmenter=Merging(places)))
    shapes = shapely.from_wkb(cells["nucleus_wkb"].to_numpy())
    overlaps = [shapely.area(shapely.intersection(a, b)) for k, a in enumerate(shapes) for b in shapes[:k]]
    assert all(shared == 0 for shared in overlaps)
    whole = shapely.union_all(shapes)
    assert whole.covers(shapely.Point(places[0], 50))
    assert whole.covers(shapely.Point(places[1], 50))


def test_cells_that_would_grow_too_far_are_refused():
    rgb = np.full((40, 40, 3), 240, np.uint8)
    image = WorkingImage(ArraySlide(rgb, 0.25), frame_for(40, 40, mpp=0.25, working_mpp=0.25))
    context = settled(rgb, 0.25)
    with pytest.raises(AssayError, match=r"expansion_um: at most 27.5 at 0.25 um/px, found 40"):
        TileJob.of(image, context, load_segmenter("watershed"), ASSAY.replace(expansion_um=40.0))


def test_table_has_the_columns_of_the_schema(tissue):
    cells = cells_of(job_for(tissue[:200, :200], 1024))
    assert list(cells.columns) == [c.name for c in COLUMNS]
    assert cells["cell_id"].is_unique
    shapes = shapely.from_wkb(cells["nucleus_wkb"].to_numpy())
    whole = shapely.from_wkb(cells["cell_wkb"].to_numpy())
    assert shapely.is_valid(shapes).all()
    assert shapely.covers(shapely.buffer(whole, 1e-9), shapes).all()
    np.testing.assert_allclose(shapely.area(shapes) * 0.25, cells["Nucleus: Area µm^2"], atol=0.13)


def test_an_image_without_nuclei_has_an_empty_table():
    cells = cells_of(job_for(np.full((300, 300, 3), 240, np.uint8), 100))
    assert len(cells) == 0
    assert list(cells.columns) == [c.name for c in COLUMNS]


def test_ids_are_uuids_of_the_place():
    ids = list(cell_ids(np.array([0.0, 123456.75]), np.array([1.5, 98765.25])))
    assert len({len(i) for i in ids} | {36}) == 1
    assert ids == list(cell_ids(np.array([0.0, 123456.75]), np.array([1.5, 98765.25])))
    assert len(set(ids)) == 2
