"""Scores of cores to scores of patients."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ihcscore.formulas.hscore import h_score
from ihcscore.formulas.outcome import value
from ihcscore.formulas.percent import percent_positive
from ihcscore.io.atomic import write_bytes
from ihcscore.scoring.score_row import FAILED, OK, UNSCORABLE, ScoreRow, flat
from ihcscore.workflows.tma.grid import MISSING, Core

CLASS_COUNTS = ("negative", "weak", "moderate", "strong")


@dataclass(frozen=True)
class CoreRow:
    """A core and its scores.

    Parameters
    ----------
    slide, core, patient : str
        The patient is empty where the sheet names none.
    status : str
        "ok", "unscorable", "failed" with its slide, or "missing" where the place has no core.
    """

    slide: str
    core: str
    patient: str
    row: int
    column: int
    x_um: float
    y_um: float
    diameter_um: float
    cells: int | None = None
    negative: int | None = None
    weak: int | None = None
    moderate: int | None = None
    strong: int | None = None
    percent_positive: float | None = None
    h_score: float | None = None
    mean_dab_od: float | None = None
    status: str = OK
    reason: str = ""


@dataclass(frozen=True)
class PatientRow:
    """A patient and the scores of all cells of its cores.

    Parameters
    ----------
    cores, cores_without_score : int
        Cores that were scored; cores of the patient that are missing, failed or hold too few cells, or none.
    cells, negative, weak, moderate, strong : int
        Over all cores, those with too few cells for a score of their own, too.
    percent_positive, h_score : float or None
        Of all cells together.
    h_score_mean, h_score_min, h_score_max : float or None
        Over cores, each counting the same.
    """

    patient: str
    cores: int
    cores_without_score: int
    cells: int
    negative: int
    weak: int
    moderate: int
    strong: int
    percent_positive: float | None
    h_score: float | None
    h_score_mean: float | None
    h_score_min: float | None
    h_score_max: float | None
    status: str = OK
    reason: str = ""


def core_row(slide: str, core: Core, scored: ScoreRow | None, patient: str) -> CoreRow:
    """Put a core and its scores together; without scores, it is missing."""
    row = _unscored(slide, core, patient)
    if scored is None:
        return replace(row, status=MISSING, reason="no tissue in its place")
    shared = {field.name for field in fields(CoreRow)} - {"row", "column"}
    return replace(row, **{name: value for name, value in flat(scored).items() if name in shared})


def failed_core(slide: str, core: Core, reason: str, patient: str) -> CoreRow:
    """Return the row of a core whose slide could not be scored."""
    if core.status == MISSING:
        return core_row(slide, core, None, patient)
    return replace(_unscored(slide, core, patient), status=FAILED, reason=reason)


def _unscored(slide: str, core: Core, patient: str) -> CoreRow:
    return CoreRow(slide, core.name, patient, core.row, core.column, core.x_um, core.y_um, core.diameter_um)


def patient_rows(cores: Iterable[CoreRow]) -> list[PatientRow]:
    """Score each patient from its cores; those without patient are left out.

    Returns
    -------
    list of PatientRow
        In the order in which the patients first occur.
    """
    by_patient: dict[str, list[CoreRow]] = {}
    for core in cores:
        if core.patient:
            by_patient.setdefault(core.patient, []).append(core)
    return [_patient_row(patient, members) for patient, members in by_patient.items()]


def _patient_row(patient: str, members: Sequence[CoreRow]) -> PatientRow:
    scored = [core for core in members if core.status == OK]
    counts = {name: sum(getattr(core, name) or 0 for core in members) for name in CLASS_COUNTS}
    each = [core.h_score for core in scored if core.h_score is not None]
    return PatientRow(
        patient,
        cores=len(scored),
        cores_without_score=len(members) - len(scored),
        cells=sum(counts.values()),
        **counts,
        percent_positive=value(percent_positive(**counts)),
        h_score=value(h_score(**counts)),
        h_score_mean=sum(each) / len(each) if each else None,
        h_score_min=min(each, default=None),
        h_score_max=max(each, default=None),
        status=OK if any(counts.values()) else UNSCORABLE,
        reason="" if any(counts.values()) else f"none of its {len(members)} cores has a cell to score",
    )


def write_rows(path: Path, rows: Sequence[CoreRow] | Sequence[PatientRow], kind: type) -> None:
    """Write cores or patients as CSV, a missing value as an empty field. Raises OutputError if it cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(field.name for field in fields(kind))
    for row in rows:
        values: Mapping[str, object] = asdict(row)
        writer.writerow("" if v is None else round(v, 6) if isinstance(v, float) else v for v in values.values())
    write_bytes(path, text.getvalue().encode("utf-8-sig"))
