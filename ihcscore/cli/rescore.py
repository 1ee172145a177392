"""ihcscore rescore."""

from pathlib import Path
from typing import Annotated

import typer

from ihcscore.cli.options import AssayName, Background, Compartment, Stains, Thresholds, changes, summarise_failures


def command(
    measured: Annotated[Path, typer.Argument(help="Result folder of 'ihcscore score'.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New result folder.")],
    assay: AssayName = None,
    thresholds: Thresholds = None,
    compartment: Compartment = None,
    stains: Stains = None,
    background: Background = None,
) -> None:
    """Score a result again with other thresholds, compartments, stains or background, without its images."""
    from ihcscore.assay import load_assay
    from ihcscore.cli.show import show_scores
    from ihcscore.rescoring import rescore_folder
    from ihcscore.results import read_run

    chosen = load_assay(assay) if assay is not None else None
    report = rescore_folder(measured, out, chosen, **changes(thresholds, compartment, stains, background))
    for text in report.warnings:
        typer.echo(f"warning: {text}", err=True)
    show_scores(report.rows, read_run(out))
    print(f"Results are in {out}; overlays need the images and stay with {measured}")
    summarise_failures(report.failed, len(report.failed) + sum(row.status != "failed" for row in report.rows))
