"""Classed cells to a row of scores."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from ihcscore.assay import Assay
from ihcscore.schema import CLASS_COLUMN, CLASSES, SCORED_COLUMN, UNMEASURABLE, measured_column, saturated_column
from ihcscore.scores.atm import atm
from ihcscore.scores.counts import ClassCounts
from ihcscore.scores.hscore import h_score
from ihcscore.scores.outcome import Unscorable
from ihcscore.scores.percent import percent_positive

TEXT_FIELDS = ("image", "group", "region", "population", "compartment", "status", "reason")
OK, UNSCORABLE, FAILED = "ok", "unscorable", "failed"


@dataclass(frozen=True)
class ScoreRow:
    """One row of scores: an image or group, a region, a population, a compartment.

    Parameters
    ----------
    image, group, region, population, compartment : str
        What was scored.
    cells, negative, weak, moderate, strong : int
        Cells scored, and how many of each class.
    percent_positive, h_score, atm, mean_dab_od : float or None
        The scores; None where there is none, and `reason` says why.
    unmeasurable : int
        Cells left out because the compartment has no pixel.
    cut_by_border : int
        Cells whose nucleus the image's border cuts; left out unless the assay includes them.
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


def summarize(
    cells: pd.DataFrame, assay: Assay, *, image: str = "image", group: str = "", region: str = "image"
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

    Returns
    -------
    ScoreRow
        Of no cells, its status is "unscorable".
    """
    cut = cells["cut_by_border"].to_numpy(bool)
    unmeasurable = cells[CLASS_COLUMN].to_numpy() == UNMEASURABLE
    counted = ~unmeasurable & (np.ones(len(cells), bool) if assay.include_cut else ~cut)
    scored = cells[counted]
    numbers = [int((scored[CLASS_COLUMN] == name).sum()) for name in CLASSES]
    counts = ClassCounts(*numbers)
    od = scored[SCORED_COLUMN].to_numpy(np.float64)
    outcomes = (percent_positive(*numbers), h_score(*numbers), atm(od, assay.atm_max_od))
    left_out = int((unmeasurable & (True if assay.include_cut else ~cut)).sum())
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unscorable)]
    percent, h, average = (None if isinstance(outcome, Unscorable) else outcome for outcome in outcomes)
    return ScoreRow(
        image=image,
        group=group,
        region=region,
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
        unmeasurable=left_out,
        cut_by_border=int(cut.sum()),
        saturated_share=_saturated(scored, assay.compartment),
        status=UNSCORABLE if reasons else OK,
        reason=reasons[0] + _left_out(int(cut.sum()), left_out) if reasons else "",
    )


def failed_row(image: str, group: str, assay: Assay, reason: str, *, region: str = "image") -> ScoreRow:
    """Give the row of an image or group that could not be scored."""
    return ScoreRow(image, group, region, assay.population, "+".join(assay.compartment), status=FAILED, reason=reason)


def _left_out(cut: int, unmeasurable: int) -> str:
    parts = [f"{cut} cut by the border"] * (cut > 0) + [f"{unmeasurable} unmeasurable"] * (unmeasurable > 0)
    return f" ({', '.join(parts)})" if parts else " (no nuclei found: is it blank, or the pixel size wrong?)"


def _saturated(scored: pd.DataFrame, compartment: tuple[str, ...]) -> float | None:
    names = [name.capitalize() for name in compartment]
    if not len(scored) or saturated_column(names[0]) not in scored.columns:
        return None
    area = np.array([scored[measured_column(name)].to_numpy(np.float64) for name in names])
    share = np.array([scored[saturated_column(name)].to_numpy(np.float64) for name in names])
    return float(np.where(area > 0, area * share, 0).sum() / area.sum())
