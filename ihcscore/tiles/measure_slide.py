"""Plan the measurement of a slide from its survey, and measure its tiles."""

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.assays.assay import MEASURED_FIELDS, Assay
from ihcscore.cells.membrane.reader import packaged_sha256
from ihcscore.cells.quality import TileQuality, judge
from ihcscore.cells.segmentation.base import Segmenter
from ihcscore.cells.segmentation.given import GivenNuclei
from ihcscore.cells.segmentation.registry import describe, load_segmenter
from ihcscore.errors import IhcscoreError
from ihcscore.geometry import Frame, check_mpp, frame_for, um_to_px
from ihcscore.io.nuclei import read_nuclei
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.slides.opening import open_slide
from ihcscore.survey.context import SlideContext
from ihcscore.survey.estimation import complete_context, estimate_context
from ihcscore.survey.slide_survey import SlideSurvey, survey_slide
from ihcscore.survey.tissue import NAMES
from ihcscore.tiles.executors import Executor, SlideTask
from ihcscore.tiles.grid import Tile
from ihcscore.tiles.stitching import empty_table, stitch
from ihcscore.tiles.store import Key, TileStore
from ihcscore.tiles.tile import CONTESTED_PX, TileJob
from ihcscore.version import STEPS, __version__

LIBRARIES = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "shapely")
"""Libraries whose version can change a number."""

Labels = NDArray[np.integer]


@dataclass(frozen=True)
class MeasurementPlan:
    """A surveyed slide, and which of its tiles are to be measured.

    Parameters
    ----------
    survey : SlideSurvey
        Result of the first pass.
    job : TileJob
        What the measurement of each tile needs.
    keys : tuple of Key
        Tiles to measure, in order: those with tissue, and of these, if only regions are measured, those that matter
        for them.
    """

    slide: Slide
    assay: Assay
    survey: SlideSurvey
    job: TileJob
    keys: tuple[Key, ...]

    def tables(self, store: TileStore) -> Iterator[pd.DataFrame]:
        """Yield the cell table of each tile; at least one table, which may have no rows."""
        found = False
        for cells in stitch(store, self.survey.tissue):
            found = True
            yield cells
        if not found:
            yield empty_table()

    def quality(self, store: TileStore) -> list[TileQuality]:
        """Judge each measured tile."""
        return [self._judge(key, store.get(key, ()).quality) for key in store.done()]

    def _judge(self, key: Key, values: Mapping[str, float]) -> TileQuality:
        y0, x0, y1, x1 = box = self._box_um(key)
        return judge(key, values, self.survey.tissue.shares(box), (y1 - y0) * (x1 - x0))

    def provenance(self) -> dict[str, Any]:
        """Return what is measured and how, as plain values."""
        frame, grid = self.job.image.frame, self.job.grid
        image: dict[str, Any] = {"width": frame.width, "height": frame.height, "mpp": frame.mpp}
        image |= {"reader": self.slide.reader, "level": self.job.image.level, "icc_sha256": self.slide.icc_sha256}
        image |= {"bounds": list(self.slide.bounds)}
        if isinstance(self.slide, ArraySlide):
            image["pixels_sha256"] = hashlib.sha256(np.ascontiguousarray(self.slide.rgb).data).hexdigest()
        tissue = self.survey.tissue
        return {
            "ihcscore": __version__,
            "steps": dict(STEPS),
            "libraries": libraries(),
            "image": image,
            "context": self.job.context.to_dict(),
            "tissue": {
                "um_per_px": tissue.um,
                **{f"{name}_mm2": round(tissue.area_mm2(code), 6) for code, name in enumerate(NAMES)},
            },
            "segmenter": describe(self.job.segmenter),
            "membranes": {"weights_sha256": packaged_sha256()},
            "grid": {
                "working_mpp": frame.working_mpp,
                "core_px": grid.core,
                "halo_px": grid.halo,
                "blocks": len(grid),
                "measured": len(self.keys),
            },
            "measured": {name: getattr(self.assay, name) for name in MEASURED_FIELDS if name.endswith("_um")},
        }

    def _box_um(self, key: Key) -> tuple[float, float, float, float]:
        y0, x0, y1, x1 = (v * self.job.image.frame.working_mpp for v in self.job.grid.tile(*key).core)
        return y0, x0, y1, x1


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that can change a number."""
    return {name: _version(name) for name in LIBRARIES}


@cache
def _version(name: str) -> str:
    return importlib.metadata.version(name)  # parses a file of thousands of lines


def plan_measurement(
    slide: Slide,
    assay: Assay,
    *,
    context: SlideContext | None = None,
    nuclei: Labels | None = None,
    within: shapely.Geometry | None = None,
) -> MeasurementPlan:
    """Survey a slide and lay out its tiles.

    Raises ValueError if a shape or the pixel size does not fit; IhcscoreError if a segmenter does not exist, or the
    slide cannot be read.

    Parameters
    ----------
    assay : Assay
        Its measurement fields are used.
    context : SlideContext, optional
        Background and stain vectors; estimated from the slide unless given.
    nuclei : ndarray of shape (M, N), integer, optional
        Label image of nuclei from another program, instead of segmenting.
    within : shapely geometry, optional
        In level-0 pixels: only tiles that matter for cells in it are measured. They are those of the whole slide.
    """
    survey = survey_slide(slide, assay)
    own = context or estimate_context([survey.sample], assay)
    complete = complete_context(survey.sample, own, shared=context is not None)
    segmenter, frame = _segmenter(assay, nuclei, slide)
    job = TileJob.of(WorkingImage(slide, frame), complete, segmenter, assay)
    keys = tuple((tile.row, tile.col) for tile in job.grid if _is_needed(job, survey, tile, within))
    return MeasurementPlan(slide, assay, survey, job, keys)


def measure_tiles(
    plan: MeasurementPlan,
    store: TileStore,
    executor: Executor,
    task: SlideTask | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Measure the tiles that the store does not hold yet.

    Raises IhcscoreError if a tile cannot be measured; tiles measured before are kept.

    Parameters
    ----------
    store : TileStore
        Keeps measured tiles.
    executor : Executor
        Runs the measurement.
    task : SlideTask, optional
        For workers in other processes.
    progress : callable, optional
        Called with the tiles done and the tiles in all.
    """
    done = set(store.done())
    left = [key for key in plan.keys if key not in done]
    total = len(plan.keys)
    if progress is not None:
        progress(total - len(left), total)
    for number, (key, tile) in enumerate(executor.run(plan.job, task, left), total - len(left) + 1):
        store.put(key, tile)
        if progress is not None:
            progress(number, total)


def open_job(task: SlideTask) -> TileJob:
    """Open a slide in a worker process and make its job; nothing is estimated again."""
    slide = open_slide(task.path, task.mpp)
    nuclei = None
    if task.nuclei is not None:
        width, height = slide.dimensions
        nuclei = read_nuclei(task.nuclei, (height, width), slide.mpp, task.place.back).labels
    segmenter, frame = _segmenter(task.assay, nuclei, slide)
    return TileJob.of(WorkingImage(slide, frame), task.context, segmenter, task.assay)


def _segmenter(assay: Assay, nuclei: Labels | None, slide: Slide) -> tuple[Segmenter, Frame]:
    """Return the segmenter and the frame of the pixels it works on."""
    width, height = slide.dimensions
    if nuclei is not None:
        frame = frame_for(width, height, mpp=slide.mpp)
        return GivenNuclei(nuclei, frame), frame
    segmenter = load_segmenter(assay.segmenter, assay.segmenter_parameters, assay.weights, assay.weights_sha256)
    try:
        check_mpp(segmenter.mpp)
    except ValueError as error:
        raise IhcscoreError(f"segmenter {assay.segmenter}: {error}") from None
    return segmenter, frame_for(width, height, mpp=slide.mpp, working_mpp=segmenter.mpp)


def _is_needed(job: TileJob, survey: SlideSurvey, tile: Tile, within: shapely.Geometry | None) -> bool:
    """Return whether a tile can own wanted cells, or share one of them with a neighbor."""
    frame = job.image.frame
    reach = CONTESTED_PX + int(np.ceil(um_to_px(job.segmenter.largest_object_um, frame.working_mpp)))
    y0, x0, y1, x1 = tile.core
    if within is not None:
        corners = np.array([[x0 - reach, y0 - reach], [x1 + reach, y1 + reach]], np.float64)
        if not within.intersects(shapely.box(*frame.to_level0(corners).ravel())):
            return False
    around = (max(0, y0 - CONTESTED_PX), max(0, x0 - CONTESTED_PX), y1 + CONTESTED_PX, x1 + CONTESTED_PX)
    y0_um, x0_um, y1_um, x1_um = (v * frame.working_mpp for v in around)
    return survey.tissue.has_tissue((y0_um, x0_um, y1_um, x1_um)) or isinstance(job.segmenter, GivenNuclei)
