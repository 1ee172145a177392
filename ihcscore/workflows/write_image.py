"""Write an image's result: its cell table, and what is derived from it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from ihcscore.api import classifier_warnings, classify_tables
from ihcscore.cells.quality import quality_warnings
from ihcscore.io.regions import write_regions
from ihcscore.io.slides.base import Slide
from ihcscore.results.folder import BLOCKS, CELLS, CELLS_CSV, GEOJSON, OVERLAY, QUALITY, REGIONS, SUMMARY, file_sha256
from ihcscore.results.writers.geojson import WRITTEN, write_geojson
from ihcscore.results.writers.overlay import DRAWN, write_overlay
from ihcscore.results.writers.scoremap import MAPPED, write_score_map
from ihcscore.results.writers.summary import write_summary
from ihcscore.results.writers.tables import iter_cells, write_blocks, write_cells, write_cells_csv, write_quality
from ihcscore.scoring.off_color import off_color_warnings
from ihcscore.scoring.score_table import ScoreTable
from ihcscore.table.digest import TableDigest
from ihcscore.table.schema import SCHEMA_VERSION
from ihcscore.tiles.measure_slide import MeasurementPlan
from ihcscore.tiles.store import MemoryStore, TileStore
from ihcscore.workflows.loaded_image import LoadedImage

SHOWN = tuple(dict.fromkeys((*WRITTEN, *DRAWN, *MAPPED)))
"""Columns of the cell table that pictures and GeoJSON are made of."""

SLIDE_PX = 8192
"""An image with a longer side is shown as a map of scores, not of outlines, and its GeoJSON is written on request."""


def derived_files(slide: Slide, cells_csv: bool, geojson: bool | None) -> list[str]:
    """Name the files that are made of a slide's cell table; by default, GeoJSON is one up to `SLIDE_PX`."""
    wanted = max(slide.dimensions) <= SLIDE_PX if geojson is None else geojson
    return [OVERLAY] + [GEOJSON] * wanted + [CELLS_CSV] * cells_csv


def write_result(
    source: LoadedImage, folder: Path, plan: MeasurementPlan, store: TileStore, derived: Sequence[str]
) -> list[str]:
    """Write the result of a slide whose blocks are all measured; the summary comes last.

    Parameters
    ----------
    source : LoadedImage
    folder : Path
        Of the image's result.
    plan : MeasurementPlan
    store : TileStore
        Its blocks, all of them.
    derived : sequence of str
        What else to write of the cells, as of `derived_files`.

    Returns
    -------
    list of str
        The summary's warnings.
    """
    assay, digest = source.assay, TableDigest()
    context = plan.job.context
    scored = ScoreTable(assay, source.regions, context, image=source.item.name, group=source.item.group)
    in_memory = isinstance(store, MemoryStore)
    shown: list[pd.DataFrame] = []

    def classed() -> Iterator[pd.DataFrame]:
        for table in classify_tables(partial(plan.tables, store), assay, source.regions, context.plane):
            digest.update(table)
            scored.add(table)
            if in_memory:
                shown.append(table[[name for name in SHOWN if name in table]])
            yield table

    write_cells(folder / CELLS, classed())
    provenance, quality = plan.provenance(), plan.quality(store)
    rows = scored.rows(None if assay.only_regions else provenance["tissue"]["tissue_mm2"])
    write_blocks(folder / BLOCKS, scored.samplings)
    write_quality(folder / QUALITY, quality)
    provenance["cells"] = {"schema_version": SCHEMA_VERSION, "rows": digest.rows, "sha256": digest.hexdigest()}
    if len(source.regions):
        write_regions(folder / REGIONS, source.regions.regions)
        provenance["regions_sha256"] = file_sha256(folder / REGIONS)
    write_derived(folder, source, derived, shown if in_memory else None)
    noticed = [*context.warnings, *quality_warnings(quality), *off_color_warnings(rows[0], assay)]
    noticed += classifier_warnings(assay, plan.job.segmenter.name)
    summary = source.summary(rows, noticed, provenance)
    write_summary(folder / SUMMARY, summary)
    return list(summary["warnings"])


def write_derived(
    folder: Path, source: LoadedImage, names: Sequence[str], shown: Sequence[pd.DataFrame] | None = None
) -> None:
    """Write what is derived from the cell table; `shown`, its columns `SHOWN`, spares reading them again."""

    def cells(columns: Sequence[str]) -> Iterable[pd.DataFrame]:
        return iter_cells(folder / CELLS, columns) if shown is None else shown

    small = max(source.slide.dimensions) <= SLIDE_PX
    picture, columns = (write_overlay, DRAWN) if small else (write_score_map, MAPPED)
    writers: dict[str, Callable[[Path], None]] = {
        CELLS_CSV: lambda path: write_cells_csv(path, iter_cells(folder / CELLS)),
        GEOJSON: lambda path: write_geojson(path, cells(WRITTEN), source.place),
        OVERLAY: lambda path: picture(path, source.slide, cells(columns), source.regions),
    }
    for name in names:
        writers[name](folder / name)
