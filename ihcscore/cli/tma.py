"""ihcscore tma."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihcscore.cli import options as o

if TYPE_CHECKING:
    from ihcscore.assays.assay import Assay
    from ihcscore.io.manifests import ImageInput
    from ihcscore.workflows.tma.patients import CoreRow, PatientRow
    from ihcscore.workflows.tma.scoring import ArrayReport


def command(
    inputs: Annotated[list[str], typer.Argument(help="Slides, folders, globs, or CSV manifests with a column 'path'.")],
    out: o.Out,
    mpp: o.Mpp = None,
    grid: Annotated[
        Path | None, o.option(o.REGIONS, "--grid", help="Grid of cores as CSV, corrected by hand, or a folder of them.")
    ] = None,
    sheet: Annotated[
        Path | None, o.option(o.BASICS, "--sheet", help="CSV with columns core, patient and, if needed, slide.")
    ] = None,
    core_mm: Annotated[
        float | None, o.option(o.REGIONS, "--core-mm", help="Diameter of a core, if it is not to be detected.")
    ] = None,
    find_only: Annotated[
        bool, o.option(o.OUTPUT, "--find-only", help="Write the grids and pictures of them, and score nothing.")
    ] = False,
    assay: o.AssayName = None,
    thresholds: o.Thresholds = None,
    compartment: o.Compartment = None,
    stains: o.Stains = None,
    background: o.Background = None,
    scores: o.Scores = None,
    population: o.Population = None,
    classifier: o.Classifier = None,
    tumor_rule: o.TumorRule = False,
    segmenter: o.SegmenterName = None,
    workers: o.Workers = 1,
    scheduler: o.Scheduler = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Score tissue microarrays: detect the cores on their grid, score each, and each patient."""
    if core_mm is not None and not 0.1 <= core_mm <= 10:
        raise typer.BadParameter("a diameter from 0.1 to 10 mm", param_hint="--core-mm")
    fields = o.changes(
        thresholds=thresholds,
        compartment=compartment,
        stains=stains,
        background=background,
        scores=scores,
        population=population,
        classifier=classifier,
        tumor_rule=tumor_rule,
        mpp=mpp,
        segmenter=segmenter,
    )
    from ihcscore.io.manifests import expand_inputs

    chosen, slides = o.assay_with(assay, fields), expand_inputs(inputs)
    if find_only:
        _find(slides, chosen, out, grid, core_mm)
        return
    how = {"workers": workers, "scheduler": scheduler, "overwrite": overwrite}
    _score(slides, chosen, out, grid=grid, sheet=sheet, core_mm=core_mm, **how)


def _find(slides: list["ImageInput"], assay: "Assay", out: Path, grid: Path | None, core_mm: float | None) -> None:
    """Write the grids of slides, and score nothing."""
    from ihcscore.workflows.tma.scoring import find_grids

    grids, refused = find_grids(slides, assay, out, grid=grid, core_mm=core_mm)
    for name, found in grids.items():
        places = len(found.cores)
        print(f"{name}: {len(found.present)} cores, {places - len(found.present)} of {places} places empty")
    print(f"Grids and pictures are in {out / 'grids'}; correct the CSV and give it with --grid")
    o.summarise_failures([f"{name}: {reason}" for name, reason in refused.items()], len(slides))


def _score(slides: list["ImageInput"], assay: "Assay", out: Path, **options: Any) -> None:
    """Score the cores of slides and print the table."""
    from ihcscore.workflows.tma.scoring import score_arrays

    report = score_arrays(slides, assay, out, **options)
    for text in (*report.warnings, *report.run.warnings):
        typer.echo(f"warning: {text}", err=True)
    _show(report)
    tables = ["cores.csv"] * bool(report.cores) + ["patients.csv"] * bool(report.patients)
    print(f"Results are in {out}{': ' if tables else ''}{', '.join(tables)}")
    o.summarise_failures(report.run.failed, len(slides))


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
