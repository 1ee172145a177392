"""Options that several commands share, and how they change an assay."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ihcscore.assays.assay import Assay

Out = Annotated[Path, typer.Option("--out", "-o", help="Result folder.")]
AssayName = Annotated[str | None, typer.Option("--assay", help="Preset or assay file (.toml).")]
Thresholds = Annotated[
    str | None, typer.Option("--thresholds", help="DAB OD from which a cell is 1+, 2+, 3+, e.g. 0.2,0.4,0.6.")
]
Compartment = Annotated[
    str | None,
    typer.Option("--compartment", help="nucleus, cytoplasm, membrane, cell, or a union: membrane+cytoplasm."),
]
Stains = Annotated[
    str | None, typer.Option("--stains", help="default, estimate, or a file that 'ihcscore stains' wrote.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Class of regions whose cells are left out, instead of Ignore*; * matches anything, may be repeated.",
    ),
]
Population = Annotated[
    str | None, typer.Option("--population", help="Cells that are scored first: all, tumor, stroma, immune, other.")
]
Classifier = Annotated[
    Path | None, typer.Option("--classifier", help="Tells types of cells; 'ihcscore classifier train' makes one.")
]
TumorRule = Annotated[
    bool, typer.Option("--tumor-rule", help="Tell epithelium from stroma and lymphocytes by the rule that ships.")
]
Scores = Annotated[
    str | None, typer.Option("--scores", help="Scores, the main one first: h_score,percent_positive,allred,irs, ...")
]
Background = Annotated[str | None, typer.Option("--background", help="auto (the image's glass) or R,G,B.")]


def numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    """Read numbers separated by commas.

    Raises
    ------
    typer.BadParameter
        If there are not `count` numbers.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise typer.BadParameter(f"expected {count} numbers separated by commas, found '{text}'", param_hint=option)
    return values


def changes(
    thresholds: str | None = None,
    compartment: str | None = None,
    stains: str | None = None,
    background: str | None = None,
    *,
    scores: str | None = None,
    classifier: Path | None = None,
    tumor_rule: bool = False,
    exclude: Sequence[str] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """Turn options into fields of `Assay`; what was not given is left out."""
    fields: dict[str, Any] = {key: value for key, value in others.items() if value is not None}
    if thresholds is not None:
        fields["thresholds"] = numbers("--thresholds", thresholds, 3)
    if compartment is not None:
        fields["compartment"] = tuple(compartment.split("+"))
    if background is not None:
        given = background == "auto" or any(letter.isdigit() for letter in background)
        if not given:
            raise typer.BadParameter(f"auto or three numbers R,G,B, found '{background}'", param_hint="--background")
        fields["background"] = background if background == "auto" else numbers("--background", background, 3)
    if scores is not None:
        fields["scores"] = tuple(name.strip() for name in scores.split(","))
    if classifier is not None:
        fields |= {"classifier": str(classifier), "classifier_sha256": None, "tumor_rule": False}
    if tumor_rule and classifier is not None:
        raise typer.BadParameter("a --classifier tells types of cells already", param_hint="--tumor-rule")
    if tumor_rule:
        fields |= {"tumor_rule": True, "classifier": None, "classifier_sha256": None}
    if exclude:
        fields["exclude"] = tuple(exclude)
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


def summarise_failures(failed: Sequence[str], total: int) -> None:
    """Exit with 3 when some inputs failed, with 1 when all did."""
    for line in failed:
        typer.echo(f"ihcscore: {line}", err=True)
    if failed:
        raise typer.Exit(1 if len(failed) >= total else 3)


def assay_with(name: str | None, fields: dict[str, Any]) -> "Assay":
    """Load an assay and change what options set."""
    from ihcscore.assays.loading import load_assay

    assay = load_assay(name or "generic-nuclear")
    return assay.replace(**fields) if fields else assay
