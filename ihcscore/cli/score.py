"""ihcscore score."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihcscore.cli.options import (
    AssayName,
    Background,
    Classifier,
    Compartment,
    Exclude,
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
    from ihcscore.assays.assay import Assay
    from ihcscore.io.manifests import ImageInput
    from ihcscore.results.run_record import RunReport


def command(
    inputs: Annotated[list[str], typer.Argument(help="Images, folders, globs, or CSV manifests with a column 'path'.")],
    out: Out,
    mpp: Annotated[float | None, typer.Option("--mpp", help="um per pixel, where files do not state it.")] = None,
    assay: AssayName = None,
    thresholds: Thresholds = None,
    compartment: Compartment = None,
    stains: Stains = None,
    background: Background = None,
    scores: Scores = None,
    population: Population = None,
    classifier: Classifier = None,
    tumor_rule: TumorRule = False,
    segmenter: Annotated[
        str | None,
        typer.Option("--segmenter", help="What finds the nuclei: network, watershed, stardist, instanseg, cellpose."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="File or folder of the segmenter's network, if not the own one.")
    ] = None,
    nuclei: Annotated[
        Path | None,
        typer.Option("--nuclei", help="Nuclei found elsewhere: label image or QuPath GeoJSON, or a folder of them."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", help="Column of a manifest or pattern for file names: tiles of one slide or case."),
    ] = None,
    context: Annotated[
        Path | None, typer.Option("--context", help="Background and stains from 'ihcscore stains' or a summary.json.")
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            "--regions",
            help="Regions to score: QuPath GeoJSON, ImageScope or ASAP XML, ImageJ ROI, mask; or a folder of them.",
        ),
    ] = None,
    only_regions: Annotated[
        bool, typer.Option("--only-regions", help="Measure only cells in the regions; they are those of the slide.")
    ] = False,
    exclude: Exclude = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that measure, one core each.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, or 'local' (extra dask).")
    ] = None,
    geojson: Annotated[
        bool | None,
        typer.Option("--geojson/--no-geojson", help="Write the cells for QuPath; by default up to 8192 pixels a side."),
    ] = None,
    origin: Annotated[
        str, typer.Option("--origin", help="Where GeoJSON and regions have (0, 0): canvas, or bounds of the scan.")
    ] = "canvas",
    cells_csv: Annotated[bool, typer.Option("--cells-csv", help="Write the cells as CSV, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of other parameters.")] = False,
) -> None:
    """Score images: find cells, measure stains, class, aggregate. Writes OUT/scores.csv and a folder for each image."""
    if origin not in ("canvas", "bounds"):
        raise typer.BadParameter("choose canvas or bounds", param_hint="--origin")
    if context is not None and (stains is not None or background is not None):
        raise typer.BadParameter("it settles stains and background already", param_hint="--context")
    sources: dict[str, str] = {}
    fields = changes(
        thresholds,
        compartment,
        stains,
        background,
        mpp=mpp,
        segmenter=segmenter,
        weights=None if weights is None else str(weights),
        group=group or None,
        exclude=exclude,
        scores=scores,
        population=population,
        classifier=classifier,
        tumor_rule=tumor_rule,
        only_regions=only_regions or None,
    )
    if context is not None:
        from ihcscore.survey.context import load_context

        loaded = load_context(context)
        fields |= {"background": loaded.background, "stains": loaded.stains}
        sources = {
            "background": f"{context.name}: {loaded.background_origin}",
            "stains": f"{context.name}: {loaded.stains_origin}",
        }
    chosen = assay_with(assay, fields)
    chosen = chosen.replace(sources={**chosen.sources, **sources})

    from ihcscore.assays.assay import INPUT_FIELDS
    from ihcscore.cells.segmentation.registry import load_segmenter
    from ihcscore.io.manifests import expand_inputs, unread_pictures, unused_columns

    images = expand_inputs(inputs, chosen.group, nuclei, regions)
    if any(item.nuclei is None for item in images):
        load_segmenter(chosen.segmenter, chosen.segmenter_parameters, chosen.weights, chosen.weights_sha256)
    elif segmenter is not None or weights is not None:
        raise typer.BadParameter(
            "the nuclei of all images are given: leave out --segmenter and --weights", param_hint="--segmenter"
        )
    if unused := unused_columns(inputs, chosen.group):
        typer.echo(f"note: columns of the manifest that are not used: {', '.join(unused)}", err=True)
    unread = unread_pictures(inputs)
    if unread:
        text = ", ".join(path.name for path in unread[:3]) + (", ..." if len(unread) > 3 else "")
        typer.echo(f"note: {len(unread)} files of formats that are not read are left out: {text}", err=True)
    report = run(
        images,
        chosen,
        out,
        changes={key: fields[key] for key in fields if key not in INPUT_FIELDS},
        cells_csv=cells_csv,
        geojson=geojson,
        overwrite=overwrite,
        workers=workers,
        scheduler=scheduler,
        origin=origin,
    )
    summarise_failures(report.failed, len(images))


def run(images: list["ImageInput"], assay: "Assay", out: Path, **options: Any) -> "RunReport":
    """Score with a progress bar on stderr and print the table."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from ihcscore.cli.show import Rate, show_by_assay
    from ihcscore.results.stored_result import list_assays
    from ihcscore.workflows.score_folder import score_files

    log = Console(stderr=True, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=log, transient=True, disable=not log.is_terminal) as bar:
        task = bar.add_task("scoring", total=len(images))
        report = score_files(
            images,
            assay,
            out,
            **options,
            progress=lambda what, done: bar.update(task, description=what, completed=done),
        )
    renamed = [item for item in images if item.name != item.path.stem]
    for item in renamed:
        log.print(f"note: {item.path} is {item.name} in the results", highlight=False, soft_wrap=True)
    for text in report.warnings:
        log.print(f"warning: {text}", highlight=False, soft_wrap=True)
    if report.kept:
        log.print(f"{report.kept} of {len(images)} images were complete already", highlight=False)
    show_by_assay(report.rows, list_assays(out), assay)
    print(f"Results are in {out}")
    return report
