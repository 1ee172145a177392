"""Assays: what is scored, and how, for a marker. Everything an option sets, an assay sets."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihcscore.assays import compound_fields as compound
from ihcscore.assays.fields import SPEC, FieldSpec, flag, is_number, mapping, number, text, texts, whole
from ihcscore.errors import AssayError
from ihcscore.formulas.registry import SCORES
from ihcscore.stains.vectors import StainMatrix

POPULATIONS = ("all", "tumor", "stroma", "immune", "other")


@dataclass(frozen=True)
class Assay:
    """How a marker is measured and scored.

    Every field says its type, limits, unit and meaning (`field_specs`); the reference of assay files lists them.

    Raises
    ------
    AssayError
        If fields do not make sense; it lists all problems.

    Examples
    --------
    >>> Assay(name="mine", compartment=("membrane", "cytoplasm")).thresholds
    (0.2, 0.4, 0.6)
    """

    name: str = text("generic-nuclear", "Name of the assay; recorded in every result.")
    version: int = whole(1, "Raised by its author whenever a value changes.")
    description: str = text("", "For people.")
    compartment: tuple[str, ...] = compound.compartment(
        ("nucleus",), "Compartments that are scored; several are scored as one, weighted by area."
    )
    thresholds: tuple[float, float, float] = compound.thresholds(
        (0.2, 0.4, 0.6), "DAB optical density from which a cell is 1+, 2+, 3+ (>=). They hold for this background only."
    )
    population: str = text(
        "all", "Cells that are scored first; the other types and all cells have rows of their own.", choices=POPULATIONS
    )
    include_cut: bool = flag(False, "Score cells that are cut by the image's border.")
    exclude_off_color: bool = flag(
        False, "Exclude stained cells of another color than the slide's two stains: pigment, red cells."
    )
    exclude: tuple[str, ...] = texts(
        ("Ignore*",),
        "Classes of regions whose cells are excluded from every score; * matches anything.",
        "a list of classes of regions",
    )
    only_regions: bool = flag(
        False, "Measure only cells in regions; they are the same cells as on the whole slide.", measured=True
    )
    hotspot_mm2: float = number(
        0.0, 0, 100, "mm2", "Area of the hotspots that get rows of their own; 0 looks for none."
    )
    scores: tuple[str, ...] = compound.scores(
        ("h_score", "percent_positive", "atm", "mean_dab_od"), "Scores to compute, the most important first."
    )
    minimum_cells: Mapping[str, int] = compound.minimum_cells(
        "Fewest cells of a score, where it differs from the score's own."
    )
    block_um: float = number(250.0, 20, 10_000, "um", "Side of the blocks of tissue that intervals are made of.")
    band_od: float = number(0.02, 0, 0.5, "OD", "How far the sensitivity band moves the thresholds.")
    band_degrees: float = number(2.0, 0, 15, "degrees", "How far the sensitivity band turns the DAB vector.")
    band_white: float = number(0.02, 0, 0.2, "share", "How far the sensitivity band moves the background.")
    band_membrane: float = number(
        0.18, 0, 0.5, "share", "How far the sensitivity band moves the densities of detected membranes."
    )
    atm_max_od: float = number(1.5, 0, 3, "OD", "Highest threshold of the ATM.", above=True)
    background: str | tuple[float, float, float] = compound.background(
        (255.0, 255.0, 255.0), "White point: light without tissue; 'auto' takes the image's glass."
    )
    stains: str | StainMatrix = compound.stains(
        "default", "Stain vectors: those of Ruifrok and Johnston, estimated from the image, or given."
    )
    segmenter: str = text("network", "Detects the nuclei.", measured=True)
    segmenter_parameters: Mapping[str, float] = mapping(
        is_number, "names and numbers", "Values that differ from the segmenter's own.", measured=True
    )
    weights: str | None = text(
        None, "File or folder of the segmenter's network; results record its name without the folder.", measured=True
    )
    weights_sha256: str | None = text(None, "SHA-256 that `weights` must have; results record it.", measured=True)
    classifier: str | None = text(
        None, "File of a classifier of cell types ('ihcscore classifier train'); results record its name."
    )
    classifier_sha256: str | None = text(None, "SHA-256 that `classifier` must have; results record it.")
    tumor_rule: bool = flag(
        False, "Classify epithelium, stroma and lymphocytes by the packaged rule, unless a classifier is given."
    )
    expansion_um: float = number(
        5.0,
        0,
        50,
        "um",
        "Farthest a cell reaches beyond its nucleus; at most 110 of the segmenter's pixels.",
        measured=True,
    )
    membrane_um: float = number(1.0, 0, 10, "um", "Width of the membrane band.", above=True, measured=True)
    membrane_from: str = text(
        "ridge",
        "What a membrane scored alone is: the line of DAB detected around the nucleus (ridge), or the band.",
        choices=("ridge", "band"),
    )
    complete_share: float = number(
        0.7, 0, 1, "share", "Share of its perimeter from which a membrane counts as complete.", above=True
    )
    nucleus_edge_um: float = number(
        1.0,
        0,
        5,
        "um",
        "Edge inside a nucleus that its optical densities leave out; 0 measures all of it, as QuPath does.",
        measured=True,
    )
    cytoplasm_edge_um: float = number(
        1.0, 0, 5, "um", "Edge outside the nucleus that the cytoplasm's densities leave out.", measured=True
    )
    mpp: float | None = number(
        None, 0, float("inf"), "um/px", "Pixel size of images whose files state none.", above=True, of_input=True
    )
    group: str | None = text(
        None, "What tiles of one slide or case share: a manifest's column, or a pattern for file names.", of_input=True
    )
    sources: Mapping[str, str] = mapping(
        lambda value: isinstance(value, str), "names and texts", "Where each value comes from."
    )

    def __post_init__(self) -> None:
        problems = [
            problem for name, spec in field_specs().items() for problem in spec.problems_of(name, getattr(self, name))
        ]
        if not problems:
            own = "+".join(self.compartment)
            problems = [
                f"score '{name}': is of the compartment '{SCORES[name].compartment}', not '{own}'"
                for name in self.scores
                if not compound.fits_compartment(name, self.compartment)
            ]
        if problems:
            raise AssayError(self.name, problems)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON and TOML; unset ones are left out."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if isinstance(self.stains, StainMatrix):
            values["stains"] = self.stains.to_dict()
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
        return {key: dict(v) if isinstance(v, Mapping) else v for key, v in plain.items() if v is not None and v != {}}

    def to_record(self) -> dict[str, Any]:
        """Return the fields as a result records them: as `to_dict`, without a folder of the user's machine."""
        values = self.to_dict()
        for name in ("weights", "classifier"):
            if values.get(name) is not None:
                values[name] = Path(values[name]).name
        return values

    def replace(self, **changes: Any) -> "Assay":
        """Return a copy with other values.

        A value that changes loses its source: it no longer comes from there.

        Raises AssayError if the result does not make sense.
        """
        kept = {key for key in self.sources if key not in changes or changes[key] == getattr(self, key)}
        sources = {key: source for key, source in self.sources.items() if key in kept}
        return dataclasses.replace(self, **{"sources": sources, **changes})


_SPECS = {f.name: f.metadata[SPEC] for f in dataclasses.fields(Assay)}
MEASURED_FIELDS = tuple(name for name, spec in _SPECS.items() if spec.measured)
"""Fields that decide what is measured; the others can change afterwards, from the cell table alone."""
INPUT_FIELDS = tuple(name for name, spec in _SPECS.items() if spec.of_input)
"""Fields that belong to the images, not to the marker."""


def field_specs() -> Mapping[str, FieldSpec]:
    """Return what each field of `Assay` says of itself, by name."""
    return _SPECS
