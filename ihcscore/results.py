"""What a result folder holds, and how to read it again."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import ihcscore
from ihcscore.assay import Assay
from ihcscore.context import SlideContext
from ihcscore.errors import InputError
from ihcscore.outputs.atomic import write_bytes
from ihcscore.outputs.summary import read_summary
from ihcscore.outputs.tables import read_cells
from ihcscore.pipeline import Measurement, digest
from ihcscore.summarize import FAILED, ScoreRow, summarize

CELLS, CELLS_CSV, GEOJSON, OVERLAY, SUMMARY = (
    "cells.parquet",
    "cells.csv",
    "cells.geojson",
    "overlay.png",
    "summary.json",
)
FILES = (CELLS, CELLS_CSV, GEOJSON, OVERLAY, SUMMARY)
RUN, SCORES = "run.json", "scores.csv"
POOLED = "pooled"


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


def parameters_digest(assay: Assay) -> str:
    """Give the SHA-256 of everything that decides a result but its input: the version and the assay."""
    text = json.dumps([ihcscore.__version__, assay.to_dict()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def results_in(out: Path, parameters: str | None = None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """List the images' folders in a result folder, with their summaries; those of `parameters` if given."""
    for path in sorted(out.glob(f"*/{SUMMARY}")):
        summary = read_summary(path)
        if parameters is None or summary["parameters"] == parameters:
            yield path.parent, summary


def discard_results(out: Path) -> None:
    """Remove the files that an earlier run wrote into a result folder, and nothing else."""
    for path in out.glob(f"*/{SUMMARY}"):
        for name in FILES:
            (path.parent / name).unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def write_run(out: Path, assay: Assay, **more: str) -> None:
    """Mark a result folder with the parameters of its run.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    head = {"ihcscore": ihcscore.__version__, "parameters": parameters_digest(assay), "assay": assay.to_dict(), **more}
    write_bytes(out / RUN, (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode())


def read_run(out: Path) -> dict[str, Any]:
    """Read what a result folder says of its run.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    path = out / RUN
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(path, f"is damaged ({error.__class__.__name__})") from error
    return data if isinstance(data, dict) else {}


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error


def load_measurement(folder: Path, summary: dict[str, Any]) -> Measurement:
    """Read an image's measurement from its result folder.

    Raises
    ------
    InputError
        If the cell table is missing or is not the one its summary speaks of.
    """
    cells = read_cells(folder / CELLS)
    if digest(cells) != summary["cells"]["sha256"]:
        raise InputError(folder / CELLS, f"in {folder.name} is not the table its summary.json speaks of: score again")
    return Measurement(cells, SlideContext.from_dict(summary["context"]), summary)


def pooled_rows(out: Path, rows: Sequence[ScoreRow], assay: Assay) -> list[ScoreRow]:
    """Give one row for each group: all its cells as if from one image."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row.group and row.status != FAILED:
            groups.setdefault(row.group, []).append(row.image)
    return [
        summarize(
            pd.concat([read_cells(out / name / CELLS) for name in names], ignore_index=True),
            assay,
            image=group,
            group=group,
            region=POOLED,
        )
        for group, names in groups.items()
    ]
