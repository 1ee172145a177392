"""What a result folder holds, and how to read it again."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ihcscore.assays.assay import Assay, recorded_assay
from ihcscore.errors import DamagedResult, IhcscoreError, OutputError
from ihcscore.geometry import Placement
from ihcscore.io.atomic import write_bytes
from ihcscore.io.manifests import OVERLAY as OVERLAY
from ihcscore.io.manifests import SUMMARY as SUMMARY
from ihcscore.io.regions import read_regions
from ihcscore.io.slides.opening import files_sha256
from ihcscore.results.writers.summary import is_summary, read_summary
from ihcscore.results.writers.tables import iter_cells, read_cells
from ihcscore.scoring.regions import RegionSet, in_regions, is_excluded
from ihcscore.scoring.score_row import FAILED, POOLED, ScoreRow, failed_row
from ihcscore.scoring.score_table import needed_columns, pool
from ihcscore.survey.context import SlideContext
from ihcscore.table.digest import digest
from ihcscore.table.schema import REGION_COLUMN
from ihcscore.version import __version__

CELLS, CELLS_CSV, GEOJSON = "cells.parquet", "cells.csv", "cells.geojson"
QUALITY, REGIONS, BLOCKS = "quality.csv", "regions.geojson", "blocks.parquet"
FILES = (CELLS, CELLS_CSV, GEOJSON, OVERLAY, QUALITY, REGIONS, BLOCKS, SUMMARY)
PARTS = ".parts"
"""Folder of what an unfinished run has measured."""
RUN, SCORES = "run.json", "scores.csv"


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
    """Give the SHA-256 of everything that decides a result but its input: the version and the assay's values."""
    values = {key: value for key, value in assay.to_record().items() if key not in ("description", "sources")}
    text = json.dumps([__version__, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class ImageFolder:
    """The result of one image.

    Parameters
    ----------
    folder : Path
    summary : dict
        Its summary.json.
    row : ScoreRow
        Its scores.
    regions : tuple of ScoreRow
        The scores of its regions.
    """

    folder: Path
    summary: dict[str, Any]
    row: ScoreRow
    regions: tuple[ScoreRow, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "ImageFolder":
        """Read an image's result.

        Raises
        ------
        DamagedResult
            If its summary is missing or damaged.
        """
        summary = read_summary(folder / SUMMARY)
        try:
            regions = tuple(ScoreRow.from_dict(row) for row in summary["regions"])
            return cls(folder, summary, ScoreRow.from_dict(summary["scores"]), regions)
        except (ValueError, TypeError) as error:
            raise DamagedResult(folder / SUMMARY, f"is damaged ({error}): score its image again") from None


def list_results(out: Path) -> tuple[list[ImageFolder], list[str]]:
    """List the images' results in a result folder, and what is wrong with those that cannot be read.

    A summary.json of something else than ihcscore is not a result.
    """
    found, damaged = [], []
    for path in sorted(out.glob(f"*/{SUMMARY}")):
        try:
            found.append(ImageFolder.read(path.parent))
        except DamagedResult as error:
            if _is_ours(path):
                damaged.append(str(error))
    return found, damaged


def list_assays(out: Path) -> dict[str, Assay]:
    """Read which assay each image in a result folder was scored by, and each group by its images' own."""
    found: dict[str, Assay] = {}
    for result in list_results(out)[0]:
        assay = recorded_assay(result.summary["assay"])
        found[result.row.image] = assay
        if result.row.group:
            found.setdefault(result.row.group, assay)
    return found


def _is_ours(path: Path) -> bool:
    """Tell whether a summary that cannot be read was ours: it says so, or is damaged beside a cell table."""
    try:
        return is_summary(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return (path.parent / CELLS).exists()


def foreign_files(folder: Path) -> list[str]:
    """Name the files in an image's folder that a result would replace, and that nothing says are of one.

    A result that was being written has its cell table first and its summary last.
    """
    if (folder / CELLS).exists() or (folder / PARTS).is_dir() or _is_ours(folder / SUMMARY):
        return []
    return [name for name in FILES if (folder / name).exists()]


def discard_result(folder: Path) -> None:
    """Remove the files of an image's result, and nothing else.

    Raises
    ------
    OutputError
        If they cannot be removed.
    """
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        for left in folder.glob(".*.part"):  # of a process that was killed while it wrote
            left.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise OutputError(f"cannot replace the result in {folder}: {error.strerror or error}") from error


def discard_parts(folder: Path) -> None:
    """Remove what an unfinished run has measured of an image.

    Raises
    ------
    OutputError
        If it cannot be removed.
    """
    parts = folder / PARTS
    try:
        if parts.is_dir():
            shutil.rmtree(parts)
    except OSError as error:
        raise OutputError(f"cannot remove {parts}: {error.strerror or error}") from error


def write_run(out: Path, assay: Assay, **more: str) -> None:
    """Mark a result folder with the parameters of its run.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    head = {
        "ihcscore": __version__,
        "parameters": parameters_digest(assay),
        "assay": assay.to_record(),
        **more,
    }
    write_bytes(out / RUN, (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode())


def run_parameters(out: Path) -> str | None:
    """Give the digest of the parameters that a result folder was made with; None if it has none that can be read."""
    with suppress(OSError, ValueError, RecursionError, KeyError, TypeError):
        return str(json.loads((out / RUN).read_text("utf-8"))["parameters"])
    return None


def read_run(out: Path) -> Assay:
    """Read the assay that a result folder was made with.

    Raises
    ------
    IhcscoreError
        If the folder holds no results, or its record is damaged.
    """
    path = out / RUN
    try:
        return recorded_assay(json.loads(path.read_text("utf-8"))["assay"])
    except FileNotFoundError:
        raise IhcscoreError(f"{out} holds no results: it has no {RUN}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedResult(path, f"is damaged ({error}): score again") from None


def with_classifier_sha256(assay: Assay) -> Assay:
    """Record which classifier an assay names.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if assay.classifier is None or assay.classifier_sha256 is not None:
        return assay
    return assay.replace(classifier_sha256=file_sha256(Path(assay.classifier)))


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return files_sha256((path,))


def failed_rows(out: Path) -> list[ScoreRow]:
    """Read the rows of images that failed from a result folder's scores.

    Raises
    ------
    DamagedResult
        If the scores cannot be read.
    """
    path = out / SCORES
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["status"] == FAILED and row["region"] != POOLED]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DamagedResult(path, f"is damaged ({error}): run the same 'ihcscore score' again") from None
    return [
        ScoreRow(
            row["image"],
            row["group"],
            row["region"],
            row["region_class"],
            row["population"],
            row["compartment"],
            status=FAILED,
            reason=row["reason"],
        )
        for row in rows
    ]


def check_digest(result: ImageFolder) -> None:
    """Check that an image's cell table is the one its summary speaks of.

    Raises
    ------
    DamagedResult
        If it is missing, damaged or another one.
    """
    path = result.folder / CELLS
    if digest(iter_cells(path)) != result.summary["cells"]["sha256"]:
        raise DamagedResult(path, f"is not the table its {SUMMARY} speaks of: score again")


def result_context(result: ImageFolder) -> SlideContext:
    """Give the context an image was measured in.

    Raises
    ------
    DamagedResult
        If its summary is damaged.
    """
    try:
        return SlideContext.from_dict(result.summary["context"])
    except ValueError as error:
        raise DamagedResult(result.folder / SUMMARY, f"is damaged ({error}): score its image again") from None


def result_regions(result: ImageFolder) -> RegionSet:
    """Give the regions an image was scored with.

    Raises
    ------
    InputError
        If they cannot be read, or are not those that were written.
    """
    image = result.summary["image"]
    if "regions" not in result.summary["input"]:
        return RegionSet((), image["mpp"])
    written = result.summary.get("regions_sha256")  # results before 0.20.0 have none
    if written is not None and (result.folder / REGIONS).exists() and file_sha256(result.folder / REGIONS) != written:
        raise DamagedResult(result.folder / REGIONS, f"holds other regions than its {SUMMARY} speaks of: score again")
    read = read_regions(result.folder / REGIONS, (image["width"], image["height"]), image["mpp"])
    return RegionSet(read.regions, image["mpp"])


def result_placement(result: ImageFolder) -> Placement:
    """Give where an image lies in the frame of its GeoJSON.

    Raises
    ------
    DamagedResult
        If its summary is damaged.
    """
    try:
        place = Placement(**result.summary["input"].get("place", {}))
        return Placement(float(place.x), float(place.y), float(place.scale))
    except (TypeError, ValueError) as error:
        raise DamagedResult(result.folder / SUMMARY, f"is damaged ({error}): score its image again") from None


def pooled_rows(results: Sequence[ImageFolder], failed: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Give the rows of each group: all its cells as if from one image, by the assay its images were scored by.

    Parameters
    ----------
    results : sequence of ImageFolder
        All images that were scored.
    failed : sequence of ScoreRow
        Rows of those that failed.

    Returns
    -------
    list of ScoreRow
        A group whose tiles were measured with different backgrounds or stains, or scored by different assays, is a
        failed row, not a mixture.
    """
    groups: dict[str, list[ImageFolder]] = {}
    for result in results:
        if result.row.group:
            groups.setdefault(result.row.group, []).append(result)
    rows = []
    for group, members in groups.items():
        missing = sum(row.group == group for row in failed)
        assay = recorded_assay(members[0].summary["assay"])
        try:
            if reason := _unlike(members):
                rows.append(failed_row(group, group, assay, reason, region=POOLED))
                continue
            tables = [read_cells(member.folder / CELLS, needed_columns(assay)) for member in members]
            rows += _pooled(group, members, tables, missing, assay)
        except DamagedResult as error:
            rows.append(failed_row(group, group, assay, str(error), region=POOLED))
    return rows


def _unlike(members: Sequence[ImageFolder]) -> str:
    """Say why images cannot be pooled."""
    if len({result_context(member).light for member in members}) > 1:
        return "its tiles were measured with different background or stains: score them together"
    if len({member.summary["parameters"] for member in members}) > 1:
        return "its tiles were scored by different assays: give those of a group the same"
    if len({member.summary["segmenter"]["name"] for member in members}) > 1:
        return "the nuclei of some of its tiles were given, of others found: give those of all, or of none"
    return ""


def _pooled(
    group: str, members: Sequence[ImageFolder], tables: Sequence[pd.DataFrame], missing: int, assay: Assay
) -> list[ScoreRow]:
    """Score all cells of a group, and those in its regions of each class."""
    context = result_context(members[0])
    sets = [result_regions(member) for member in members]
    whole = pool(tables, assay, context, group=group, region=POOLED)
    area = _sum(member.row.area_mm2 for member in members)
    note = f"{missing} of its tiles failed" if missing else ""
    told = not any(member.row.off_color is None and member.row.cells for member in members)
    rows = [replace(row, area_mm2=area, reason=row.reason or note) for row in whole]
    for name in dict.fromkeys(name for regions in sets for name in regions.classes):
        if is_excluded(name, assay.exclude):
            continue
        names = [regions.classes.get(name, ()) for regions in sets]
        parts = [
            cells[in_regions(cells[REGION_COLUMN].to_numpy(object), wanted)]
            for cells, wanted in zip(tables, names, strict=True)
        ]
        scored = pool(parts, assay, context, group=group, region=POOLED, region_class=name)
        area = _sum(regions.area_mm2(wanted) for regions, wanted in zip(sets, names, strict=True))
        rows += [replace(row, area_mm2=area) for row in scored]
    return rows if told else [replace(row, off_color=None) for row in rows]


def _sum(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None
