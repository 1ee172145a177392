"""What a run records in its folder: the parameters, the images that failed, and a report for the caller."""

import csv
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import Assay
from ihcscore.assays.loading import recorded_assay
from ihcscore.errors import AssayError, DamagedResult, IhcscoreError
from ihcscore.io.atomic import write_bytes
from ihcscore.results.layout import RUN, SCORES
from ihcscore.scoring.score_row import FAILED, POOLED, ScoreRow
from ihcscore.version import STEPS, STEPS_BEFORE, __version__, recorded_steps

INDIFFERENT = ("description", "sources")
"""Fields of an assay that change no result."""


@dataclass(frozen=True)
class RunReport:
    """What a run did.

    Parameters
    ----------
    rows : tuple of ScoreRow
        All rows of ``scores.csv``.
    failed : tuple of str
        A line for each input that failed, naming file and remedy.
    kept : int
        Images that were complete already.
    warnings : tuple of str
        What the user should know, with the image's name.
    """

    rows: tuple[ScoreRow, ...]
    failed: tuple[str, ...] = ()
    kept: int = 0
    warnings: tuple[str, ...] = ()


def parameters_digest(assay: Assay, steps: Mapping[str, Any] = STEPS) -> str:
    """Return the SHA-256 of everything that decides a result but its input: the steps' versions and the assay."""
    values = {key: value for key, value in assay.to_record().items() if key not in INDIFFERENT}
    text = json.dumps([dict(steps), values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def released_digests(assay: Assay) -> list[tuple[str, str]]:
    """Return the digests that earlier releases with the same steps recorded for an assay, with their versions."""
    values = {key: value for key, value in assay.to_record().items() if key not in INDIFFERENT}
    texts = {v: json.dumps([v, values], sort_keys=True) for v, steps in STEPS_BEFORE.items() if steps == STEPS}
    return [(version, hashlib.sha256(text.encode()).hexdigest()) for version, text in texts.items()]


def recorded_digest(record: dict[str, Any]) -> str:
    """Return the digest of the parameters that a summary or a run's record holds, whichever version wrote it.

    It equals `parameters_digest` of the same assay as long as no step has changed since; empty if it is not known.
    """
    steps = recorded_steps(record)
    try:
        return parameters_digest(recorded_assay(record["assay"]), steps) if steps else ""
    except AssayError:
        return ""


def write_run(out: Path, assay: Assay, **more: str) -> None:
    """Mark a result folder with the parameters of its run. Raises OutputError if it cannot be written."""
    head = {
        "ihcscore": __version__,
        "steps": dict(STEPS),
        "parameters": parameters_digest(assay),
        "assay": assay.to_record(),
        **more,
    }
    write_bytes(out / RUN, (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode())


def run_digest(out: Path) -> str:
    """Return the digest of the parameters that a result folder was made with; empty if none can be read."""
    with suppress(OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return recorded_digest(json.loads((out / RUN).read_text("utf-8")))
    return ""


def read_run(out: Path) -> Assay:
    """Read the assay that a result folder was made with.

    Raises IhcscoreError if the folder holds no results, or its record is damaged.
    """
    path = out / RUN
    try:
        return recorded_assay(json.loads(path.read_text("utf-8"))["assay"])
    except FileNotFoundError:
        raise IhcscoreError(f"{out} holds no results: it has no {RUN}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedResult(path, f"is damaged ({error}): score again") from None


def failed_rows(out: Path) -> list[ScoreRow]:
    """Read the rows of images that failed from a result folder's scores.

    Raises DamagedResult if the scores cannot be read.
    """
    path = out / SCORES
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["status"] == FAILED and row["region"] != POOLED]
        return [_failed_row(row) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DamagedResult(path, f"is damaged ({error}): run the same 'ihcscore score' again") from None


def _failed_row(row: Mapping[str, str]) -> ScoreRow:
    image, group, region, region_class = (row[name] for name in ("image", "group", "region", "region_class"))
    scored = row["population"], row["compartment"]
    return ScoreRow(image, group, region, region_class, *scored, status=FAILED, reason=row["reason"])
