"""ihcscore tma."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ihcscore.cli.options import (
    AssayName,
    Background,
    Classifier,
    Compartment,
    Out,
    Population,
    Scores,
    Stains,
    Thresholds,
    TumorRule,
    assay_with,
    changes,
    summarise_failures,
)

if TYPE_CHECKING:
    from ihcscore.workflows.tma.patients import CoreRow, PatientRow
    from ihcscore.workflows.tma.scoring import ArrayReport


def command(
    inputs: Annotated[list[str], typer.Argument(help="Slides, folders, globs, or CSV manifests with a column 'path'.")],
    out: Out,
    mpp: Annotated[float | None, typer.Option("--mpp", help="um per pixel, where files do not state it.")] = None,
    grid: Annotated[
        Path | None, typer.Option("--grid", help="Grid of cores as CSV, corrected by hand, or a folder of them.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="CSV with columns core, patient and, if needed, slide.")
    ] = None,
    core_mm: Annotated[float | None, typer.Option("--core-mm", help="Diameter of a core, if not to be found.")] = None,
    find_only: Annotated[
        bool, typer.Option("--find-only", help="Write the grids and pictures of them, and score nothing.")
    ] = False,
    assay: AssayName = None,
    thresholds: Thresholds = None,
    compartment: Compartment = None,
    stains: Stains = None,
    background: Background = None,
    scores: Scores = None,
    population: Population = None,
    classifier: Classifier = None,
    tumor_rule: TumorRule = False,
    segmenter: Annotated[str | None, typer.Option("--segmenter", help="What finds the nuclei.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that measure, one core each.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, or 'local' (extra dask).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of other parameters.")] = False,
) -> None:
    """Score tissue microarrays: find the cores on their grid, score each, and each patient."""
    if core_mm is not None and not 0.1 <= core_mm <= 10:
        raise typer.BadParameter("a diameter from 0.1 to 10 mm", param_hint="--core-mm")
    fields = changes(
        thresholds,
        compartment,
        stains,
        background,
        scores=scores,
        population=population,
        classifier=classifier,
        tumor_rule=tumor_rule,
        mpp=mpp,
        segmenter=segmenter,
    )

    from ihcscore.io.manifests import expand_inputs
    from ihcscore.workflows.tma.scoring import find_grids, score_arrays

    chosen, slides = assay_with(assay, fields), expand_inputs(inputs)
    if find_only:
        grids, refused = find_grids(slides, chosen, out, grid=grid, core_mm=core_mm)
        for name, found in grids.items():
            places = len(found.cores)
            print(f"{name}: {len(found.present)} cores, {places - len(found.present)} of {places} places empty")
        print(f"Grids and pictures are in {out / 'grids'}; correct the CSV and give it with --grid")
        summarise_failures([f"{name}: {reason}" for name, reason in refused.items()], len(slides))
        return
    report = score_arrays(
        slides,
        chosen,
        out,
        grid=grid,
        sheet=sheet,
        core_mm=core_mm,
        workers=workers,
        scheduler=scheduler,
        overwrite=overwrite,
    )
    for text in (*report.warnings, *report.run.warnings):
        typer.echo(f"warning: {text}", err=True)
    _show(report)
    tables = ["cores.csv"] * bool(report.cores) + ["patients.csv"] * bool(report.patients)
    print(f"Results are in {out}{': ' if tables else ''}{', '.join(tables)}")
    summarise_failures(report.run.failed, len(slides))


def _show(report: "ArrayReport") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("patient", "cores") if report.patients else ("slide", "core"):
        table.add_column(name)
    for name in ("cells", "% pos", "H-score"):
        table.add_column(name, justify="right")
    if report.patients:
        lines = [_line(row, row.patient, str(row.cores)) for row in report.patients]
    else:
        lines = [_line(row, row.slide, row.core) for row in report.cores]
    for line in lines:
        table.add_row(*line)
    Console(markup=False).print(table)


def _line(row: "CoreRow | PatientRow", *head: str) -> list[str]:
    scores = ["-" if value is None else f"{value:.1f}" for value in (row.percent_positive, row.h_score)]
    return [*head, "-" if row.cells is None else str(row.cells), *scores]
