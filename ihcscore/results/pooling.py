"""Rows of scores of each group: all its cells as if they were from one image."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from ihcscore.assays.assay import Assay
from ihcscore.errors import DamagedResult
from ihcscore.results.layout import CELLS
from ihcscore.results.run_record import recorded_digest
from ihcscore.results.stored_result import StoredResult
from ihcscore.results.writers.tables import read_cells
from ihcscore.scoring.cell_sums import needed_columns
from ihcscore.scoring.regions import in_regions, is_excluded
from ihcscore.scoring.score_row import POOLED, ScoreRow, failed_row
from ihcscore.scoring.score_table import pool
from ihcscore.table.schema import REGION_COLUMN


def pooled_rows(results: Sequence[StoredResult], failed: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Score each group, by the assay that its images were scored by.

    Parameters
    ----------
    results : sequence of StoredResult
        All images that were scored.
    failed : sequence of ScoreRow
        Rows of those that failed.

    Returns
    -------
    list of ScoreRow
        A group whose tiles were measured with different backgrounds or stains, or scored by different assays, is a
        failed row, not a mixture.
    """
    groups: dict[str, list[StoredResult]] = {}
    for result in results:
        if result.row.group:
            groups.setdefault(result.row.group, []).append(result)
    rows = []
    for group, members in groups.items():
        missing = sum(row.group == group for row in failed)
        assay = members[0].assay
        try:
            if reason := _why_not_pooled(members):
                rows.append(failed_row(group, group, assay, reason, region=POOLED))
                continue
            tables = [read_cells(member.folder / CELLS, needed_columns(assay)) for member in members]
            rows += _pooled(group, members, tables, missing, assay)
        except DamagedResult as error:
            rows.append(failed_row(group, group, assay, str(error), region=POOLED))
    return rows


def _why_not_pooled(members: Sequence[StoredResult]) -> str:
    """Return why images cannot be pooled, empty if they can."""
    if len({member.context.light for member in members}) > 1:
        return "its tiles were measured with different background or stains: score them together"
    if len({recorded_digest(member.summary) for member in members}) > 1:
        return "its tiles were scored by different assays: give those of a group the same"
    if len({member.summary["segmenter"]["name"] for member in members}) > 1:
        return "the nuclei of some of its tiles were given, of others found: give those of all, or of none"
    return ""


def _pooled(
    group: str, members: Sequence[StoredResult], tables: Sequence[pd.DataFrame], missing: int, assay: Assay
) -> list[ScoreRow]:
    """Score all cells of a group, and those in its regions of each class."""
    context = members[0].context
    sets = [member.regions() for member in members]
    whole = pool(tables, assay, context, group=group, region=POOLED)
    area = _sum(member.row.area_mm2 for member in members)
    note = f"{missing} of its tiles failed" if missing else ""
    known = not any(member.row.off_color is None and member.row.cells for member in members)
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
    return rows if known else [replace(row, off_color=None) for row in rows]


def _sum(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None
