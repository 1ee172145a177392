"""Score a result folder again from its cell tables, without the images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from ihcscore.assays.assay import INPUT_FIELDS, Assay
from ihcscore.errors import IhcscoreError, InputError, ResultMismatch
from ihcscore.io.atomic import alone_in
from ihcscore.io.regions import RegionFile, read_regions, regions_for
from ihcscore.results.layout import CELLS, GEOJSON, RUN, SCORES, SUMMARY
from ihcscore.results.pooling import pooled_rows
from ihcscore.results.run_record import RunReport, failed_rows, parameters_digest, read_run, write_run
from ihcscore.results.stored_result import StoredResult, list_results
from ihcscore.results.writers.geojson import write_geojson
from ihcscore.results.writers.summary import write_summary
from ihcscore.results.writers.tables import iter_cells, write_scores
from ihcscore.scoring.cell_types.model import OF_OTHER_NUCLEI
from ihcscore.scoring.classify_table import classifier_warnings
from ihcscore.scoring.off_color import OWN_WARNINGS, off_color_warnings
from ihcscore.scoring.regions import RegionSet
from ihcscore.scoring.restain import rescoring_context, restain_table
from ihcscore.scoring.score_row import ScoreRow, failed_row
from ihcscore.scoring.scoring_pass import ScoringPass
from ihcscore.workflows.run_settings import with_hashes
from ihcscore.workflows.write_image import write_scored

OUTDATED = (OF_OTHER_NUCLEI, *OWN_WARNINGS)
"""Texts of warnings that scoring issues again."""


def rescore_folder(
    measured: str | Path,
    out: str | Path,
    assay: Assay | None = None,
    *,
    regions: str | Path | None = None,
    **changes: Any,
) -> RunReport:
    """Score a result folder again by other rules or in other regions, from its cell tables alone.

    Parameters
    ----------
    measured : str or Path
        Result folder of `score_files`.
    out : str or Path
        Folder of the new result; not the old one.
    assay : Assay, optional
        The assay to score by; that of the old result unless given.
    regions : str or Path, optional
        File of the only image's regions, or folder of all images'; those of the old result unless given.
    **changes
        Fields of `Assay` to change.

    Returns
    -------
    RunReport
        Images that had failed stay failed rows; one whose cell table is damaged becomes one.

    Raises
    ------
    IhcscoreError
        If `measured` holds no results, `out` holds some or is being written, or the assay cannot be scored without
        pixels.
    """
    measured, out = Path(measured), Path(out)
    old = read_run(measured)
    kept = {name: getattr(old, name) for name in (*INPUT_FIELDS, "only_regions")}
    new = (assay or old).replace(**kept, **changes)
    failures = [failed_row(row.image, row.group, new, row.reason) for row in failed_rows(measured)]
    found, damaged = _results_to_rescore(measured, {row.image for row in failures})
    given = _GivenRegions(regions, found)
    with alone_in(out) as warnings:
        if (out / RUN).exists():
            raise ResultMismatch(f"{out} holds results already: choose a new folder")
        warnings += [f"{text} (left out)" for text in damaged]
        rows, failed = list[ScoreRow](), [f"{row.image}: {row.reason}" for row in failures]
        for result in found:
            to = with_hashes(new if assay is not None else result.assay.replace(**changes))
            try:
                scored, notes = _rescore_one(result, to, given, out / result.folder.name)
            except InputError as error:
                failed.append(str(error))
                failures.append(failed_row(result.folder.name, result.row.group, to, str(error)))
                continue
            rows += scored
            warnings += [f"{result.folder.name}: {text}" for text in (*_lost_scores(result, to), *notes)]
        rows += failures + pooled_rows(list_results(out)[0], failures)
        write_scores(out / SCORES, rows)
        write_run(out, new, rescored_from=measured.name)  # last: without it, the folder can be written again
        return RunReport(tuple(rows), tuple(failed), warnings=tuple(warnings))


def _results_to_rescore(measured: Path, failed: set[str]) -> tuple[list[StoredResult], list[str]]:
    """Return the results of a folder but those of images that failed later, and what is wrong with damaged ones."""
    found, damaged = list_results(measured)
    if not found:
        raise IhcscoreError(f"{measured} holds no results that can be read")
    return [result for result in found if result.folder.name not in failed], damaged


class _GivenRegions:
    """Regions that replace those of the results: a file, or a folder of files."""

    def __init__(self, given: str | Path | None, results: Sequence[StoredResult]) -> None:
        self._given = None if given is None else Path(given)
        if self._given is not None and self._given.is_file() and len(results) > 1:
            raise IhcscoreError(f"{self._given.name} cannot hold the regions of {len(results)} images: give a folder")
        self._users = Counter(self._files(results))

    def _files(self, results: Sequence[StoredResult]) -> Iterator[Path]:
        for result in results if self._given is not None else ():
            with suppress(InputError):  # reported when its image is scored
                yield regions_for(Path(result.summary["input"]["name"]), self._given or Path())

    def read(self, result: StoredResult) -> RegionFile | None:
        """Read the regions of an image; None where those of the old result are kept."""
        if self._given is None:
            return None
        if result.assay.only_regions:
            raise IhcscoreError("only the cells in the old regions were measured: score the images again with others")
        image = result.summary["image"]
        path = regions_for(Path(result.summary["input"]["name"]), self._given)
        if self._users[path] > 1:
            raise InputError(path, f"would be the regions of {self._users[path]} images: score those again with theirs")
        return read_regions(path, (image["width"], image["height"]), image["mpp"], result.placement.back)


def _rescore_one(
    result: StoredResult, new: Assay, given_regions: _GivenRegions, out: Path
) -> tuple[list[ScoreRow], tuple[str, ...]]:
    given = given_regions.read(result)
    result.check_digest()
    regions = result.regions() if given is None else RegionSet(given.regions, result.summary["image"]["mpp"])
    scoring = rescoring_pass(result, new, regions)
    rows, record = write_scored(out, scoring, result.row.area_mm2)
    if (result.folder / GEOJSON).exists():
        write_geojson(out / GEOJSON, iter_cells(out / CELLS), result.placement)
    segmenter = result.summary["segmenter"]["name"]
    noticed = [*off_color_warnings(rows[0], new), *classifier_warnings(new, segmenter)]
    write_summary(out / SUMMARY, _summary(result, scoring, record, given, noticed))
    context_warnings = scoring.context.warnings if scoring.context is not None else ()
    return rows, (*(given.notes if given else ()), *context_warnings, *noticed)


def rescoring_pass(
    result: StoredResult, new: Assay, regions: RegionSet, keys: tuple[str, str] | None = None
) -> ScoringPass:
    """Return the scoring pass over a stored measurement by another assay.

    Raises IhcscoreError if the assay cannot be scored without pixels.

    Parameters
    ----------
    result : StoredResult
        As measured.
    keys : tuple of str, optional
        Image and group of the rows; those of the result unless given.
    """
    old, before = result.assay, result.context

    def restained() -> Iterator[pd.DataFrame]:
        return (restain_table(cells, before, new, old) for cells in iter_cells(result.folder / CELLS))

    image, group = keys or (result.folder.name, result.row.group)
    return ScoringPass(restained, new, regions, rescoring_context(before, new, old), image=image, group=group)


def _summary(
    result: StoredResult,
    scoring: ScoringPass,
    record: dict[str, Any],
    given: RegionFile | None,
    noticed: Sequence[str],
) -> dict[str, Any]:
    """Return the content of the new summary."""
    old, context = result.summary, scoring.context or result.context
    replaced = ("scores", "cells", "parameters", "assay", "regions_sha256")
    kept = {key: value for key, value in old.items() if key not in replaced}
    if given is not None:
        about = {"name": given.name, "sha256": given.sha256, "notes": list(given.notes)}
        kept["input"] = {**old["input"], "regions": about}
    gone = {*result.context.warnings} - {*context.warnings}
    return {
        **kept,
        **record,
        "warnings": _lasting(old, gone, given) + list(noticed),
        "context": context.to_dict(),
        "parameters": parameters_digest(scoring.assay),
        "cells": {**old["cells"], "sha256": scoring.cells_sha256, "rows": scoring.cell_count},
        "assay": scoring.assay.to_record(),
        "rescored_from": {
            "result": result.folder.parent.resolve().name,
            "image": result.folder.name,
            "cells_sha256": old["cells"]["sha256"],
            "assay": result.assay.to_record(),
            "context": old["context"],
        },
    }


def _lost_scores(result: StoredResult, new: Assay) -> list[str]:
    """Warn of recorded scores that are not defined for the compartment (results before 0.20.0 may have them)."""
    by = result.assay
    lost = [name for name in result.summary["assay"]["scores"] if name not in (*by.scores, *new.scores)]
    return [f"{', '.join(lost)} left out, not a score of the {'+'.join(by.compartment)}"] if lost else []


def _lasting(summary: dict[str, Any], gone: set[str], given: RegionFile | None) -> list[str]:
    """Return the warnings of a result that still hold, and the notes about given regions."""
    replaced = [] if given is None else summary["input"].get("regions", {}).get("notes", [])
    kept = [text for text in summary["warnings"] if text not in gone and text not in replaced]
    kept = [text for text in kept if not any(part in text for part in OUTDATED)]
    return kept + ([] if given is None else [*given.notes])
