"""Digest of a cell table that is read tile by tile."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ihcscore.table.arrow_columns import bytes_and_lengths
from ihcscore.table.schema import COLUMNS


class TableDigest:
    """The SHA-256 of a cell table's measured values, whatever file it is stored in, tile by tile.

    Examples
    --------
    >>> TableDigest().hexdigest()[:8]
    'e3b0c442'
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self.rows = 0

    def update(self, cells: pd.DataFrame) -> None:
        """Add the cells of one or several tiles, in tile order."""
        for start, stop in tile_ranges(cells):
            self._sha.update(_tile_digest(cells.iloc[start:stop]))
        self.rows += len(cells)

    def hexdigest(self) -> str:
        """Return the digest of all cells added so far."""
        return self._sha.hexdigest()


def digest(tables: pd.DataFrame | Iterable[pd.DataFrame]) -> str:
    """Return the digest of a whole table, or of a stream of its tiles."""
    found = TableDigest()
    for cells in [tables] if isinstance(tables, pd.DataFrame) else tables:
        found.update(cells)
    return found.hexdigest()


def tile_ranges(cells: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the first row and the row after the last of each tile in a table in tile order."""
    if not len(cells):
        return []
    tile = cells[["block_row", "block_col"]].to_numpy()
    starts = [0, *(np.flatnonzero((tile[1:] != tile[:-1]).any(axis=1)) + 1).tolist()]
    return list(zip(starts, [*starts[1:], len(cells)], strict=True))


def _tile_digest(cells: pd.DataFrame) -> bytes:
    sha = hashlib.sha256()
    for column in COLUMNS:
        if column.name not in cells.columns:
            continue
        values = cells[column.name]
        sha.update(column.name.encode())
        if column.dtype in ("str", "bytes"):
            letters, length = bytes_and_lengths(values)
            sha.update(length.data)
            sha.update(letters.data)
        else:
            sha.update(np.ascontiguousarray(values.to_numpy(column.dtype)).data)
    return sha.digest()
