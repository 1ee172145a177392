"""ihcscore rescore."""

from pathlib import Path
from typing import Annotated

import typer

from ihcscore.cli import options as o


def command(
    measured: Annotated[Path, typer.Argument(help="Result folder of 'ihcscore score'.")],
    out: Annotated[Path, o.option(o.BASICS, "--out", "-o", help="New result folder.")],
    assay: o.AssayName = None,
    thresholds: o.Thresholds = None,
    compartment: o.Compartment = None,
    stains: o.Stains = None,
    background: o.Background = None,
    scores: o.Scores = None,
    population: o.Population = None,
    classifier: o.Classifier = None,
    tumor_rule: o.TumorRule = False,
    regions: Annotated[
        Path | None,
        o.option(o.REGIONS, "--regions", help="Other regions than when measuring: a file, or a folder of them."),
    ] = None,
    exclude: o.Exclude = None,
) -> None:
    """Score a result again with other thresholds, compartments, stains, background or regions, without its images."""
    from ihcscore.assays.loading import load_assay
    from ihcscore.cli.show import show_by_assay
    from ihcscore.results.run_record import read_run
    from ihcscore.results.stored_result import list_assays
    from ihcscore.workflows.rescore_folder import rescore_folder
    from ihcscore.workflows.tma.folder import is_array
    from ihcscore.workflows.tma.scoring import rescore_arrays

    chosen = load_assay(assay) if assay is not None else None
    fields = o.changes(
        thresholds=thresholds,
        compartment=compartment,
        stains=stains,
        background=background,
        scores=scores,
        population=population,
        classifier=classifier,
        tumor_rule=tumor_rule,
        exclude=exclude,
    )
    if is_array(measured):
        array = rescore_arrays(measured, out, chosen, regions=regions, **fields)
        report, warnings = array.run, (*array.warnings, *array.run.warnings)
    else:
        report = rescore_folder(measured, out, chosen, regions=regions, **fields)
        warnings = report.warnings
    for text in warnings:
        typer.echo(f"warning: {text}", err=True)
    show_by_assay(report.rows, list_assays(out), read_run(out))
    print(f"Results are in {out}; overlays need the images and stay with {measured}")
    o.summarise_failures(report.failed, len(report.failed) + sum(row.status != "failed" for row in report.rows))
