"""Merge per-tile cell tables, removing duplicate nuclei at tile borders."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from ihcscore.cells.contours import boxes_of
from ihcscore.survey.tissue import TissueMap
from ihcscore.table.arrow_columns import BYTES, bytes_column, filter_bytes
from ihcscore.table.schema import COLUMNS, area_column
from ihcscore.tiles.store import Key, Rows, TileStore

COMPARED = ("owned", "contested", "bordering", "nucleus_wkb", area_column("Nucleus"))
"""Columns that decide whether two rows are the same nucleus, and which of them is kept."""

LATER = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Steps from a tile to those neighbors that come after it."""

RowKey = tuple[int, int, int]
"""A row of a tile: row and column of the tile, number in the tile."""


@dataclass(frozen=True)
class _Border:
    """The rows of a tile that can be the same nucleus as one of another tile."""

    key: Key
    at: NDArray[np.intp]
    rows: Rows

    @classmethod
    def of(cls, store: TileStore, key: Key) -> "_Border":
        rows = store.get(key, COMPARED).rows
        at = np.flatnonzero(rows["bordering"])
        return cls(key, at, {name: np.asarray(values[at]) for name, values in rows.items()})

    @cached_property
    def boxes(self) -> NDArray[np.object_]:
        """The nuclei's boxes as shapely polygons."""
        return np.asarray(shapely.box(*boxes_of(self.rows["nucleus_wkb"]).T))

    def place(self, k: int) -> RowKey:
        return (*self.key, int(self.at[k]))

    def rank(self, k: int) -> tuple[bool, float, RowKey]:
        return not self.rows["owned"][k], -float(self.rows[area_column("Nucleus")][k]), self.place(k)


def stitch(store: TileStore, tissue: TissueMap) -> Iterator[pd.DataFrame]:
    """Merge the tiles' rows, so that every nucleus is in the table once.

    Parameters
    ----------
    store : TileStore
        All measured tiles.
    tissue : TissueMap
        To detect cells in artifacts.

    Yields
    ------
    DataFrame
        The cell table of each tile, in tile order; together they are the table of the slide. A few tiles are in
        memory at a time.

    Notes
    -----
    Two rows of different tiles are the same nucleus when their outlines share more than half of the smaller one. Rows
    are taken by rank - owned ones first, then the larger, then those of the earlier tile - and each is kept unless it
    is the same nucleus as a kept one. What only one tile detected is kept, whichever owns it.
    """
    dropped = _dropped(store)
    for key in store.done():
        rows = store.get(key).rows
        keep = np.ones(len(rows["owned"]), bool)
        keep[dropped.get(key, [])] = False
        yield _table(rows, keep, tissue)


def _table(rows: Rows, keep: NDArray[np.bool_], tissue: TissueMap) -> pd.DataFrame:
    some: Rows = {
        name: values[keep] if isinstance(values, np.ndarray) else filter_bytes(values, keep)
        for name, values in rows.items()
    }
    some["cell_id"] = cell_ids(some["x_px"], some["y_px"])
    some["in_artifact"] = tissue.outside_at(np.column_stack([some["x_um"], some["y_um"]]))
    return pd.DataFrame({c.name: some[c.name] for c in COLUMNS})


def empty_table() -> pd.DataFrame:
    """Return a cell table without rows."""
    return pd.DataFrame({c.name: pd.Series([], dtype=BYTES if c.dtype == "bytes" else c.dtype) for c in COLUMNS})


def cell_ids(x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> ExtensionArray:
    """Make UUIDs (version 8) of centroids: level-0 pixels x 1024, x before y.

    Examples
    --------
    >>> print(*cell_ids(np.array([1.0]), np.array([2.5])))
    00000000-0400-8000-8000-000000000a00
    """
    x, y = (np.rint(np.asarray(v) * 1024).astype(np.int64)[:, None] for v in (x_px, y_px))
    letters = np.tile(np.frombuffer(b"00000000-0000-8000-8000-000000000000", np.uint8), (len(x), 1))
    for first, values, digits in ((0, x >> 16, 8), (9, x, 4), (24, y, 12)):
        letters[:, first : first + digits] = _hexadecimal(values, digits)
    ids = bytes_column(letters.ravel(), np.arange(36, letters.size + 1, 36))
    texts: ExtensionArray = pd.array(pa.array(ids).cast(pa.large_string()), dtype="str")
    return texts


def _hexadecimal(values: NDArray[np.int64], digits: int) -> NDArray[np.uint8]:
    """Return the last hexadecimal digits of numbers of shape (n, 1) as ASCII codes."""
    shift = np.arange(4 * (digits - 1), -1, -4)
    letters: NDArray[np.uint8] = np.frombuffer(b"0123456789abcdef", np.uint8)[(values >> shift) & 15]
    return letters


def _dropped(store: TileStore) -> dict[Key, list[int]]:
    """Return the rows of each tile to drop: from the best rank down, those that duplicate a kept one."""
    rivals: dict[RowKey, list[RowKey]] = {}
    ranks: dict[RowKey, tuple[bool, float, RowKey]] = {}
    for one, other in _neighbors(store):
        for i, j in _same_nucleus(one, other):
            first, second = one.place(i), other.place(j)
            rivals.setdefault(first, []).append(second)
            rivals.setdefault(second, []).append(first)
            ranks[first], ranks[second] = one.rank(i), other.rank(j)
    is_kept: dict[RowKey, bool] = {}
    dropped: dict[Key, list[int]] = {}
    for place in sorted(rivals, key=ranks.__getitem__):
        is_kept[place] = not any(is_kept.get(other, False) for other in rivals[place])
        if not is_kept[place]:
            dropped.setdefault(place[:2], []).append(place[2])
    return dropped


def _neighbors(store: TileStore) -> Iterator[tuple[_Border, _Border]]:
    """Yield each pair of touching tiles once; the borders of two rows of tiles are in memory at a time."""
    keys = store.done()
    there, borders = set(keys), dict[Key, _Border]()
    for key in keys:
        borders = {other: border for other, border in borders.items() if other[0] >= key[0]}
        for row, col in LATER:
            other = (key[0] + row, key[1] + col)
            if other in there:
                for wanted in (key, other):
                    if wanted not in borders:
                        borders[wanted] = _Border.of(store, wanted)
                yield borders[key], borders[other]


def _same_nucleus(one: _Border, other: _Border) -> list[tuple[int, int]]:
    """Return the pairs of rows of two tiles that are the same nucleus, one of them contested."""
    mine, theirs = one.rows["nucleus_wkb"], other.rows["nucleus_wkb"]
    if not (one.rows["contested"].any() or other.rows["contested"].any()):
        return []
    i, j = shapely.STRtree(other.boxes).query(one.boxes)
    contested = one.rows["contested"][i] | other.rows["contested"][j]
    i, j = i[contested], j[contested]
    same = mine[i] == theirs[j]
    # Mostly tiles agree: what both detected, and as two nuclei, are two.
    both = {*mine} & {*theirs}
    apart = np.array([a in both or b in both for a, b in _zip(mine[i], theirs[j])], bool)
    differ = np.flatnonzero(~same & ~apart)
    a, b = shapely.from_wkb(mine[i[differ]]), shapely.from_wkb(theirs[j[differ]])
    shared = shapely.area(shapely.intersection(a, b))
    same[differ] = shared > 0.5 * np.minimum(shapely.area(a), shapely.area(b))
    return list(_zip(i[same].tolist(), j[same].tolist()))


def _zip(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    return zip(a, b, strict=True)
