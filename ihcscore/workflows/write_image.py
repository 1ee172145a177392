"""Write an image's result: its cell table, its scores, and what is derived from them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ihcscore.cells.quality import quality_warnings
from ihcscore.io.hashing import file_sha256
from ihcscore.io.regions import write_regions
from ihcscore.io.slides.base import Slide
from ihcscore.results.layout import BLOCKS, CELLS, CELLS_CSV, GEOJSON, OVERLAY, QUALITY, REGIONS, SUMMARY
from ihcscore.results.writers.geojson import WRITTEN, write_geojson
from ihcscore.results.writers.overlay import DRAWN, write_overlay
from ihcscore.results.writers.scoremap import MAPPED, write_score_map
from ihcscore.results.writers.summary import write_summary
from ihcscore.results.writers.tables import iter_cells, write_blocks, write_cells, write_cells_csv, write_quality
from ihcscore.scoring.classify_table import classifier_warnings
from ihcscore.scoring.off_color import off_color_warnings
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.scoring.scoring_pass import ScoringPass
from ihcscore.table.schema import SCHEMA_VERSION
from ihcscore.tiles.measured_slide import MeasuredSlide
from ihcscore.tiles.store import MemoryStore
from ihcscore.workflows.loaded_image import LoadedImage

SHOWN = tuple(dict.fromkeys((*WRITTEN, *DRAWN, *MAPPED)))
"""Columns of the cell table that pictures and GeoJSON are made of."""

SLIDE_PX = 8192
"""An image with a longer side is shown as a map of scores, not of outlines, and its GeoJSON is written on request."""


def derived_files(slide: Slide, cells_csv: bool, geojson: bool | None) -> list[str]:
    """Return the files that are made of a slide's cell table; by default, GeoJSON is one up to `SLIDE_PX`."""
    wanted = max(slide.dimensions) <= SLIDE_PX if geojson is None else geojson
    return [OVERLAY] + [GEOJSON] * wanted + [CELLS_CSV] * cells_csv


def write_scored(
    folder: Path, scoring: ScoringPass, tissue_mm2: float | None, shown: list[pd.DataFrame] | None = None
) -> tuple[list[ScoreRow], dict[str, Any]]:
    """Score all cells and write their table, the blocks of the intervals, and the regions.

    Parameters
    ----------
    folder : Path
        Of the image's result.
    scoring : ScoringPass
        Not iterated over yet.
    tissue_mm2 : float or None
        Area of the image's tissue.
    shown : list, optional
        Collects the columns `SHOWN` of each table, where these fit in memory.

    Returns
    -------
    record : dict
        Scores and digests, for the summary.
    """

    def classified() -> Iterator[pd.DataFrame]:
        for table in scoring:
            if shown is not None:
                shown.append(table[[name for name in SHOWN if name in table]])
            yield table

    write_cells(folder / CELLS, classified())
    rows = scoring.rows(tissue_mm2)
    write_blocks(folder / BLOCKS, scoring.samplings)
    record = {
        "scores": rows[0].to_dict(),
        "regions": [row.to_dict() for row in rows[1:]],
        "cells": {"schema_version": SCHEMA_VERSION, "rows": scoring.cell_count, "sha256": scoring.cells_sha256},
    }
    if len(scoring.regions):
        write_regions(folder / REGIONS, scoring.regions.regions)
        record["regions_sha256"] = file_sha256(folder / REGIONS)
    return rows, record


def write_result(
    image: LoadedImage, folder: Path, measured: MeasuredSlide, scoring: ScoringPass, derived: Sequence[str]
) -> list[str]:
    """Write the result of a measured slide; the summary comes last.

    Parameters
    ----------
    folder : Path
        Of the image's result.
    scoring : ScoringPass
        Not iterated over yet.
    derived : sequence of str
        What else to write of the cells, as returned by `derived_files`.

    Returns
    -------
    list of str
        The summary's warnings.
    """
    shown: list[pd.DataFrame] | None = [] if isinstance(measured.store, MemoryStore) else None
    rows, record = write_scored(folder, scoring, measured.tissue_mm2, shown)
    quality = measured.quality()
    write_quality(folder / QUALITY, quality)
    write_derived(folder, image, derived, shown)
    noticed = [*measured.context.warnings, *quality_warnings(quality), *scoring_warnings(rows[0], scoring, measured)]
    summary = image.summary(noticed, {**measured.provenance(), **record})
    write_summary(folder / SUMMARY, summary)
    return list(summary["warnings"])


def scoring_warnings(row: ScoreRow, scoring: ScoringPass, measured: MeasuredSlide) -> list[str]:
    """Return warnings about off-color cells and about the classifier."""
    segmenter = measured.plan.job.segmenter.name
    return [*off_color_warnings(row, scoring.assay), *classifier_warnings(scoring.assay, segmenter)]


def write_derived(
    folder: Path, image: LoadedImage, names: Sequence[str], shown: Sequence[pd.DataFrame] | None = None
) -> None:
    """Write what is derived from the cell table; `shown`, its columns `SHOWN`, spares reading them again."""

    def cells(columns: Sequence[str]) -> Iterable[pd.DataFrame]:
        return iter_cells(folder / CELLS, columns) if shown is None else shown

    small = max(image.slide.dimensions) <= SLIDE_PX
    picture, columns = (write_overlay, DRAWN) if small else (write_score_map, MAPPED)
    writers: dict[str, Callable[[Path], None]] = {
        CELLS_CSV: lambda path: write_cells_csv(path, iter_cells(folder / CELLS)),
        GEOJSON: lambda path: write_geojson(path, cells(WRITTEN), image.placement),
        OVERLAY: lambda path: picture(path, image.slide, cells(columns), image.regions),
    }
    for name in names:
        writers[name](folder / name)
