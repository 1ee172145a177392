"""A cell table as a stream: its blocks one after another, and the digest of all of them."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ihcscore.table.arrow_columns import letters_of
from ihcscore.table.schema import COLUMNS


class TableDigest:
    """The SHA-256 of a cell table's measured values, whatever file it is stored in, block by block.

    Examples
    --------
    >>> TableDigest().hexdigest()[:8]
    'e3b0c442'
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self.rows = 0

    def update(self, cells: pd.DataFrame) -> None:
        """Add the cells of one or several blocks, in block order."""
        for start, stop in block_ranges(cells):
            self._sha.update(_block_digest(cells.iloc[start:stop]))
        self.rows += len(cells)

    def hexdigest(self) -> str:
        """Give the digest of what was added."""
        return self._sha.hexdigest()


def digest(tables: pd.DataFrame | Iterable[pd.DataFrame]) -> str:
    """Give the digest of a whole table, or of a stream of its blocks."""
    found = TableDigest()
    for cells in [tables] if isinstance(tables, pd.DataFrame) else tables:
        found.update(cells)
    return found.hexdigest()


def block_ranges(cells: pd.DataFrame) -> list[tuple[int, int]]:
    """Give first and last row + 1 of each block of a table in block order."""
    if not len(cells):
        return []
    block = cells[["block_row", "block_col"]].to_numpy()
    starts = [0, *(np.flatnonzero((block[1:] != block[:-1]).any(axis=1)) + 1).tolist()]
    return list(zip(starts, [*starts[1:], len(cells)], strict=True))


def _block_digest(cells: pd.DataFrame) -> bytes:
    sha = hashlib.sha256()
    for column in COLUMNS:
        if column.name not in cells.columns:
            continue
        values = cells[column.name]
        sha.update(column.name.encode())
        if column.dtype in ("str", "bytes"):
            letters, length = letters_of(values)
            sha.update(length.data)
            sha.update(letters.data)
        else:
            sha.update(np.ascontiguousarray(values.to_numpy(column.dtype)).data)
    return sha.digest()
