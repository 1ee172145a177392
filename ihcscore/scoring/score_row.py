"""One row of scores: a set of cells, its classes, its scores and how sure they are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ihcscore.assays.assay import Assay
from ihcscore.formulas.registry import SCORES

TEXT_FIELDS = ("image", "group", "region", "region_class", "population", "compartment", "status", "reason")
OK, UNSCORABLE, FAILED = "ok", "unscorable", "failed"
WHOLE, ALL, POOLED = "image", "all", "pooled"
"""Region of a row that is about the whole image; first word of those about all regions of a class; that of a group."""


@dataclass(frozen=True)
class ScoreValue:
    """A score and its 95 % interval.

    Parameters
    ----------
    value, low, high : float or None
        None where there is none, and `reason` says why; a value may have no interval.
    category : str
        What the value is called, for scores with categories.
    status : str
        "ok" or "unscorable".
    reason : str
    method : str
        How the interval was obtained.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    category: str = ""
    status: str = OK
    reason: str = ""
    method: str = ""


@dataclass(frozen=True)
class Band:
    """How far a score moves when what it rests on is moved a little.

    Parameters
    ----------
    score : str
        Which.
    ranges : mapping of str to (low, high)
        By what is moved: "thresholds", "stains", "background".
    dominant : str
        Which of them moves it most.
    """

    score: str
    ranges: Mapping[str, tuple[float, float]]
    dominant: str

    @property
    def low(self) -> float:
        """Lowest of all."""
        return min(low for low, _ in self.ranges.values())

    @property
    def high(self) -> float:
        """Highest of all."""
        return max(high for _, high in self.ranges.values())


@dataclass(frozen=True)
class ScoreRow:
    """One row of scores: an image or group, a region, a population, a compartment.

    Parameters
    ----------
    image, group, region, region_class, population, compartment : str
        What was scored. A region is "image" for the whole image or slide, the name of a region, "all <class>" for the
        regions of a class together, "hotspot N", or "pooled" for all images of a group.
    cells, negative, weak, moderate, strong : int
        Cells scored, and how many of each class.
    scores : mapping of str to ScoreValue
        By name, as the assay lists them.
    blocks, effective_blocks, block_um : float or None
        How many blocks of tissue hold the cells, how many independent ones of the same size they weigh as, and their
        side.
    band : Band or None
        Sensitivity of the assay's first score.
    heterogeneity : mapping of str to float
        As `ihcscore.scoring.heterogeneity` computes it; of several regions or images together, `between` too.
    patterns : mapping of str to float
        Share of cells of each membrane pattern, where membranes were judged.
    unmeasurable : int
        Cells left out because the compartment has no pixel.
    cut_by_border : int
        Cells whose nucleus the image's border cuts; left out unless the assay includes them.
    in_artifact : int
        Cells left out because they lie on pen or on an area that was not scanned.
    excluded : int
        Cells left out because they lie in a region of an excluded class.
    off_color : int or None
        Stained cells of another color than the slide's; excluded if the assay says so; None if not known.
    area_mm2 : float or None
        Area of the region; of the tissue, where it is the whole image.
    saturated_share : float or None
        Part of the pixels of the scored compartments, of the scored cells, with a channel at 1.5 OD or more; None
        where the background changed after measuring.
    status : str
        "ok", "unscorable" or "failed".
    reason : str
        Why there is no score.
    """

    image: str
    group: str
    region: str
    region_class: str
    population: str
    compartment: str
    cells: int | None = None
    negative: int | None = None
    weak: int | None = None
    moderate: int | None = None
    strong: int | None = None
    scores: Mapping[str, ScoreValue] = field(default_factory=dict)
    blocks: int | None = None
    effective_blocks: float | None = None
    block_um: float | None = None
    band: Band | None = None
    heterogeneity: Mapping[str, float] = field(default_factory=dict)
    patterns: Mapping[str, float] = field(default_factory=dict)
    unmeasurable: int | None = None
    cut_by_border: int | None = None
    in_artifact: int | None = None
    excluded: int | None = None
    off_color: int | None = None
    area_mm2: float | None = None
    saturated_share: float | None = None
    status: str = OK
    reason: str = ""

    def value(self, name: str) -> float | None:
        """Return a score, None where it was not requested or could not be computed."""
        return self.scores[name].value if name in self.scores else None

    @property
    def h_score(self) -> float | None:
        """The H-score."""
        return self.value("h_score")

    @property
    def percent_positive(self) -> float | None:
        """Percent positive."""
        return self.value("percent_positive")

    @property
    def atm(self) -> float | None:
        """The average threshold measure."""
        return self.value("atm")

    @property
    def mean_dab_od(self) -> float | None:
        """Mean DAB optical density over cells."""
        return self.value("mean_dab_od")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ScoreRow":
        """Read what `to_dict` returned, of this version or an earlier one.

        Raises ValueError if a field that every version writes is missing, or one is unknown or of another type.
        """
        names = {field.name for field in fields(cls)}
        problems = (set(data) - names) | (set(TEXT_FIELDS[:6]) - set(data))
        if problems:
            raise ValueError(f"fields of the scores differ: {', '.join(sorted(problems))}")
        values = {"scores": {}, "band": None, **{name: {} for name in _NUMBERS}, **data}
        for name in set(data) - {"scores", "band", *_NUMBERS}:
            kind = (str,) if name in TEXT_FIELDS else (int, float, type(None))
            if not isinstance(values[name], kind) or isinstance(values[name], bool):
                raise ValueError(f"scores: {name} cannot be {values[name]!r}")
        try:
            values["scores"] = {str(name): ScoreValue(**value) for name, value in values["scores"].items()}
            band = values["band"]
            if band is not None:
                ranges = {str(name): (float(low), float(high)) for name, (low, high) in band["ranges"].items()}
                values["band"] = Band(str(band["score"]), ranges, str(band["dominant"]))
            for name in _NUMBERS:
                values[name] = {str(key): float(value) for key, value in values[name].items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"scores: {error}") from None
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        plain = asdict(self)
        if self.band is not None:
            plain["band"]["ranges"] = {name: list(pair) for name, pair in self.band.ranges.items()}
        return plain


_NUMBERS = ("heterogeneity", "patterns")
"""Fields that are numbers by name."""
BEFORE_SCORES = tuple(f.name for f in fields(ScoreRow))[:11]
AFTER_SCORES = ("blocks", "effective_blocks", "block_um")
LAST = tuple(f.name for f in fields(ScoreRow))[-9:]
PARTS = ("", "_low", "_high", "_category", "_status")


def table_columns(rows: Sequence[ScoreRow]) -> list[str]:
    """List the columns of a table of rows: each score that one of them has, with its interval, category and status."""
    named = [name for name in SCORES if any(name in row.scores for row in rows)]
    scores = [f"{name}{part}" for name in named for part in _parts(name)]
    bands = [f"{row.band.score}_band" for row in rows if row.band is not None]
    band = [f"{name}_{end}" for name in dict.fromkeys(bands) for end in ("low", "high", "by")]
    numbers = [*dict.fromkeys(name for row in rows for field in _NUMBERS for name in getattr(row, field))]
    return [*BEFORE_SCORES, *scores, *AFTER_SCORES, *band, *numbers, *LAST]


def _parts(name: str) -> tuple[str, ...]:
    has_categories = SCORES[name].category is not None
    return PARTS if has_categories else tuple(part for part in PARTS if part != "_category")


def flat(row: ScoreRow) -> dict[str, Any]:
    """Flatten a row for a table: `<score>`, `<score>_low`, `<score>_high`, `<score>_status`."""
    values: dict[str, Any] = {name: getattr(row, name) for name in (*BEFORE_SCORES, *AFTER_SCORES, *LAST)}
    for name, score in row.scores.items():
        values |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        values |= {f"{name}_category": score.category, f"{name}_status": score.reason or score.status}
    if row.band is not None:
        name = f"{row.band.score}_band"
        values |= {f"{name}_low": row.band.low, f"{name}_high": row.band.high, f"{name}_by": row.band.dominant}
    return values | dict(row.heterogeneity) | dict(row.patterns)


def failed_row(image: str, group: str, assay: Assay, reason: str, *, region: str = WHOLE) -> ScoreRow:
    """Return the row of an image or group that could not be scored."""
    return ScoreRow(
        image, group, region, "", assay.population, "+".join(assay.compartment), status=FAILED, reason=reason
    )
