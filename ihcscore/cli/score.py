"""ihcscore score."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ihcscore.cli import options as o

if TYPE_CHECKING:
    from ihcscore.assays.assay import Assay
    from ihcscore.io.manifests import ImageInput
    from ihcscore.results.run_record import RunReport


def command(
    inputs: o.Inputs,
    out: o.Out,
    mpp: o.Mpp = None,
    assay: o.AssayName = None,
    thresholds: o.Thresholds = None,
    compartment: o.Compartment = None,
    scores: o.Scores = None,
    group: o.Group = None,
    stains: o.Stains = None,
    background: o.Background = None,
    context: o.Context = None,
    segmenter: o.SegmenterName = None,
    weights: o.Weights = None,
    nuclei: o.Nuclei = None,
    population: o.Population = None,
    classifier: o.Classifier = None,
    tumor_rule: o.TumorRule = False,
    regions: o.Regions = None,
    only_regions: o.OnlyRegions = False,
    exclude: o.Exclude = None,
    workers: o.Workers = 1,
    scheduler: o.Scheduler = None,
    geojson: o.GeoJson = None,
    origin: o.Origin = "canvas",
    cells_csv: o.CellsCsv = False,
    overwrite: o.Overwrite = False,
) -> None:
    """Score images: detect and measure cells, classify, count. Writes OUT/scores.csv and a folder for each image."""
    _check_options(origin, context, stains, background)
    fields = o.changes(
        thresholds=thresholds,
        compartment=compartment,
        scores=scores,
        mpp=mpp,
        group=group or None,
        stains=stains,
        background=background,
        segmenter=segmenter,
        weights=None if weights is None else str(weights),
        population=population,
        classifier=classifier,
        tumor_rule=tumor_rule,
        only_regions=only_regions or None,
        exclude=exclude,
    )
    chosen, fields = _with_context(o.assay_with(assay, fields), fields, context)
    images = _images(inputs, chosen, nuclei, regions, own_segmenter=segmenter is not None or weights is not None)
    kept = {"cells_csv": cells_csv, "geojson": geojson, "overwrite": overwrite, "origin": origin}
    report = run(images, chosen, out, changes=_of_marker(fields), workers=workers, scheduler=scheduler, **kept)
    o.summarise_failures(report.failed, len(images))


def _check_options(origin: str, context: Path | None, stains: str | None, background: str | None) -> None:
    if origin not in ("canvas", "bounds"):
        raise typer.BadParameter("choose canvas or bounds", param_hint="--origin")
    if context is not None and (stains is not None or background is not None):
        raise typer.BadParameter("it sets stains and background already", param_hint="--context")


def _with_context(assay: "Assay", fields: dict[str, Any], context: Path | None) -> tuple["Assay", dict[str, Any]]:
    """Take background and stains from a file, and record from where."""
    if context is None:
        return assay, fields
    from ihcscore.survey.context import load_context

    loaded = load_context(context)
    own = {"background": loaded.background, "stains": loaded.stains}
    origins = {"background": loaded.background_origin, "stains": loaded.stains_origin}
    sources = {name: f"{context.name}: {origin}" for name, origin in origins.items()}
    assay = assay.replace(**own)
    return assay.replace(sources={**assay.sources, **sources}), {**fields, **own}


def _of_marker(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that also change the assays of images with their own."""
    from ihcscore.assays.assay import INPUT_FIELDS

    return {key: value for key, value in fields.items() if key not in INPUT_FIELDS}


def _images(
    inputs: list[str], assay: "Assay", nuclei: Path | None, regions: Path | None, *, own_segmenter: bool
) -> list["ImageInput"]:
    """List the images, and report what of the inputs is not used."""
    from ihcscore.cells.segmentation.registry import load_segmenter
    from ihcscore.io.manifests import expand_inputs, unread_pictures, unused_columns

    images = expand_inputs(inputs, assay.group, nuclei, regions)
    if any(item.nuclei is None for item in images):
        load_segmenter(assay.segmenter, assay.segmenter_parameters, assay.weights, assay.weights_sha256)
    elif own_segmenter:
        raise typer.BadParameter(
            "the nuclei of all images are given: leave out --segmenter and --weights", param_hint="--segmenter"
        )
    if unused := unused_columns(inputs, assay.group):
        typer.echo(f"note: columns of the manifest that are not used: {', '.join(unused)}", err=True)
    if unread := unread_pictures(inputs):
        text = ", ".join(path.name for path in unread[:3]) + (", ..." if len(unread) > 3 else "")
        typer.echo(f"note: {len(unread)} files of formats that are not read are left out: {text}", err=True)
    return images


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

        def progress(what: str, done: float) -> None:
            bar.update(task, description=what, completed=done)

        report = score_files(images, assay, out, **options, progress=progress)
    for item in (item for item in images if item.name != item.path.stem):
        log.print(f"note: {item.path} is {item.name} in the results", highlight=False, soft_wrap=True)
    for text in report.warnings:
        log.print(f"warning: {text}", highlight=False, soft_wrap=True)
    if report.kept:
        log.print(f"{report.kept} of {len(images)} images were complete already", highlight=False)
    show_by_assay(report.rows, list_assays(out), assay)
    print(f"Results are in {out}")
    return report
