"""Classed cells to a row of scores."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from ihcscore.assay import Assay
from ihcscore.regions import RegionSet, in_regions
from ihcscore.schema import (
    CLASS_COLUMN,
    CLASSES,
    REGION_COLUMN,
    SCORED_COLUMN,
    UNMEASURABLE,
    measured_column,
    saturated_column,
)
from ihcscore.scores.atm import atm
from ihcscore.scores.counts import ClassCounts
from ihcscore.scores.hscore import h_score
from ihcscore.scores.outcome import Unscorable
from ihcscore.scores.percent import percent_positive

TEXT_FIELDS = ("image", "group", "region", "region_class", "population", "compartment", "status", "reason")
OK, UNSCORABLE, FAILED = "ok", "unscorable", "failed"
WHOLE, ALL = "image", "all"
"""Region of a row that is about the whole image; first word of those about all regions of a class."""
NO_REGIONS = RegionSet()


@dataclass(frozen=True)
class ScoreRow:
    """One row of scores: an image or group, a region, a population, a compartment.

    Parameters
    ----------
    image, group, region, region_class, population, compartment : str
        What was scored. A region is "image" for the whole image or slide, the name of a region, "all <class>" for the
        regions of a class together, or "pooled" for all images of a group.
    cells, negative, weak, moderate, strong : int
        Cells scored, and how many of each class.
    percent_positive, h_score, atm, mean_dab_od : float or None
        The scores; None where there is none, and `reason` says why.
    unmeasurable : int
        Cells left out because the compartment has no pixel.
    cut_by_border : int
        Cells whose nucleus the image's border cuts; left out unless the assay includes them.
    in_artifact : int
        Cells left out because they lie on pen or on an area that was not scanned.
    excluded : int
        Cells left out because they lie in a region of an excluded class.
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
    percent_positive: float | None = None
    h_score: float | None = None
    atm: float | None = None
    mean_dab_od: float | None = None
    unmeasurable: int | None = None
    cut_by_border: int | None = None
    in_artifact: int | None = None
    excluded: int | None = None
    area_mm2: float | None = None
    saturated_share: float | None = None
    status: str = OK
    reason: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ScoreRow":
        """Read what `to_dict` gave.

        Raises
        ------
        ValueError
            If a field is missing, unknown or of another type.
        """
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise ValueError(f"fields of the scores differ: {', '.join(sorted(names ^ set(data)))}")
        for name, value in data.items():
            kind = (str,) if name in TEXT_FIELDS else (int, float, type(None))
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"scores: {name} cannot be {value!r}")
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values."""
        return asdict(self)


def slim(cells: pd.DataFrame, assay: Assay) -> pd.DataFrame:
    """Give the columns of a classed cell table that rows of scores are made of.

    Parameters
    ----------
    cells : DataFrame
        Cell table with the columns that scoring adds. Not modified.
    assay : Assay
        Its compartments.

    Returns
    -------
    DataFrame
    """
    return cells[[name for name in needed_columns(assay) if name in cells.columns]]


def needed_columns(assay: Assay) -> list[str]:
    """List the columns that rows of scores are made of."""
    names = [name.capitalize() for name in assay.compartment]
    measured = [column(name) for name in names for column in (measured_column, saturated_column)]
    return ["cut_by_border", "in_artifact", SCORED_COLUMN, CLASS_COLUMN, REGION_COLUMN, *measured]


def score_rows(
    cells: pd.DataFrame,
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    *,
    image: str = "image",
    group: str = "",
    tissue_mm2: float | None = None,
) -> list[ScoreRow]:
    """Score a whole image, each of its regions, and the regions of each class together.

    Parameters
    ----------
    cells : DataFrame
        What `slim` gives. Not modified.
    assay : Assay
    regions : RegionSet
        Those the table was made with.
    image, group : str
        Keys of the rows.
    tissue_mm2 : float, optional
        Area of the tissue.

    Returns
    -------
    list of ScoreRow
        The whole image first. A region of an excluded class has no row; its cells are counted in the others.
    """
    excluded = regions.excluded(assay.exclude)
    whole = summarize(cells, assay, image=image, group=group, excluded=excluded)
    rows = [replace(whole, area_mm2=tissue_mm2)]
    names = cells[REGION_COLUMN].to_numpy(object)

    def row(region: str, region_class: str, members: Sequence[str]) -> ScoreRow:
        inside = cells[in_regions(names, members)]
        scored = summarize(inside, assay, image=image, group=group, region=region, excluded=excluded)
        return replace(scored, region_class=region_class, area_mm2=regions.area_mm2(members))

    for region in regions.regions:
        if region.name not in excluded:
            rows.append(row(region.name, region.classification, [region.name]))
    for region_class, members in regions.classes.items():
        if len(members) > 1 and members[0] not in excluded:
            rows.append(row(f"{ALL} {region_class}", region_class, members))
    return rows


def summarize(
    cells: pd.DataFrame,
    assay: Assay,
    *,
    image: str = "image",
    group: str = "",
    region: str = WHOLE,
    excluded: Collection[str] = (),
) -> ScoreRow:
    """Count classes and compute the scores of a set of cells.

    Parameters
    ----------
    cells : DataFrame
        Cell table with the columns that scoring adds. Not modified.
    assay : Assay
        Which compartments the classes are of, whether cut cells count, the scale of the ATM.
    image, group, region : str
        Keys of the row.
    excluded : collection of str
        Names of regions whose cells are left out.

    Returns
    -------
    ScoreRow
        Of no cells, its status is "unscorable". A cell that is left out is counted once: as excluded, else as in an
        artifact, else as cut, else as unmeasurable.
    """
    out = in_regions(cells[REGION_COLUMN].to_numpy(object), list(excluded)) if excluded else np.zeros(len(cells), bool)
    artifact = cells["in_artifact"].to_numpy(bool) & ~out
    cut = cells["cut_by_border"].to_numpy(bool) & ~out & ~artifact
    left = ~out & ~artifact & (np.ones(len(cells), bool) if assay.include_cut else ~cut)
    unmeasurable = cells[CLASS_COLUMN].to_numpy() == UNMEASURABLE
    scored = cells[left & ~unmeasurable]
    numbers = [int((scored[CLASS_COLUMN] == name).sum()) for name in CLASSES]
    counts = ClassCounts(*numbers)
    od = scored[SCORED_COLUMN].to_numpy(np.float64)
    outcomes = (percent_positive(*numbers), h_score(*numbers), atm(od, assay.atm_max_od))
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unscorable)]
    percent, h, average = (None if isinstance(outcome, Unscorable) else outcome for outcome in outcomes)
    missing = {
        "excluded": int(out.sum()),
        "in_artifact": int(artifact.sum()),
        "cut_by_border": int(cut.sum()),
        "unmeasurable": int((left & unmeasurable).sum()),
    }
    return ScoreRow(
        image=image,
        group=group,
        region=region,
        region_class="",
        population=assay.population,
        compartment="+".join(assay.compartment),
        cells=counts.cells,
        negative=counts.negative,
        weak=counts.weak,
        moderate=counts.moderate,
        strong=counts.strong,
        percent_positive=percent,
        h_score=h,
        atm=average,
        mean_dab_od=float(od.mean()) if len(od) else None,
        **missing,
        saturated_share=_saturated(scored, assay.compartment),
        status=UNSCORABLE if reasons else OK,
        reason=reasons[0] + _left_out(missing, region) if reasons else "",
    )


def failed_row(image: str, group: str, assay: Assay, reason: str, *, region: str = WHOLE) -> ScoreRow:
    """Give the row of an image or group that could not be scored."""
    return ScoreRow(
        image, group, region, "", assay.population, "+".join(assay.compartment), status=FAILED, reason=reason
    )


def _left_out(missing: Mapping[str, int], region: str) -> str:
    words = {"in_artifact": "on pen or unscanned", "cut_by_border": "cut by the border"}
    parts = [f"{count} {words.get(name, name)}" for name, count in missing.items() if count]
    if parts:
        return f" ({', '.join(parts)})"
    return " (no nuclei found: is it blank, or the pixel size wrong?)" if region == WHOLE else " (no nuclei found)"


def _saturated(scored: pd.DataFrame, compartment: tuple[str, ...]) -> float | None:
    names = [name.capitalize() for name in compartment]
    if not len(scored) or saturated_column(names[0]) not in scored.columns:
        return None
    area = np.array([scored[measured_column(name)].to_numpy(np.float64) for name in names])
    share = np.array([scored[saturated_column(name)].to_numpy(np.float64) for name in names])
    return float(np.where(area > 0, area * share, 0).sum() / area.sum())
