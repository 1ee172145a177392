"""Cells as GeoJSON that QuPath opens."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.outputs.atomic import atomic_path
from ihcscore.outputs.colors import CLASS_COLORS
from ihcscore.schema import CLASS_COLUMN, COMPARTMENTS, SCORED_COLUMN, STAINS, area_column, stain_column

MEASUREMENTS = (
    *(area_column(name) for name in ("Nucleus", "Cell")),
    "Nucleus: Circularity",
    *(stain_column(name, stain, "mean") for name in COMPARTMENTS for stain in STAINS),
    SCORED_COLUMN,
)
"""What goes along with the outlines; the rest is in the cell table, under the same id."""
DECIMALS_PX = 2
CHUNK = 5000


def write_geojson(path: Path, cells: pd.DataFrame) -> None:
    """Write classed cells for QuPath: cell and nucleus outline, class, flag, measurements.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    cells : DataFrame
        Cell table with classes.

    Raises
    ------
    OutputError
        If it cannot be written.

    Notes
    -----
    Coordinates are level-0 pixels, x right, y down, pixel (0, 0) covering [0, 1) x [0, 1), rounded to 0.01 px. A cell
    that the image's border cuts carries the measurement ``Cut by border`` 1. A measurement that does not exist (no
    pixel) is left out.
    """
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"type":"FeatureCollection","features":[\n')
        for start in range(0, len(cells), CHUNK):
            file.write(",\n" if start else "")
            file.write(",\n".join(_features(cells.iloc[start : start + CHUNK])))
        file.write("\n]}\n")


def _features(cells: pd.DataFrame) -> list[str]:
    styles = {
        name: json.dumps({"name": name, "color": list(color)}, separators=(",", ":"))
        for name, color in CLASS_COLORS.items()
    }
    return [
        f'{{"type":"Feature","id":"{identity}","geometry":{cell},"nucleusGeometry":{nucleus},"properties":'
        f'{{"objectType":"cell","classification":{styles[name]},"measurements":{{{measured}}}}}}}'
        for identity, cell, nucleus, name, measured in zip(
            cells["cell_id"],
            _geometries(cells["cell_wkb"]),
            _geometries(cells["nucleus_wkb"]),
            cells[CLASS_COLUMN],
            _measurements(cells),
            strict=True,
        )
    ]


def _geometries(wkb: pd.Series) -> list[str]:
    shapes = shapely.from_wkb(wkb.to_numpy())
    rounded = shapely.transform(shapes, lambda xy: np.round(xy, DECIMALS_PX))
    texts: list[str] = shapely.to_geojson(rounded).tolist()
    return texts


def _measurements(cells: pd.DataFrame) -> list[str]:
    columns = [name for name in MEASUREMENTS if name in cells.columns]
    labels = [json.dumps(name, ensure_ascii=False) for name in columns]
    texts = [_numbers(label, cells[name].to_numpy(np.float64)) for label, name in zip(labels, columns, strict=True)]
    texts.append(['"Cut by border":1' if cut else '"Cut by border":0' for cut in cells["cut_by_border"]])
    return [",".join(filter(None, row)) for row in zip(*texts, strict=True)]


def _numbers(label: str, values: NDArray[np.float64]) -> list[str]:
    return [f"{label}:{value:.5g}" if value == value else "" for value in values.tolist()]
