"""Cells as GeoJSON that QuPath opens."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from ihcscore.cells.contours import rings_of
from ihcscore.geometry import HERE, Placement
from ihcscore.io.atomic import atomic_path
from ihcscore.results.writers.colors import CLASS_COLORS
from ihcscore.results.writers.rings import DECIMALS_PX, ring_texts
from ihcscore.table.schema import (
    CELL_TYPE_COLUMN,
    CELL_TYPES,
    CLASS_COLUMN,
    COMPARTMENTS,
    COMPLETENESS_COLUMN,
    LEFT_OUT_COLUMN,
    RIDGE_MEAN_COLUMN,
    SCORED_COLUMN,
    STAINS,
    area_column,
    stain_column,
)

MEASUREMENTS = (
    *(area_column(name) for name in ("Nucleus", "Cell")),
    "Nucleus: Circularity",
    *(stain_column(name, stain, "mean") for name in COMPARTMENTS for stain in STAINS),
    RIDGE_MEAN_COLUMN,
    COMPLETENESS_COLUMN,
    SCORED_COLUMN,
)
"""What goes along with the outlines; the rest is in the cell table, under the same id."""
WRITTEN = (
    *("cell_id", "cell_wkb", "nucleus_wkb", CLASS_COLUMN, CELL_TYPE_COLUMN),
    *("cut_by_border", LEFT_OUT_COLUMN, *MEASUREMENTS),
)
"""Columns of the cell table that are written."""
CHUNK = 5000


def write_geojson(path: Path, tables: Iterable[pd.DataFrame], place: Placement = HERE) -> None:
    """Write classed cells for QuPath: cell and nucleus outline, class, flag, measurements.

    Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    tables : iterable of DataFrame
        Cell table with classes, in pieces of any size; a few thousand cells are in memory at a time.
    place : Placement
        Where the image lies in the frame that is written.

    Notes
    -----
    The class of a cell whose type is known is named as QuPath does, ``Tumor: 1+``. Coordinates are level-0 pixels, x
    right, y down, pixel (0, 0) covering [0, 1) x [0, 1), rounded to 0.01 px. A cell that the image's border cuts
    carries the measurement ``Cut by border`` 1, one that counts in no score ``Left out`` 1. A measurement that does not
    exist (no pixel) is not written.
    """
    with atomic_path(path) as part, part.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[\n')
        begun = False
        for cells in tables:
            for start in range(0, len(cells), CHUNK):
                file.write(b",\n" if begun else b"")
                file.write(",\n".join(_features(cells.iloc[start : start + CHUNK], place)).encode())
                begun = True
        file.write(b"\n]}\n")


def _features(cells: pd.DataFrame, place: Placement) -> list[str]:
    kinds = cells[CELL_TYPE_COLUMN].tolist() if CELL_TYPE_COLUMN in cells.columns else [""] * len(cells)
    styles = {
        (kind, name): json.dumps({"name": f"{kind}: {name}" if kind else name, "color": color}, separators=(",", ":"))
        for name, color in ((name, list(color)) for name, color in CLASS_COLORS.items())
        for kind in ("", *CELL_TYPES)
    }
    return [
        f'{{"type":"Feature","id":"{identity}","geometry":{cell},"nucleusGeometry":{nucleus},"properties":'
        f'{{"objectType":"cell","classification":{styles[kind, name]},"measurements":{{{measured}}}}}}}'
        for identity, cell, nucleus, kind, name, measured in zip(
            cells["cell_id"].tolist(),
            _geometries(cells["cell_wkb"], place),
            _geometries(cells["nucleus_wkb"], place),
            kinds,
            cells[CLASS_COLUMN].tolist(),
            _measurements(cells),
            strict=True,
        )
    ]


def _geometries(wkb: pd.Series, place: Placement) -> list[str]:
    xy, size = rings_of(wkb)
    one_ring = size > 0
    texts = np.empty(len(wkb), object)
    rings = ring_texts(place(xy) if place != HERE else xy, size[one_ring])
    texts[one_ring] = [f'{{"type":"Polygon","coordinates":[{ring}]}}' for ring in rings]
    others = shapely.transform(shapely.from_wkb(wkb[~one_ring].to_numpy()), lambda xy: np.round(place(xy), DECIMALS_PX))
    texts[~one_ring] = shapely.to_geojson(others)
    return list(texts)


def _measurements(cells: pd.DataFrame) -> list[str]:
    columns = [name for name in MEASUREMENTS if name in cells.columns]
    entries = [f"{json.dumps(name, ensure_ascii=False)}:%.5g" for name in columns]
    flags = cells["cut_by_border"], cells[LEFT_OUT_COLUMN] != ""
    rows = zip(
        cells[columns].to_numpy(np.float64).tolist(), *(flag.astype(int).tolist() for flag in flags), strict=True
    )
    whole = ",".join(entries)
    return [
        f'{_entries(whole, entries, values)}"Cut by border":{cut},"Left out":{left_out}'
        for values, cut, left_out in rows
    ]


def _entries(whole: str, entries: list[str], values: list[float]) -> str:
    """Fill in the values, each followed by a comma; those that are NaN are left out."""
    if sum(values) == sum(values):  # no NaN among them
        return whole % tuple(values) + ","
    return "".join(f"{entry % value}," for entry, value in zip(entries, values, strict=True) if value == value)
