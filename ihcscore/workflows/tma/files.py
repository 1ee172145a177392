"""Grids of cores and sheets of patients as CSV, and cores as regions."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import shapely

from ihcscore.errors import InputError
from ihcscore.geometry import HERE, Placement
from ihcscore.io.atomic import write_bytes
from ihcscore.io.regions import Region
from ihcscore.io.regions.base import named
from ihcscore.workflows.tma.grid import MISSING, OK, Core, CoreGrid

COLUMNS = tuple(field.name for field in fields(Core))
CLASS = "Core"
CIRCLE_SEGMENTS = 16
"""Of a quarter; the polygon lacks 0.2 % of the circle's area."""


def write_grid(path: Path, grid: CoreGrid) -> None:
    """Write a grid as CSV, to be looked at, corrected and given again. Raises OutputError if it cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([getattr(core, name) for name in COLUMNS] for core in grid.cores)
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def read_grid(path: Path) -> CoreGrid:
    """Read a grid that `write_grid` wrote or a user did.

    Raises InputError if it cannot be read or does not make sense.

    Parameters
    ----------
    path : Path
        CSV with columns ``name``, ``x_um``, ``y_um``, ``diameter_um`` and, if wanted, ``row``, ``column`` and
        ``status`` ("ok" unless given; "missing" is not scored).
    """
    rows = _rows(path, ("name", "x_um", "y_um", "diameter_um"))
    cores = []
    for number, row in enumerate(rows, 2):
        status = row.get("status") or OK
        if status not in (OK, MISSING):
            raise InputError(path, f"line {number}: status is '{OK}' or '{MISSING}', found '{status}'")
        try:
            x, y, diameter = (float(row[name]) for name in ("x_um", "y_um", "diameter_um"))
            place = int(row.get("row") or 0), int(row.get("column") or 0)
        except ValueError as error:
            raise InputError(path, f"line {number}: {error}") from None
        if not (math.isfinite(x) and math.isfinite(y)):
            raise InputError(path, f"line {number}: a position in um is needed, found {x:g}, {y:g}")
        if not 0 < diameter < float("inf"):
            raise InputError(path, f"line {number}: a diameter in um is needed, found {diameter:g}")
        if not row["name"]:
            raise InputError(path, f"line {number}: the core needs a name")
        cores.append(Core(row["name"], *place, x, y, diameter, status))
    _refuse_twice(path, [core.name for core in cores])
    return CoreGrid(tuple(cores))


def read_sheet(path: Path) -> dict[tuple[str, str], str]:
    """Read which core is of which patient. Raises InputError if it cannot be read or names a core twice.

    Parameters
    ----------
    path : Path
        CSV with columns ``core`` ("A-1") and ``patient``, and ``slide`` (name of its result folder) where several
        slides have cores of the same name. Cores without patient, such as controls, are left empty.

    Returns
    -------
    dict of (str, str) to str
        Patient by slide and core; the slide is empty where the sheet names none.
    """
    rows = _rows(path, ("core", "patient"))
    keys = [(row.get("slide") or "", row["core"]) for row in rows]
    _refuse_twice(path, [" ".join(filter(None, key)) for key in keys])
    return dict(zip(keys, (row["patient"] for row in rows), strict=True))


def core_regions(cores: Iterable[Core], mpp: float, place: Placement = HERE) -> list[Region]:
    """Return the cores as circular regions, named as their rows of scores will be.

    Parameters
    ----------
    mpp : float
        um per level-0 pixel.
    place : Placement
        Of level-0 pixels in the frame that is wanted; level-0 pixels unless given.

    Returns
    -------
    list of Region
        In the same order. A core called as other rows are, such as "image", has another name as a region.
    """
    return named((core.name, CLASS, shapely.transform(_circle(core, mpp), place)) for core in cores)


def _circle(core: Core, mpp: float) -> shapely.Polygon:
    return shapely.Point(core.x_um / mpp, core.y_um / mpp).buffer(core.diameter_um / 2 / mpp, CIRCLE_SEGMENTS)


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                {key.strip(): (value or "").strip() for key, value in row.items() if key is not None}
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"is not a readable CSV ({error})") from error
    separator = next((text for text in (";", "\t") if rows and any(text in name for name in rows[0])), "")
    if separator:
        raise InputError(path, f"separate its columns by commas, not by {separator!r}, and write decimals with a point")
    missing = [name for name in needed if not rows or name not in rows[0]]
    if missing:
        raise InputError(path, f"needs rows with the columns {', '.join(needed)}; {', '.join(missing)} not found")
    return rows


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(path, f"names a core twice: {', '.join(twice[:3])}")
