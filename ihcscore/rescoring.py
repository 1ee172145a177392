"""Score a result folder again from its cell tables, without the images."""

import dataclasses
from pathlib import Path
from typing import Any

from ihcscore.assay import INPUT_FIELDS, Assay
from ihcscore.errors import DamagedResult, IhcscoreError, ResultMismatch
from ihcscore.outputs.geojson import write_geojson
from ihcscore.outputs.summary import write_summary
from ihcscore.outputs.tables import write_cells, write_scores
from ihcscore.pipeline import context_for, digest, rescore
from ihcscore.results import (
    CELLS,
    GEOJSON,
    RUN,
    SCORES,
    SUMMARY,
    ImageFolder,
    RunReport,
    failed_rows,
    load_measurement,
    parameters_digest,
    pooled_rows,
    read_run,
    results_in,
    write_run,
)
from ihcscore.summarize import ScoreRow, failed_row


def rescore_folder(measured: str | Path, out: str | Path, assay: Assay | None = None, **changes: Any) -> RunReport:
    """Score a result folder again by other rules, from its cell tables alone.

    Parameters
    ----------
    measured : str or Path
        Result folder of `score_files`.
    out : str or Path
        Folder of the new result; not the old one.
    assay : Assay, optional
        The assay to score by; that of the old result unless given.
    **changes
        Fields of `Assay` to change.

    Returns
    -------
    RunReport
        Images that had failed stay failed rows; one whose cell table is damaged becomes one.

    Raises
    ------
    IhcscoreError
        If `measured` holds no results, `out` holds some, or the assay cannot be scored without pixels.
    """
    measured, out = Path(measured), Path(out)
    old = read_run(measured)
    new = (assay or old).replace(**{name: getattr(old, name) for name in INPUT_FIELDS}, **changes)
    found, damaged = results_in(measured)
    if not found:
        raise IhcscoreError(f"{measured} holds no results that can be read")
    if (out / RUN).exists():
        raise ResultMismatch(f"{out} holds results already: choose a new folder")
    rows, warnings = [], [f"{text} (left out)" for text in damaged]
    failures = [
        failed_row(row.image, row.group, new, row.reason)
        for row in failed_rows(measured)
        if row.image not in {result.folder.name for result in found}
    ]
    failed = []
    for result in found:
        try:
            row, notes = _rescore_one(result, old, new, out / result.folder.name)
        except DamagedResult as error:
            failed.append(str(error))
            failures.append(failed_row(result.folder.name, result.row.group, new, str(error)))
            continue
        rows.append(row)
        warnings += [f"{result.folder.name}: {text}" for text in notes]
    rows += failures + pooled_rows(results_in(out)[0], failures, new)
    write_scores(out / SCORES, rows)
    write_run(out, new, rescored_from=measured.name)  # last: without it, the folder can be written again
    return RunReport(tuple(rows), tuple(failed), warnings=tuple(warnings))


def _rescore_one(result: ImageFolder, old: Assay, new: Assay, out: Path) -> tuple[ScoreRow, tuple[str, ...]]:
    measurement, summary = load_measurement(result), result.summary
    scored = rescore(measurement, new, old, image=result.folder.name)
    row = dataclasses.replace(scored.scores, group=result.row.group)
    context = context_for(measurement.context, new, old)
    write_cells(out / CELLS, scored.cells)
    write_geojson(out / GEOJSON, scored.cells)
    kept = {key: value for key, value in summary.items() if key not in ("scores", "cells", "parameters", "assay")}
    write_summary(
        out / SUMMARY,
        {
            **kept,
            "scores": row.to_dict(),
            "context": context.to_dict(),
            "parameters": parameters_digest(new),
            "cells": {**summary["cells"], "sha256": digest(scored.cells)},
            "assay": new.to_record(),
            "rescored_from": {
                "result": result.folder.parent.resolve().name,
                "image": result.folder.name,
                "cells_sha256": summary["cells"]["sha256"],
                "assay": old.to_record(),
                "context": summary["context"],
            },
        },
    )
    return row, context.warnings
