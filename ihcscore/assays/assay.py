"""Assays: what is scored, and how, for a marker. Everything an option sets, an assay sets."""

import dataclasses
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ihcscore.errors import AssayError, UnknownName
from ihcscore.formulas.registry import SCORES
from ihcscore.stains.vectors import StainMatrix

COMPARTMENT_NAMES = ("nucleus", "cytoplasm", "membrane", "cell")
POPULATIONS = ("all", "tumor", "stroma", "immune", "other")
DARKEST_BACKGROUND = 100
"""No microscope records glass darker than this."""
MEMBRANE_FROM = ("ridge", "band")
FALLBACK = ["h_score"]
"""Scores of a recorded assay of which none is left."""
MEASURED_FIELDS = (
    "segmenter",
    "segmenter_parameters",
    "weights",
    "weights_sha256",
    "expansion_um",
    "membrane_um",
    "nucleus_edge_um",
    "cytoplasm_edge_um",
    "only_regions",
)
"""Fields that decide what is measured; the others can change afterwards, from the cell table alone."""
INPUT_FIELDS = ("mpp", "group")
"""Fields that belong to the images, not to the marker."""


@dataclass(frozen=True)
class Assay:
    """How a marker is measured and scored.

    Parameters
    ----------
    name : str
        Recorded in every result.
    version : int
        Raised by its author whenever a value changes.
    description : str
        For people.
    compartment : tuple of str
        "nucleus", "cytoplasm", "membrane" or several of them, or "cell"; several are scored as one, by area.
    thresholds : tuple of 3 float
        DAB optical density from which a cell is 1+, 2+, 3+ (>=); rising. They hold for this background only.
    population : str
        Which cells are scored first: "all", or those of a type; the other types and all cells have rows of their own.
    include_cut : bool
        Score cells that the image's border cuts, too.
    exclude_off_color : bool
        Leave out stained cells of another colour than the slide's two stains: pigment, red cells.
    exclude : tuple of str
        Classes of regions whose cells are left out of every score; ``*`` matches anything.
    only_regions : bool
        Measure only cells in regions; they are those of the whole slide.
    hotspot_mm2 : float
        Area of the hotspots that get rows of their own, mm2; 0 looks for none.
    scores : tuple of str
        Names of `ihcscore.formulas.registry.SCORES`, the most important first.
    minimum_cells : mapping of str to int
        Fewest cells for a score, where they differ from the score's own.
    block_um : float
        Side of the blocks of tissue that intervals are made of, um.
    band_od, band_degrees, band_white, band_membrane : float
        How far the sensitivity band moves thresholds (OD), the DAB vector (degrees), the background and the densities
        of membranes that were found (shares of them).
    atm_max_od : float
        Highest threshold of the ATM, OD.
    background : "auto" or tuple of 3 float
        Light without tissue, I0; "auto" takes the image's glass.
    stains : "default", "estimate" or StainMatrix
        Stain vectors: those of Ruifrok and Johnston, estimated from the image, or given.
    segmenter : str
        Which segmenter finds the nuclei.
    segmenter_parameters : mapping of str to number
        Values that differ from the segmenter's own.
    weights : str, optional
        File or folder of the segmenter's network, where it does not ship one or another is wanted. Results record its
        name without the folder.
    weights_sha256 : str, optional
        What `weights` must have; results record it.
    classifier : str, optional
        File of a classifier that tells types of cells (`ihcscore classifier train`). Results record its name.
    classifier_sha256 : str, optional
        What `classifier` must have; results record it.
    tumor_rule : bool
        Tell epithelium from stroma and lymphocytes by the rule that ships, unless a classifier is given.
    expansion_um : float
        Farthest a cell reaches beyond its nucleus, um; at most 110 pixels of the segmenter's.
    membrane_um : float
        Width of the membrane band, um.
    membrane_from : "ridge" or "band"
        What a membrane that is scored alone is: the ridge of DAB found around the nucleus, or the band.
    complete_share : float
        Share of its perimeter from which a membrane counts as complete.
    nucleus_edge_um : float
        Width of the edge inside a nucleus that its optical densities leave out, um; 0 measures all of it, as QuPath.
    cytoplasm_edge_um : float
        The same outside of the nucleus, for the cytoplasm.
    mpp : float, optional
        um per pixel of the images, where no manifest gives it; checked against the limits as each is read.
    group : str, optional
        What tiles of one slide or case have in common: a manifest's column, or a pattern for file names.
    sources : mapping of str to str
        Where each value comes from.

    Raises
    ------
    AssayError
        If fields do not make sense; it lists all problems.
    """

    name: str = "generic-nuclear"
    version: int = 1
    description: str = ""
    compartment: tuple[str, ...] = ("nucleus",)
    thresholds: tuple[float, float, float] = (0.2, 0.4, 0.6)
    population: str = "all"
    include_cut: bool = False
    exclude_off_color: bool = False
    exclude: tuple[str, ...] = ("Ignore*",)
    only_regions: bool = False
    hotspot_mm2: float = 0.0
    scores: tuple[str, ...] = ("h_score", "percent_positive", "atm", "mean_dab_od")
    minimum_cells: Mapping[str, int] = field(default_factory=dict)
    block_um: float = 250.0
    band_od: float = 0.02
    band_degrees: float = 2.0
    band_white: float = 0.02
    band_membrane: float = 0.18
    atm_max_od: float = 1.5
    background: str | tuple[float, float, float] = (255.0, 255.0, 255.0)
    stains: str | StainMatrix = "default"
    segmenter: str = "network"
    segmenter_parameters: Mapping[str, float] = field(default_factory=dict)
    weights: str | None = None
    weights_sha256: str | None = None
    classifier: str | None = None
    classifier_sha256: str | None = None
    tumor_rule: bool = False
    expansion_um: float = 5.0
    membrane_um: float = 1.0
    membrane_from: str = "ridge"
    complete_share: float = 0.7
    nucleus_edge_um: float = 1.0
    cytoplasm_edge_um: float = 1.0
    mpp: float | None = None
    group: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise AssayError(self.name, problems)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values, ready for JSON and TOML; unset ones are left out."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if isinstance(self.stains, StainMatrix):
            values["stains"] = self.stains.to_dict()
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
        return {key: dict(v) if isinstance(v, Mapping) else v for key, v in plain.items() if v is not None and v != {}}

    def to_record(self) -> dict[str, Any]:
        """Give the fields as a result records them: as `to_dict`, without a folder of the user's machine."""
        values = self.to_dict()
        for name in ("weights", "classifier"):
            if values.get(name) is not None:
                values[name] = Path(values[name]).name
        return values

    def replace(self, **changes: Any) -> "Assay":
        """Give a copy with other values.

        A value that changes loses its source: it is no longer where that came from.

        Raises
        ------
        AssayError
            If the result does not make sense.
        """
        kept = {key for key in self.sources if key not in changes or changes[key] == getattr(self, key)}
        sources = {key: text for key, text in self.sources.items() if key in kept}
        return dataclasses.replace(self, **{"sources": sources, **changes})


def assay_from_dict(data: Mapping[str, Any]) -> Assay:
    """Make an assay from plain values, as `Assay.to_dict` gives and a TOML file holds them.

    Parameters
    ----------
    data : mapping
        Fields of `Assay`; those left out have the defaults of `generic-nuclear`.

    Returns
    -------
    Assay

    Raises
    ------
    AssayError
        If there are unknown fields or values that do not make sense; it lists all problems.

    Examples
    --------
    >>> assay_from_dict({"name": "mine", "thresholds": [0.1, 0.2, 0.4]}).thresholds
    (0.1, 0.2, 0.4)
    """
    name = str(data.get("name", "unnamed"))
    known = {f.name for f in dataclasses.fields(Assay)}
    problems = [f"unknown field '{key}'" for key in data if key not in known]
    values: dict[str, Any] = {"name": name}
    for key, value in data.items():
        if key not in known:
            continue
        try:
            values[key] = _typed(key, value)
        except (TypeError, ValueError) as error:
            problems.append(f"{key}: {error}")
        except KeyError:
            problems.append(f"{key}: {_EXPECTED[key]}, found {value!r}")
    try:
        assay = Assay(**values)
    except AssayError as error:
        raise AssayError(name, [*problems, *error.problems]) from None
    if problems:
        raise AssayError(name, problems)
    return assay


def recorded_assay(data: Mapping[str, Any]) -> Assay:
    """Read an assay from a result.

    Parameters
    ----------
    data : mapping
        As `Assay.to_record` gave it.

    Returns
    -------
    Assay
        Without scores of another compartment, which results before 0.20.0 may have.

    Raises
    ------
    AssayError
        As `assay_from_dict`.
    """
    if not isinstance(data.get("scores"), list):
        return assay_from_dict(data)
    names = [name for name in data["scores"] if name not in SCORES or _fits(name, data.get("compartment", ()))]
    return assay_from_dict({**data, "scores": names or FALLBACK})


def _fits(name: str, compartment: Sequence[str]) -> bool:
    """Tell whether a score is defined for a compartment."""
    meant = SCORES[name].compartment
    return meant is None or [*compartment] == [meant]


def preset_names() -> tuple[str, ...]:
    """List the assays that come with the package."""
    folder = resources.files("ihcscore") / "assays"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_assay(source: str | Path | Assay) -> Assay:
    """Load a preset by name or an assay file by path.

    Parameters
    ----------
    source : str, Path or Assay
        Name of a preset, or a path that ends in ``.toml``. An assay is returned as it is.

    Returns
    -------
    Assay

    Raises
    ------
    UnknownName
        If there is no preset of that name.
    AssayError
        If the file is missing, is no TOML or its fields do not make sense.

    Examples
    --------
    >>> load_assay("generic-nuclear").compartment
    ('nucleus',)
    """
    if isinstance(source, Assay):
        return source
    path = Path(source)
    if path.suffix.lower() != ".toml":
        if str(source) not in preset_names():
            raise UnknownName("assay", str(source), [*preset_names(), "a path to a .toml file"])
        text = (resources.files("ihcscore") / "assays" / f"{source}.toml").read_text("utf-8")
        return assay_from_dict(tomllib.loads(text))
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise AssayError(path.name, [f"cannot be read: {error.__class__.__name__}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise AssayError(path.name, [f"is not TOML: {error}"]) from error
    try:
        return assay_from_dict(data)
    except AssayError as error:
        raise AssayError(path.name, error.problems) from None


_EXPECTED = {
    "name": "a text",
    "version": "a whole number",
    "description": "a text",
    "compartment": "a list of compartments, or a text such as 'membrane+cytoplasm'",
    "thresholds": "three optical densities",
    "population": "a text",
    "include_cut": "true or false",
    "exclude_off_color": "true or false",
    "exclude": "a list of classes of regions",
    "only_regions": "true or false",
    "hotspot_mm2": "a number",
    "scores": "a list of scores",
    "minimum_cells": "names of scores and whole numbers",
    "block_um": "a number",
    "band_od": "a number",
    "band_degrees": "a number",
    "band_white": "a number",
    "band_membrane": "a number",
    "atm_max_od": "a number",
    "background": "'auto' or three numbers",
    "stains": "'default', 'estimate', or hematoxylin and dab with three numbers each",
    "segmenter": "a text",
    "segmenter_parameters": "names and numbers",
    "weights": "a text",
    "weights_sha256": "a text",
    "classifier": "a text",
    "classifier_sha256": "a text",
    "tumor_rule": "true or false",
    "expansion_um": "a number",
    "membrane_um": "a number",
    "membrane_from": "a text",
    "complete_share": "a number",
    "nucleus_edge_um": "a number",
    "cytoplasm_edge_um": "a number",
    "mpp": "a number",
    "group": "a text",
    "sources": "names and texts",
}
_TEXTS = (
    "name",
    "membrane_from",
    "description",
    "population",
    "segmenter",
    "weights",
    "weights_sha256",
    "classifier",
    "classifier_sha256",
    "group",
)
_BANDS = ("hotspot_mm2", "block_um", "band_od", "band_degrees", "band_white", "band_membrane")
_FLOATS = (
    "expansion_um",
    "membrane_um",
    "nucleus_edge_um",
    "cytoplasm_edge_um",
    "atm_max_od",
    "mpp",
    "complete_share",
    *_BANDS,
)


def _typed(key: str, value: Any) -> Any:
    """Bring a value from TOML or JSON into the type of its field; KeyError where it is of another."""
    if key in _TEXTS and isinstance(value, str):
        return value
    if key in _FLOATS and _number(value):
        return float(value)
    if key == "version" and _whole(value):
        return value
    if key in ("include_cut", "exclude_off_color", "only_regions", "tumor_rule") and isinstance(value, bool):
        return value
    if key == "compartment" and (isinstance(value, str) or _list_of(value, str)):
        return tuple(value.split("+")) if isinstance(value, str) else tuple(value)
    if key in ("exclude", "scores") and _list_of(value, str):
        return tuple(value)
    if key == "minimum_cells" and isinstance(value, Mapping) and all(map(_whole, value.values())):
        return dict(value)
    if key in ("thresholds", "background") and isinstance(value, list | tuple) and all(map(_number, value)):
        return tuple(float(v) for v in value)
    if key in ("background", "stains") and isinstance(value, str):
        return value
    if key == "stains" and isinstance(value, Mapping):
        return StainMatrix.from_dict(value)
    if key == "segmenter_parameters" and isinstance(value, Mapping) and all(map(_number, value.values())):
        return dict(value)
    if key == "sources" and isinstance(value, Mapping) and _list_of(list(value.values()), str):
        return dict(value)
    raise KeyError(key)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list_of(values: Any, kind: type) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(v, kind) for v in values)


def _problems(assay: Assay) -> list[str]:
    """List everything that is wrong with an assay."""
    return [
        *_compartment_problems(assay.compartment),
        *_threshold_problems(assay.thresholds),
        *_stain_problems(assay),
        *_number_problems(assay),
        *([] if assay.population in POPULATIONS else [f"population: choose from {', '.join(POPULATIONS)}"]),
        *([] if isinstance(assay.include_cut, bool) else ["include_cut: true or false"]),
        *([] if isinstance(assay.exclude_off_color, bool) else ["exclude_off_color: true or false"]),
        *([] if isinstance(assay.only_regions, bool) else ["only_regions: true or false"]),
        *([] if isinstance(assay.tumor_rule, bool) else ["tumor_rule: true or false"]),
        *([] if _list_of(assay.exclude, str) else ["exclude: classes of regions"]),
        *([] if _whole(assay.version) else ["version: whole number"]),
        *([] if assay.membrane_from in MEMBRANE_FROM else [f"membrane_from: choose {' or '.join(MEMBRANE_FROM)}"]),
        *_score_problems(assay),
    ]


def _score_problems(assay: Assay) -> list[str]:
    if not _list_of(assay.scores, str) or not assay.scores or len(set(assay.scores)) < len(assay.scores):
        return [f"scores: one or several different ones, found {assay.scores!r}"]
    problems = [f"score '{name}': choose from {', '.join(SCORES)}" for name in assay.scores if name not in SCORES]
    problems += [
        f"minimum_cells of '{name}': there is no such score" for name in assay.minimum_cells if name not in SCORES
    ]
    few = [name for name, cells in assay.minimum_cells.items() if not _whole(cells) or cells < 1]
    problems += [f"minimum_cells of '{name}': a whole number from 1" for name in few]
    return problems + [
        f"score '{name}': is of the compartment '{SCORES[name].compartment}', not '{'+'.join(assay.compartment)}'"
        for name in assay.scores
        if name in SCORES and not _fits(name, assay.compartment)
    ]


def _compartment_problems(compartment: tuple[str, ...]) -> list[str]:
    unknown = [name for name in compartment if name not in COMPARTMENT_NAMES]
    if unknown:
        return [f"compartment '{name}': choose from {', '.join(COMPARTMENT_NAMES)}" for name in unknown]
    if not compartment or len(set(compartment)) < len(compartment):
        return ["compartment: one or several different ones"]
    if "cell" in compartment and len(compartment) > 1:
        return ["compartment: 'cell' holds the others already"]
    return []


def _threshold_problems(thresholds: Any) -> list[str]:
    if not _numbers(thresholds, 3):
        return [f"thresholds: three optical densities, found {thresholds!r}"]
    if not 0 < thresholds[0] < thresholds[1] < thresholds[2]:
        return [f"thresholds: must be positive and rise, found {', '.join(f'{t:g}' for t in thresholds)}"]
    if thresholds[2] > 3:
        return [f"thresholds: optical densities (base 10) up to 3, found {thresholds[2]:g}"]
    return []


def _stain_problems(assay: Assay) -> list[str]:
    problems = []
    if isinstance(assay.background, str):
        if assay.background != "auto":
            problems.append(f"background: 'auto' or three numbers, found '{assay.background}'")
    elif not _numbers(assay.background, 3) or not all(DARKEST_BACKGROUND <= v <= 255 for v in assay.background):
        problems.append(
            f"background: 'auto' or three numbers from {DARKEST_BACKGROUND} up to 255, found {assay.background!r}"
        )
    if not isinstance(assay.stains, StainMatrix) and assay.stains not in ("default", "estimate"):
        problems.append(f"stains: 'default', 'estimate' or vectors, found {assay.stains!r}")
    return problems


def _number_problems(assay: Assay) -> list[str]:
    limits: dict[str, tuple[float, float]] = {}
    limits |= {"expansion_um": (0, 50), "membrane_um": (0, 10), "nucleus_edge_um": (0, 5), "atm_max_od": (0, 3)}
    limits |= {"cytoplasm_edge_um": (0, 5)}
    limits |= {
        "complete_share": (0, 1),
        "hotspot_mm2": (0, 100),
        "block_um": (20, 10_000),
        "band_od": (0, 0.5),
        "band_degrees": (0, 15),
        "band_white": (0, 0.2),
        "band_membrane": (0, 0.5),
    }
    may_be_zero = (
        "hotspot_mm2",
        "expansion_um",
        "nucleus_edge_um",
        "cytoplasm_edge_um",
        "band_od",
        "band_degrees",
        "band_white",
        "band_membrane",
    )
    problems = []
    for key, (low, high) in limits.items():
        value = getattr(assay, key)
        if not _numbers((value,), 1) or not low <= value <= high or (value == 0 and key not in may_be_zero):
            problems.append(f"{key}: a number above {low} up to {high}, found {value!r}")
    if assay.mpp is not None and (not _numbers((assay.mpp,), 1) or not assay.mpp > 0):
        problems.append(f"mpp: um per pixel, above 0, found {assay.mpp!r}")
    return problems


def _numbers(values: Any, count: int) -> bool:
    return isinstance(values, tuple | list) and len(values) == count and all(map(_number, values))
