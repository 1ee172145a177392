"""The three passes, composed: settle the context, measure the blocks, score the table. Start reading here."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import MEASURED_FIELDS, Assay, load_assay
from ihcscore.cells.quality import TileQuality
from ihcscore.errors import IhcscoreError, InputError
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.scoring.cell_types.model import epithelium_rule, read_classifier
from ihcscore.scoring.cell_types.types import CellTyper
from ihcscore.scoring.classify import classify, left_out, restain, scored_od
from ihcscore.scoring.membrane_patterns import is_measured, membrane_patterns
from ihcscore.scoring.off_color import off_color, off_plane
from ihcscore.scoring.regions import RegionSet, in_regions
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.scoring.score_table import NO_REGIONS, score_rows
from ihcscore.stains.plane import Plane
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.context import NO_GLASS, OF_ESTIMATE, SlideContext
from ihcscore.table.digest import digest
from ihcscore.table.schema import (
    CELL_TYPE_COLUMN,
    CLASS_COLUMN,
    LEFT_OUT_COLUMN,
    OFF_COLOR_COLUMN,
    OFF_PLANE_COLUMN,
    PATTERN_COLUMN,
    REGION_COLUMN,
    SCHEMA_VERSION,
    SCORED_COLUMN,
)
from ihcscore.tiles.executors import SerialExecutor
from ihcscore.tiles.measure_slide import measure, plan_measurement
from ihcscore.tiles.store import MemoryStore


@dataclass(frozen=True)
class Measurement:
    """The cell table of an image and what it was measured with.

    Parameters
    ----------
    cells : DataFrame
        Columns of `ihcscore.table.schema.COLUMNS`, a row for each cell.
    context : SlideContext
        Background and stain vectors.
    provenance : dict
        Versions, pixel size, tissue, segmenter, grid, parameters, digest of the table.
    quality : tuple of TileQuality
        Of each block that was measured.
    """

    cells: pd.DataFrame
    context: SlideContext
    provenance: dict[str, Any] = field(default_factory=dict)
    quality: tuple[TileQuality, ...] = ()


@dataclass(frozen=True)
class CellScores:
    """Classed cells and their scores.

    Parameters
    ----------
    cells : DataFrame
        The cell table with the columns ``Scored OD`` and ``Classification``.
    scores : ScoreRow
        Counts and scores of all of them.
    regions : tuple of ScoreRow
        The same for each region, and for the regions of each class together.
    """

    cells: pd.DataFrame
    scores: ScoreRow
    regions: tuple[ScoreRow, ...] = ()


@dataclass(frozen=True)
class ImageResult:
    """What `score_image` gives.

    Parameters
    ----------
    cells : DataFrame
        The cell table with classes.
    scores : ScoreRow
        Counts and scores of the image.
    assay : Assay
        How it was scored.
    measurement : Measurement
        What it was scored from.
    """

    cells: pd.DataFrame
    scores: ScoreRow
    assay: Assay
    measurement: Measurement

    @property
    def provenance(self) -> dict[str, Any]:
        """What the result was made from and with, as plain values."""
        return {**self.measurement.provenance, "assay": self.assay.to_record()}


def measure_image(
    rgb: NDArray[np.uint8],
    *,
    mpp: float,
    assay: str | Path | Assay = "generic-nuclear",
    context: SlideContext | None = None,
    nuclei: NDArray[np.integer] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Find and measure the cells of an image.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Brightfield image, H-DAB. Not modified.
    mpp : float
        um per pixel; 0.02 <= mpp <= 1.
    assay : str, Path or Assay, default "generic-nuclear"
        Preset, file or assay; its measurement fields are used.
    context : SlideContext, optional
        Background and stain vectors settled before; settled from the image unless given.
    nuclei : ndarray of shape (M, N), integer, optional
        Label image of nuclei found elsewhere, instead of segmenting.
    progress : callable, optional
        Called with blocks done and blocks in all.

    Returns
    -------
    Measurement
        Its table may have no rows.

    Raises
    ------
    TypeError
        If `rgb` is not uint8.
    ValueError
        If a shape or the pixel size does not fit.
    IhcscoreError
        If an assay or segmenter does not exist or does not make sense.

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
    progress: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Find and measure the cells of a slide, with the table in memory.

    Parameters
    ----------
    slide : Slide
        As `ihcscore.open_slide` gives it. For tables that do not fit in memory, several workers and runs that go on
        where they were stopped, see `ihcscore.workflows.score_folder.score_files`.
    assay, context, nuclei, progress
        As in `measure_image`.

    Returns
    -------
    Measurement
        Its table may have no rows.

    Raises
    ------
    ValueError
        If a shape or the pixel size does not fit.
    IhcscoreError
        If an assay or segmenter does not exist or does not make sense, or the slide cannot be read.
    """
    assay = load_assay(assay)
    plan, parts = plan_measurement(slide, assay, context=context, nuclei=nuclei), MemoryStore()
    measure(plan, parts, SerialExecutor(), progress=progress)
    tables = list(plan.tables(parts))
    cells = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    about = {"schema_version": SCHEMA_VERSION, "rows": len(cells), "sha256": digest(cells)}
    provenance = {**plan.provenance(), "cells": about}
    return Measurement(cells, plan.job.context, provenance, tuple(plan.quality(parts)))


def _check_rgb(rgb: NDArray[np.uint8]) -> None:
    if rgb.dtype != np.uint8:
        raise TypeError(f"expected an 8-bit image (uint8), found {rgb.dtype}: rescale it to 0-255 first")
    if rgb.ndim != 3 or rgb.shape[-1] != 3 or rgb.size == 0:
        raise ValueError(f"expected an image of shape (M, N, 3) with pixels, found {rgb.shape}")


def make_cell_typer(assay: Assay, regions: RegionSet) -> CellTyper:
    """Give what tells types of cells: regions, and the assay's classifier or rule.

    Raises
    ------
    IhcscoreError
        If the classifier cannot be read, is not the one that was used, or is not named though its hash is.
    """
    if assay.classifier is None:
        if assay.classifier_sha256 is not None:
            raise IhcscoreError("classifier_sha256: there is nothing to check without classifier")
        return CellTyper(regions, epithelium_rule() if assay.tumor_rule else None)
    path = Path(assay.classifier)
    found = read_classifier(path)
    if assay.classifier_sha256 not in (None, found.sha256):
        raise InputError(path, "is not the classifier that was used (other SHA-256)")
    return CellTyper(regions, found)


def classifier_warnings(assay: Assay, segmenter: str) -> list[str]:
    """Say what is wrong with an assay's classifier for nuclei of a segmenter."""
    return [] if assay.classifier is None else read_classifier(Path(assay.classifier)).warnings(segmenter)


def classify_tables(
    tables: Callable[[], Iterable[pd.DataFrame]],
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    plane: Plane | None = None,
) -> Iterator[pd.DataFrame]:
    """Add what scoring adds to a cell table that is given block by block; see `classify_table`.

    Parameters
    ----------
    tables : callable
        Gives the table from its beginning; called twice where types of cells depend on their neighbours.
    assay : Assay
    regions : RegionSet
    plane : tuple of 4 float, optional
        Plane of the slide's stains (`ihcscore.stains.plane`), to tell cells of another colour.

    Raises
    ------
    IhcscoreError
        If only cells in regions are wanted, and there are no regions.
    """
    if assay.only_regions and not len(regions):
        raise IhcscoreError("only the cells in regions are wanted (only_regions), and there are none: give regions")

    def wanted() -> Iterable[pd.DataFrame]:
        # before their types are told: these depend on neighbours, and the table of results has no others
        return (_inside(cells, regions) for cells in tables()) if assay.only_regions else tables()

    typer = make_cell_typer(assay, regions)
    if typer.needs_features:
        typer.look(wanted())
    for cells in wanted():
        yield classify_table(cells, assay, regions, typer, plane)


def _inside(cells: pd.DataFrame, regions: RegionSet) -> pd.DataFrame:
    inside: pd.DataFrame = cells[regions.names_at(cells[["x_px", "y_px"]].to_numpy()) != ""]
    return inside


def classify_table(
    cells: pd.DataFrame,
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    typer: CellTyper | None = None,
    plane: Plane | None = None,
) -> pd.DataFrame:
    """Add what scoring adds to a cell table: density, class, regions, type, membrane pattern, what is left out.

    Parameters
    ----------
    cells : DataFrame
        Cell table, or a part of one. Not modified.
    assay : Assay
        Its compartments and thresholds.
    regions : RegionSet
    typer : CellTyper, optional
        What tells types of cells, having seen the table; without it, the regions do.
    plane : tuple of 4 float, optional
        As in `classify_tables`.

    Returns
    -------
    DataFrame
    """
    classed = cells.copy()
    classed[SCORED_COLUMN] = scored_od(cells, assay.compartment, ridge=assay.membrane_from == "ridge")
    classed[CLASS_COLUMN] = pd.Series(classify(classed[SCORED_COLUMN], assay.thresholds), cells.index, dtype="str")
    judged = "her2" in assay.scores and is_measured(cells)
    patterns = membrane_patterns(cells, assay) if judged else np.full(len(cells), "", object)
    classed[PATTERN_COLUMN] = pd.Series(patterns, cells.index, dtype="str")
    classed[OFF_PLANE_COLUMN] = outside = off_plane(cells, assay, plane)
    classed[OFF_COLOR_COLUMN] = off_color(cells, assay, outside)
    names = regions.names_at(cells[["x_px", "y_px"]].to_numpy())
    classed[REGION_COLUMN] = pd.Series(names, cells.index, dtype="str")
    types = (typer or CellTyper(regions)).types(classed)
    classed[CELL_TYPE_COLUMN] = pd.Series(types, cells.index, dtype="str")
    why = left_out(classed, assay, in_regions(names, regions.excluded(assay.exclude)))
    classed[LEFT_OUT_COLUMN] = pd.Series(why, cells.index, dtype="str")
    return classed


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
    """Class the cells of a table and score them; no pixel is touched.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    assay : str, Path or Assay, default "generic-nuclear"
        Preset, file or assay; its compartments, thresholds, population and excluded classes are used.
    regions : RegionSet
        Each of them is scored, too.
    context : SlideContext, optional
        Of the measurement: without it, the sensitivity band moves thresholds only, and cells of another colour are not
        told.
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
        If the assay does not exist or does not make sense.
    """
    assay = load_assay(assay)
    plane = None if context is None else context.plane
    (classed,) = classify_tables(lambda: [cells], assay, regions, plane)
    rows = score_rows(classed, assay, regions, context, image=image, group=group, tissue_mm2=tissue_mm2)
    return CellScores(classed, rows[0], tuple(rows[1:]))


def rescore(measurement: Measurement, assay: Assay, measured_by: Assay, *, image: str = "image") -> CellScores:
    """Score a measurement by another assay, its stains and background included, from the cell table alone.

    Parameters
    ----------
    measurement : Measurement
        Not modified.
    assay : Assay
        Must measure the same cells. Its stains and background may differ, as values; so may everything about scoring.
    measured_by : Assay
        The assay of the measurement: where `assay` has the same rule for background or stains, what that rule gave
        then still holds.
    image : str
        Key of the row of scores.

    Returns
    -------
    CellScores
        Where stains or background differ, the columns that cannot follow without pixels are left out.

    Raises
    ------
    IhcscoreError
        If the assay asks for something else to be measured, or for a new estimate, which needs the pixels.
    """
    cells = restain_table(measurement.cells, measurement.context, assay, measured_by)
    return score_cells(cells, assay, context=rescoring_context(measurement.context, assay, measured_by), image=image)


def restain_table(cells: pd.DataFrame, context: SlideContext, assay: Assay, measured_by: Assay) -> pd.DataFrame:
    """Give the cell table as another assay's stains and background make it.

    Parameters
    ----------
    cells : DataFrame
        As measured, or a part of it. Not modified.
    context : SlideContext
        Of the measurement.
    assay, measured_by : Assay
        As in `rescore`.

    Returns
    -------
    DataFrame
        The same table, where they do not differ.

    Raises
    ------
    IhcscoreError
        As in `rescore`.
    """
    changed = [name for name in MEASURED_FIELDS if getattr(assay, name) != getattr(measured_by, name)]
    if changed:
        raise IhcscoreError(f"{', '.join(changed)} decides what is measured: score the images again to change it")
    new = rescoring_context(context, assay, measured_by)
    shift = np.log10(np.asarray(new.background)) - np.log10(np.asarray(context.background))
    same = new.stains == context.stains and not shift.any()
    return cells if same else restain(cells, new.stains, shift)


def rescoring_context(context: SlideContext, assay: Assay, measured_by: Assay) -> SlideContext:
    """Give the context in which an assay scores what another one measured.

    Raises
    ------
    IhcscoreError
        If the assay asks for an estimate that was not made when measuring.
    """
    if assay.background != measured_by.background:
        if isinstance(assay.background, str):
            raise IhcscoreError("background 'auto' needs the pixels: give it as R,G,B to score again from the table")
        kept = [text for text in context.warnings if text != NO_GLASS]
        context = dataclasses.replace(
            context, background=assay.background, background_origin="given", warnings=tuple(kept)
        )
    if assay.stains != measured_by.stains:
        if assay.stains == "estimate":
            raise IhcscoreError("stains 'estimate' needs the pixels: give vectors to score again from the table")
        given = isinstance(assay.stains, StainMatrix)
        stains = assay.stains if isinstance(assay.stains, StainMatrix) else StainMatrix()
        origin = "given" if given else "default: Ruifrok & Johnston 2001"
        kept = [text for text in context.warnings if not any(part in text for part in OF_ESTIMATE)]
        context = dataclasses.replace(context, stains=stains, stains_origin=origin, warnings=tuple(kept))
    return context


def score_image(
    rgb: NDArray[np.uint8],
    *,
    mpp: float,
    assay: str | Path | Assay = "generic-nuclear",
    context: SlideContext | None = None,
    nuclei: NDArray[np.integer] | None = None,
) -> ImageResult:
    """Score an image: find its cells, measure them, class them, aggregate.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Brightfield image, H-DAB. Not modified.
    mpp : float
        um per pixel; 0.02 <= mpp <= 1. There is no default: a wrong pixel size gives wrong cells.
    assay : str, Path or Assay, default "generic-nuclear"
        What is scored, and how.
    context : SlideContext, optional
        Background and stain vectors settled before; settled from the image unless given.
    nuclei : ndarray of shape (M, N), integer, optional
        Label image of nuclei found elsewhere, instead of segmenting.

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
        If an assay or segmenter does not exist or does not make sense.

    Examples
    --------
    >>> blank = score_image(np.full((40, 40, 3), 245, np.uint8), mpp=0.5)
    >>> blank.scores.status, blank.scores.h_score, blank.scores.reason
    ('unscorable', None, 'no scored cells (no nuclei found: is it blank, or the pixel size wrong?)')
    """
    assay = load_assay(assay)
    if assay.only_regions:
        raise IhcscoreError("only the cells in regions are wanted (only_regions), and an array has none: score_files")
    if context is not None:  # what holds is recorded, not the rule that it replaces
        assay = assay.replace(background=context.background, stains=context.stains)
    measurement = measure_image(rgb, mpp=mpp, assay=assay, context=context, nuclei=nuclei)
    tissue_mm2 = measurement.provenance["tissue"]["tissue_mm2"]
    scored = score_cells(measurement.cells, assay, context=measurement.context, tissue_mm2=tissue_mm2)
    return ImageResult(scored.cells, scored.scores, assay, measurement)
