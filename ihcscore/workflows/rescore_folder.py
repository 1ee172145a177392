"""Score a result folder again from its cell tables, without the images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from ihcscore.api import classifier_warnings, classify_tables, rescoring_context, restain_table
from ihcscore.assays.assay import INPUT_FIELDS, Assay, recorded_assay
from ihcscore.errors import IhcscoreError, InputError, ResultMismatch
from ihcscore.io.atomic import alone_in
from ihcscore.io.regions import RegionFile, read_regions, regions_for, write_regions
from ihcscore.results.folder import (
    BLOCKS,
    CELLS,
    GEOJSON,
    REGIONS,
    RUN,
    SCORES,
    SUMMARY,
    ImageFolder,
    RunReport,
    check_digest,
    failed_rows,
    file_sha256,
    list_results,
    parameters_digest,
    pooled_rows,
    read_run,
    result_context,
    result_placement,
    result_regions,
    with_classifier_sha256,
    write_run,
)
from ihcscore.results.writers.geojson import write_geojson
from ihcscore.results.writers.summary import write_summary
from ihcscore.results.writers.tables import iter_cells, write_blocks, write_cells, write_scores
from ihcscore.scoring.cell_types.model import OF_OTHER_NUCLEI
from ihcscore.scoring.off_color import AND_SO_ON, NOT_TOLD, off_color_warnings
from ihcscore.scoring.regions import RegionSet
from ihcscore.scoring.score_row import ScoreRow, failed_row
from ihcscore.scoring.score_table import ScoreTable
from ihcscore.table.digest import TableDigest


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
    found, damaged = list_results(measured)
    if not found:
        raise IhcscoreError(f"{measured} holds no results that can be read")
    failures = [failed_row(row.image, row.group, new, row.reason) for row in failed_rows(measured)]
    found = [result for result in found if result.folder.name not in {row.image for row in failures}]
    if regions is not None and Path(regions).is_file() and len(found) > 1:
        raise IhcscoreError(f"{Path(regions).name} cannot hold the regions of {len(found)} images: give a folder")
    users = Counter(_region_files(found, regions))
    with alone_in(out) as warnings:
        if (out / RUN).exists():
            raise ResultMismatch(f"{out} holds results already: choose a new folder")
        warnings += [f"{text} (left out)" for text in damaged]
        rows, failed = list[ScoreRow](), [f"{row.image}: {row.reason}" for row in failures]
        for result in found:
            by = recorded_assay(result.summary["assay"])
            to = with_classifier_sha256(new if assay is not None else by.replace(**changes))
            try:
                given = _regions(result, by, regions, users)
                scored, notes = _rescore_one(result, by, to, given, out / result.folder.name)
            except InputError as error:
                failed.append(str(error))
                failures.append(failed_row(result.folder.name, result.row.group, to, str(error)))
                continue
            rows += scored
            if lost := [name for name in result.summary["assay"]["scores"] if name not in (*by.scores, *to.scores)]:
                text = f"{', '.join(lost)} left out, not a score of the {'+'.join(by.compartment)}"
                warnings.append(f"{result.folder.name}: {text}")
            warnings += [f"{result.folder.name}: {text}" for text in notes]
        rows += failures + pooled_rows(list_results(out)[0], failures)
        write_scores(out / SCORES, rows)
        write_run(out, new, rescored_from=measured.name)  # last: without it, the folder can be written again
        return RunReport(tuple(rows), tuple(failed), warnings=tuple(warnings))


def _region_files(found: Sequence[ImageFolder], given: str | Path | None) -> Iterator[Path]:
    """Give the file of each image's regions; one that cannot be told is reported when its image is scored."""
    for result in found if given is not None else ():
        with suppress(InputError):
            yield regions_for(Path(result.summary["input"]["name"]), Path(given or ""))


def _regions(result: ImageFolder, by: Assay, given: str | Path | None, users: Counter[Path]) -> RegionFile | None:
    """Read the regions that are given for an image; None where those of the old result stay."""
    if given is None:
        return None
    if by.only_regions:
        raise IhcscoreError("only the cells in the old regions were measured: score the images again with others")
    image = result.summary["image"]
    path = regions_for(Path(result.summary["input"]["name"]), Path(given))
    if users[path] > 1:
        raise InputError(path, f"would be the regions of {users[path]} images: score those again with theirs")
    return read_regions(path, (image["width"], image["height"]), image["mpp"], result_placement(result).back)


def _rescore_one(
    result: ImageFolder, old: Assay, new: Assay, given: RegionFile | None, out: Path
) -> tuple[list[ScoreRow], tuple[str, ...]]:
    check_digest(result)
    summary, before = result.summary, result_context(result)
    regions = result_regions(result) if given is None else RegionSet(given.regions, summary["image"]["mpp"])
    context = rescoring_context(before, new, old)
    digest = TableDigest()
    scored = ScoreTable(new, regions, context, image=result.folder.name, group=result.row.group)

    def again() -> Iterator[pd.DataFrame]:
        return (restain_table(cells, before, new, old) for cells in iter_cells(result.folder / CELLS))

    def classed() -> Iterator[pd.DataFrame]:
        for table in classify_tables(again, new, regions, context.plane):
            digest.update(table)
            scored.add(table)
            yield table

    write_cells(out / CELLS, classed())
    if (result.folder / GEOJSON).exists():
        write_geojson(out / GEOJSON, iter_cells(out / CELLS), result_placement(result))
    if len(regions):
        write_regions(out / REGIONS, regions.regions)
    rows = scored.rows(result.row.area_mm2)
    write_blocks(out / BLOCKS, scored.samplings)
    told = [*off_color_warnings(rows[0], new), *classifier_warnings(new, summary["segmenter"]["name"])]
    anew = ("scores", "cells", "parameters", "assay", "regions_sha256")
    kept = {key: value for key, value in summary.items() if key not in anew}
    if len(regions):
        kept["regions_sha256"] = file_sha256(out / REGIONS)
    if given is not None:
        about = {"name": given.name, "sha256": given.sha256, "notes": list(given.notes)}
        kept["input"] = {**summary["input"], "regions": about}
    write_summary(
        out / SUMMARY,
        {
            **kept,
            "warnings": _lasting(summary, {*before.warnings} - {*context.warnings}, given) + told,
            "scores": rows[0].to_dict(),
            "regions": [row.to_dict() for row in rows[1:]],
            "context": context.to_dict(),
            "parameters": parameters_digest(new),
            "cells": {**summary["cells"], "sha256": digest.hexdigest()},
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
    return rows, (*(given.notes if given else ()), *context.warnings, *told)


def _lasting(summary: dict[str, Any], gone: set[str], given: RegionFile | None) -> list[str]:
    """Give the warnings of a result that still hold, and what is noted of the regions that are given."""
    replaced = [] if given is None else summary["input"].get("regions", {}).get("notes", [])
    outdated = (OF_OTHER_NUCLEI, AND_SO_ON, NOT_TOLD)
    kept = [text for text in summary["warnings"] if text not in gone and text not in replaced]
    kept = [text for text in kept if not any(part in text for part in outdated)]
    return kept + ([] if given is None else [*given.notes])
