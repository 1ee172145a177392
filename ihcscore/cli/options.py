"""The options of commands, in groups, and how they change an assay."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ihcscore.cells.segmentation.registry import SEGMENTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ihcscore.assays.assay import Assay

BASICS, STAINS, CELLS, REGIONS, SCALE, OUTPUT = "Basics", "Stains", "Cells", "Regions", "Scale", "Output"


class GroupedCommand(TyperCommand):
    """A command whose help lists its options in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write each group of options under its name."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if record is not None:
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for name in ("Arguments", BASICS, STAINS, CELLS, REGIONS, SCALE, OUTPUT, "Options"):
            if name in groups:
                with formatter.section(name):
                    formatter.write_dl(groups[name])


def option(group: str, *names: str, help: str, **more: Any) -> Any:
    """Return an option of a group."""
    return typer.Option(*names, help=help, rich_help_panel=group, **more)


Inputs = Annotated[list[str], typer.Argument(help="Images, folders, globs, or CSV manifests with a column 'path'.")]
Out = Annotated[Path, option(BASICS, "--out", "-o", help="Result folder.")]
Mpp = Annotated[float | None, option(BASICS, "--mpp", help="um per pixel, where files do not state it.")]
AssayName = Annotated[str | None, option(BASICS, "--assay", help="Preset or assay file (.toml).")]
Thresholds = Annotated[
    str | None, option(BASICS, "--thresholds", help="DAB OD from which a cell is 1+, 2+, 3+, e.g. 0.2,0.4,0.6.")
]
Compartment = Annotated[
    str | None,
    option(BASICS, "--compartment", help="nucleus, cytoplasm, membrane, cell, or a union: membrane+cytoplasm."),
]
Scores = Annotated[
    str | None, option(BASICS, "--scores", help="Scores, the main one first: h_score,percent_positive,allred,irs, ...")
]
Group = Annotated[
    str | None,
    option(BASICS, "--group", help="Column of a manifest or pattern for file names: tiles of one slide or case."),
]
Stains = Annotated[
    str | None, option(STAINS, "--stains", help="default, estimate, or a file written by 'ihcscore stains'.")
]
Background = Annotated[
    str | None, option(STAINS, "--background", help="White point: auto (the image's glass) or R,G,B.")
]
Context = Annotated[
    Path | None, option(STAINS, "--context", help="Background and stains from 'ihcscore stains' or a summary.json.")
]
SegmenterName = Annotated[
    str | None, option(CELLS, "--segmenter", help=f"Detects the nuclei: {', '.join(SEGMENTERS)}.")
]
Weights = Annotated[
    Path | None, option(CELLS, "--weights", help="File or folder of the segmenter's network, if not the packaged one.")
]
Nuclei = Annotated[
    Path | None,
    option(CELLS, "--nuclei", help="Nuclei from another program: label image or QuPath GeoJSON, or a folder of them."),
]
Population = Annotated[
    str | None, option(CELLS, "--population", help="Cells that are scored first: all, tumor, stroma, immune, other.")
]
Classifier = Annotated[
    Path | None, option(CELLS, "--classifier", help="Classifier of cell types, from 'ihcscore classifier train'.")
]
TumorRule = Annotated[
    bool, option(CELLS, "--tumor-rule", help="Classify epithelium, stroma and lymphocytes by the packaged rule.")
]
Regions = Annotated[
    Path | None,
    option(
        REGIONS,
        "--regions",
        help="Regions to score: QuPath GeoJSON, ImageScope or ASAP XML, ImageJ ROI, mask; or a folder of them.",
    ),
]
OnlyRegions = Annotated[
    bool,
    option(REGIONS, "--only-regions", help="Measure only cells in the regions; they are the same as on the slide."),
]
Exclude = Annotated[
    list[str] | None,
    option(
        REGIONS,
        "--exclude",
        help="Class of regions whose cells are excluded, instead of Ignore*; * matches anything; may be repeated.",
    ),
]
Workers = Annotated[int, option(SCALE, "--workers", min=1, help="Processes that measure, one core each.")]
Scheduler = Annotated[
    str | None, option(SCALE, "--scheduler", help="Address of a Dask scheduler, or 'local' (extra dask).")
]
GeoJson = Annotated[
    bool | None,
    option(OUTPUT, "--geojson/--no-geojson", help="Write the cells for QuPath; by default up to 8192 pixels a side."),
]
Origin = Annotated[
    str, option(OUTPUT, "--origin", help="Where GeoJSON and regions have (0, 0): canvas, or bounds of the scan.")
]
CellsCsv = Annotated[bool, option(OUTPUT, "--cells-csv", help="Write the cells as CSV, too.")]
Overwrite = Annotated[bool, option(OUTPUT, "--overwrite", help="Replace results of other parameters.")]


def changes(
    *, stains: str | None = None, classifier: Path | None = None, tumor_rule: bool = False, **options: Any
) -> dict[str, Any]:
    """Convert options to fields of `Assay`; those not given are left out. A wrong text raises typer.BadParameter."""
    from ihcscore.assays.assay import field_specs

    fields: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or value == []:
            continue
        spec = field_specs()[name]
        try:
            fields[name] = spec.read(name, spec.parse(value) if isinstance(value, str) else value)
            problems = spec.problems_of(name, fields[name])
        except ValueError as error:
            problems = [str(error)]
        if problems:
            text = "; ".join(problem.removeprefix(f"{name}: ") for problem in problems)
            raise typer.BadParameter(text, param_hint=f"--{name.replace('_', '-')}")
    if tumor_rule and classifier is not None:
        raise typer.BadParameter("a --classifier assigns cell types already", param_hint="--tumor-rule")
    if classifier is not None:
        fields |= {"classifier": str(classifier), "classifier_sha256": None, "tumor_rule": False}
    if tumor_rule:
        fields |= {"tumor_rule": True, "classifier": None, "classifier_sha256": None}
    if stains is not None:
        fields["stains"] = _stain_rule(stains)
    return fields


def _stain_rule(text: str) -> Any:
    if text in ("default", "estimate"):
        return text
    if not text.lower().endswith(".json") and not Path(text).exists():
        raise typer.BadParameter(
            f"default, estimate, or a JSON file with vectors, found '{text}'", param_hint="--stains"
        )
    from ihcscore.survey.context import load_context

    return load_context(text).stains


def summarise_failures(failed: "Sequence[str]", total: int) -> None:
    """Exit with 3 when some inputs failed, with 1 when all did."""
    for line in failed:
        typer.echo(f"ihcscore: {line}", err=True)
    if failed:
        raise typer.Exit(1 if len(failed) >= total else 3)


def assay_with(name: str | None, fields: dict[str, Any]) -> "Assay":
    """Load an assay and change what options set."""
    from ihcscore.assays import load_assay

    assay = load_assay(name or "generic-nuclear")
    return assay.replace(**fields) if fields else assay
