"""The three passes from pixels to scores, composed: start reading here.

1. *Survey*: look at the slide as a whole, estimate its background and stain vectors (`ihcscore.survey`).
2. *Measure*: find the nuclei of each tile and measure their cells (`ihcscore.tiles`, `ihcscore.cells`).
3. *Score*: classify the cells of the table, count, and compute scores with intervals (`ihcscore.scoring`).

`score_slide` is the only place that puts them together: the functions for arrays below use it, and so do the workflows
behind the command line. Scoring again runs the third pass alone.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.assays import Assay, load_assay
from ihcscore.errors import IhcscoreError
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.scoring.image_result import CellScores, ImageResult, Measurement
from ihcscore.scoring.regions import NO_REGIONS, RegionSet
from ihcscore.scoring.restain import rescoring_context, restain_table
from ihcscore.scoring.scoring_pass import ScoringPass
from ihcscore.survey.context import SlideContext
from ihcscore.table.digest import digest
from ihcscore.table.schema import SCHEMA_VERSION, SCORED_COLUMNS
from ihcscore.tiles.measure_slide import measure_tiles, plan_measurement
from ihcscore.tiles.measured_slide import Execution, MeasuredSlide, Progress


def score_slide(
    slide: Slide,
    assay: Assay,
    *,
    context: SlideContext | None = None,
    regions: RegionSet = NO_REGIONS,
    nuclei: NDArray[np.integer] | None = None,
    execution: Execution | None = None,
    keys: tuple[str, str] = ("image", ""),
) -> tuple[MeasuredSlide, ScoringPass]:
    """Survey and measure a slide, and prepare its scoring pass.

    Raises ValueError if a shape or the pixel size does not fit; IhcscoreError if a segmenter does not exist or the
    slide cannot be read.

    Parameters
    ----------
    slide : Slide
        As returned by `ihcscore.open_slide`.
    context : SlideContext, optional
        Background and stain vectors; estimated from the slide unless given.
    regions : RegionSet
        Regions to score.
    nuclei : ndarray of shape (M, N), integer, optional
        Label image of nuclei from another program, instead of segmenting.
    execution : Execution, optional
        Where tiles are measured and kept; on one core and in memory unless given.
    keys : tuple of str
        Image and group of the rows of scores.

    Returns
    -------
    measured : MeasuredSlide
        Its tiles are measured.
    scoring : ScoringPass
        Iterate over it for the classified tables; its rows are known then.
    """
    within = regions.covered if assay.only_regions else None
    measured = _measure(slide, assay, context, nuclei, execution or Execution(), within)
    image, group = keys
    return measured, ScoringPass(measured.tables, assay, regions, measured.context, image=image, group=group)


def _measure(
    slide: Slide,
    assay: Assay,
    context: SlideContext | None,
    nuclei: NDArray[np.integer] | None,
    execution: Execution,
    within: shapely.Geometry | None = None,
) -> MeasuredSlide:
    plan = plan_measurement(slide, assay, context=context, nuclei=nuclei, within=within)
    store = execution.make_store(plan)
    measure_tiles(plan, store, execution.executor, execution.make_task(plan), execution.progress)
    return MeasuredSlide(plan, store)


def score_image(
    rgb: NDArray[np.uint8],
    *,
    mpp: float,
    assay: str | Path | Assay = "generic-nuclear",
    context: SlideContext | None = None,
    nuclei: NDArray[np.integer] | None = None,
) -> ImageResult:
    """Score an image: find its cells, measure and classify them, and compute scores.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Brightfield image, H-DAB. Not modified.
    mpp : float
        um per pixel; 0.02 <= mpp <= 1. There is no default: a wrong pixel size gives wrong cells.
    assay : str, Path or Assay, default "generic-nuclear"
        What is scored, and how: a preset, an assay file or an assay.
    context : SlideContext, optional
        Background and stain vectors; estimated from the image unless given.
    nuclei : ndarray of shape (M, N), integer, optional
        Label image of nuclei from another program, instead of segmenting.

    Returns
    -------
    ImageResult
        ``scores.status`` is "unscorable" where no cell could be scored.

    Raises
    ------
    TypeError
        If `rgb` is not uint8.
    ValueError
        If a shape or the pixel size does not fit.
    IhcscoreError
        If an assay or segmenter does not exist or is invalid.

    Examples
    --------
    >>> blank = score_image(np.full((40, 40, 3), 245, np.uint8), mpp=0.5)
    >>> blank.scores.status, blank.scores.h_score, blank.scores.reason
    ('unscorable', None, 'no scored cells (no nuclei found: is it blank, or the pixel size wrong?)')
    """
    _check_rgb(rgb)
    assay = load_assay(assay)
    if assay.only_regions:
        raise IhcscoreError("only the cells in regions are wanted (only_regions), and an array has none: score_files")
    if context is not None:  # the record holds the values, not the rule that they replace
        assay = assay.replace(background=context.background, stains=context.stains)
    measured, scoring = score_slide(ArraySlide(rgb, mpp), assay, context=context, nuclei=nuclei)
    cells = _concatenated(scoring)
    rows = scoring.rows(measured.tissue_mm2)
    own = cells.drop(columns=[column.name for column in SCORED_COLUMNS])
    return ImageResult(cells, rows[0], assay, _measurement(measured, own, scoring.cells_sha256))


def measure_image(
    rgb: NDArray[np.uint8],
    *,
    mpp: float,
    assay: str | Path | Assay = "generic-nuclear",
    context: SlideContext | None = None,
    nuclei: NDArray[np.integer] | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Find and measure the cells of an image.

    Parameters
    ----------
    rgb, mpp, context, nuclei
        As for `score_image`.
    assay : str, Path or Assay, default "generic-nuclear"
        Preset, file or assay; its measurement fields are used.
    progress : callable, optional
        Called with the tiles done and the tiles in all.

    Returns
    -------
    Measurement
        Its table may have no rows.

    Raises
    ------
    TypeError, ValueError, IhcscoreError
        As `score_image`.

    Examples
    --------
    >>> measure_image(np.full((40, 40, 3), 245, np.uint8), mpp=0.5).cells.shape[0]
    0
    """
    _check_rgb(rgb)
    return measure_slide(ArraySlide(rgb, mpp), assay=assay, context=context, nuclei=nuclei, progress=progress)


def measure_slide(
    slide: Slide,
    *,
    assay: str | Path | Assay = "generic-nuclear",
    context: SlideContext | None = None,
    nuclei: NDArray[np.integer] | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Find and measure the cells of a slide, with the table in memory.

    Parameters
    ----------
    slide : Slide
        As returned by `ihcscore.open_slide`. For tables that do not fit in memory, several workers and runs that
        resume, see `ihcscore.workflows.score_files`.
    assay, context, nuclei, progress
        As for `measure_image`.

    Returns
    -------
    Measurement
        Its table may have no rows.

    Raises
    ------
    ValueError
        If a shape or the pixel size does not fit.
    IhcscoreError
        If an assay or segmenter does not exist or is invalid, or the slide cannot be read.
    """
    measured = _measure(slide, load_assay(assay), context, nuclei, Execution(progress=progress))
    cells = _concatenated(measured.tables())
    return _measurement(measured, cells)


def score_cells(
    cells: pd.DataFrame,
    assay: str | Path | Assay = "generic-nuclear",
    regions: RegionSet = NO_REGIONS,
    context: SlideContext | None = None,
    *,
    image: str = "image",
    group: str = "",
    tissue_mm2: float | None = None,
) -> CellScores:
    """Classify and score the cells of a table; no pixel is read.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    assay : str, Path or Assay, default "generic-nuclear"
        Preset, file or assay; its compartments, thresholds, population and excluded classes are used.
    regions : RegionSet
        Each region is scored, too.
    context : SlideContext, optional
        Of the measurement: without it, the sensitivity band moves thresholds only, and off-color cells are not
        detected.
    image, group : str
        Keys of the rows of scores.
    tissue_mm2 : float, optional
        Area of the image's tissue.

    Returns
    -------
    CellScores

    Raises
    ------
    IhcscoreError
        If the assay does not exist or is invalid.
    """
    scoring = ScoringPass(
        lambda: [cells], load_assay(assay), regions, context, image=image, group=group, with_digest=False
    )
    classified = _concatenated(scoring)
    rows = scoring.rows(tissue_mm2)
    return CellScores(classified, rows[0], tuple(rows[1:]))


def rescore(measurement: Measurement, assay: Assay, measured_by: Assay, *, image: str = "image") -> CellScores:
    """Score a measurement by another assay, from its cell table alone.

    Parameters
    ----------
    measurement : Measurement
        Not modified.
    assay : Assay
        Must measure the same cells. Its stains and background may differ, as values; so may everything about scoring.
    measured_by : Assay
        The assay of the measurement: where `assay` has the same rule for background or stains, its result
        still holds.
    image : str
        Key of the row of scores.

    Returns
    -------
    CellScores
        Where stains or background differ, columns that do not follow without pixels are dropped.

    Raises
    ------
    IhcscoreError
        If the assay measures something else, or needs a new estimate, which needs the pixels.
    """
    cells = restain_table(measurement.cells, measurement.context, assay, measured_by)
    return score_cells(cells, assay, context=rescoring_context(measurement.context, assay, measured_by), image=image)


def _check_rgb(rgb: NDArray[np.uint8]) -> None:
    if rgb.dtype != np.uint8:
        raise TypeError(f"expected an 8-bit image (uint8), found {rgb.dtype}: rescale it to 0-255 first")
    if rgb.ndim != 3 or rgb.shape[-1] != 3 or rgb.size == 0:
        raise ValueError(f"expected an image of shape (M, N, 3) with pixels, found {rgb.shape}")


def _concatenated(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    found = list(tables)
    return pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]


def _measurement(measured: MeasuredSlide, cells: pd.DataFrame, sha256: str | None = None) -> Measurement:
    about = {"schema_version": SCHEMA_VERSION, "rows": len(cells), "sha256": sha256 or digest(cells)}
    return Measurement(cells, measured.context, {**measured.provenance(), "cells": about}, measured.quality())
