"""The three passes, composed: settle the context, measure the blocks, score the table. Start reading here."""

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ihcscore
from ihcscore.assay import MEASURED_FIELDS, Assay, load_assay
from ihcscore.blocks import Job, measure_block, settle
from ihcscore.classify import classify, restain, scored_od
from ihcscore.context import SlideContext, settle_context, survey
from ihcscore.errors import IhcscoreError
from ihcscore.geometry import Frame, frame_for
from ihcscore.io.working import WorkingImage
from ihcscore.schema import CLASS_COLUMN, COLUMNS, SCHEMA_VERSION, SCORED_COLUMN
from ihcscore.segment.base import Segmenter
from ihcscore.segment.given import GivenNuclei
from ihcscore.segment.registry import describe, load_segmenter
from ihcscore.stains.vectors import StainMatrix
from ihcscore.summarize import ScoreRow, summarize

LIBRARIES = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "shapely")
"""Libraries whose version can change a number."""


@dataclass(frozen=True)
class Measurement:
    """The cell table of an image and what it was measured with.

    Parameters
    ----------
    cells : DataFrame
        Columns of `ihcscore.schema.COLUMNS`, a row for each cell.
    context : SlideContext
        Background and stain vectors.
    provenance : dict
        Versions, pixel size, segmenter, grid, parameters, digest of the table.
    """

    cells: pd.DataFrame
    context: SlideContext
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CellScores:
    """Classed cells and their scores.

    Parameters
    ----------
    cells : DataFrame
        The cell table with the columns ``Scored OD`` and ``Classification``.
    scores : ScoreRow
        Counts and scores.
    """

    cells: pd.DataFrame
    scores: ScoreRow


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
    assay = load_assay(assay)
    segmenter, frame = _segmenter(assay, nuclei, rgb.shape, mpp)
    settled = context or settle_context([survey(rgb, assay)], assay)
    job = Job.of(WorkingImage(rgb, frame), settled, segmenter, assay)
    cells = settle(_run(job, progress))
    return Measurement(cells, settled, _provenance(job, assay, cells))


def _segmenter(
    assay: Assay, nuclei: NDArray[np.integer] | None, shape: tuple[int, ...], mpp: float
) -> tuple[Segmenter, Frame]:
    """Make the segmenter and lay out the pixels it works on."""
    if nuclei is not None:
        frame = frame_for(shape[1], shape[0], mpp=mpp)
        return GivenNuclei(nuclei, frame), frame
    segmenter = load_segmenter(assay.segmenter, assay.segmenter_parameters, assay.weights, assay.weights_sha256)
    return segmenter, frame_for(shape[1], shape[0], mpp=mpp, working_mpp=segmenter.mpp)


def _run(job: Job, progress: Callable[[int, int], None] | None) -> list[dict[str, NDArray[Any]]]:
    parts = []
    for done, block in enumerate(job.grid, 1):
        parts.append(measure_block(job, block))
        if progress is not None:
            progress(done, len(job.grid))
    return parts


def _check_rgb(rgb: NDArray[np.uint8]) -> None:
    if rgb.dtype != np.uint8:
        raise TypeError(f"expected an 8-bit image (uint8), found {rgb.dtype}: rescale it to 0-255 first")
    if rgb.ndim != 3 or rgb.shape[-1] != 3 or rgb.size == 0:
        raise ValueError(f"expected an image of shape (M, N, 3) with pixels, found {rgb.shape}")


def _provenance(job: Job, assay: Assay, cells: pd.DataFrame) -> dict[str, Any]:
    frame = job.image.frame
    return {
        "ihcscore": ihcscore.__version__,
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "image": {
            "width": frame.width,
            "height": frame.height,
            "mpp": frame.mpp,
            "pixels_sha256": hashlib.sha256(np.ascontiguousarray(job.image.rgb).data).hexdigest(),
        },
        "context": job.context.to_dict(),
        "segmenter": describe(job.segmenter),
        "grid": {"working_mpp": frame.working_mpp, "core_px": job.grid.core, "halo_px": job.grid.halo},
        "measured": {name: getattr(assay, name) for name in MEASURED_FIELDS if name.endswith("_um")},
        "cells": {"schema_version": SCHEMA_VERSION, "rows": len(cells), "sha256": digest(cells)},
    }


def digest(cells: pd.DataFrame) -> str:
    """Give the SHA-256 of a cell table's measured values, whatever file it is stored in."""
    sha = hashlib.sha256()
    for column in COLUMNS:
        if column.name not in cells.columns:
            continue
        values = cells[column.name]
        sha.update(column.name.encode())
        if column.dtype in ("str", "bytes"):
            parts = [v.encode() for v in values] if column.dtype == "str" else values.tolist()
            sha.update(np.array([*map(len, parts)], np.int64).tobytes())
            for part in parts:
                sha.update(part)
        else:
            sha.update(np.ascontiguousarray(values.to_numpy(column.dtype)).tobytes())
    return sha.hexdigest()


def score_cells(
    cells: pd.DataFrame, assay: str | Path | Assay = "generic-nuclear", *, image: str = "image", group: str = ""
) -> CellScores:
    """Class the cells of a table and score them; no pixel is touched.

    Parameters
    ----------
    cells : DataFrame
        Cell table. Not modified.
    assay : str, Path or Assay, default "generic-nuclear"
        Preset, file or assay; its compartments, thresholds and population are used.
    image, group : str
        Keys of the row of scores.

    Returns
    -------
    CellScores

    Raises
    ------
    IhcscoreError
        If the assay does not exist or does not make sense.
    """
    assay = load_assay(assay)
    classed = cells.copy()
    classed[SCORED_COLUMN] = scored_od(cells, assay.compartment)
    classed[CLASS_COLUMN] = pd.Series(classify(classed[SCORED_COLUMN], assay.thresholds), cells.index, dtype="str")
    return CellScores(classed, summarize(classed, assay, image=image, group=group))


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
    changed = [name for name in MEASURED_FIELDS if getattr(assay, name) != getattr(measured_by, name)]
    if changed:
        raise IhcscoreError(f"{', '.join(changed)} decides what is measured: score the images again to change it")
    context = context_for(measurement.context, assay, measured_by)
    shift = np.log10(np.asarray(context.background)) - np.log10(np.asarray(measurement.context.background))
    same = context.stains == measurement.context.stains and not shift.any()
    cells = measurement.cells if same else restain(measurement.cells, context.stains, shift)
    return score_cells(cells, assay, image=image)


def context_for(context: SlideContext, assay: Assay, measured_by: Assay) -> SlideContext:
    """Give the context in which an assay scores what another one measured.

    Raises
    ------
    IhcscoreError
        If the assay asks for an estimate that was not made when measuring.
    """
    if assay.background != measured_by.background:
        if isinstance(assay.background, str):
            raise IhcscoreError("background 'auto' needs the pixels: give it as R,G,B to score again from the table")
        context = dataclasses.replace(context, background=assay.background, background_origin="given")
    if assay.stains != measured_by.stains:
        if assay.stains == "estimate":
            raise IhcscoreError("stains 'estimate' needs the pixels: give vectors to score again from the table")
        given = isinstance(assay.stains, StainMatrix)
        stains = assay.stains if isinstance(assay.stains, StainMatrix) else StainMatrix()
        origin = "given" if given else "default: Ruifrok & Johnston 2001"
        context = dataclasses.replace(context, stains=stains, stains_origin=origin)
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
    if context is not None:  # what holds is recorded, not the rule that it replaces
        assay = assay.replace(background=context.background, stains=context.stains)
    measurement = measure_image(rgb, mpp=mpp, assay=assay, context=context, nuclei=nuclei)
    scored = score_cells(measurement.cells, assay)
    return ImageResult(scored.cells, scored.scores, assay, measurement)
