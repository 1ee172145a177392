"""Cell tables and score tables."""

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ihcscore.errors import DamagedResult
from ihcscore.outputs.atomic import atomic_path, write_bytes
from ihcscore.schema import CLASS_COLUMN, COLUMNS, SCHEMA_VERSION, SCORED_COLUMNS, Column
from ihcscore.summarize import ScoreRow

SCORE_COLUMNS = tuple(field.name for field in fields(ScoreRow))
VERSION_KEY = b"ihcscore_schema_version"
FEW_VALUES = ("block_row", "block_col", CLASS_COLUMN)
ARROW_TYPES = {
    "str": pa.string(),
    "bytes": pa.binary(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}


def write_cells(path: Path, cells: pd.DataFrame) -> None:
    """Write a cell table as Parquet, a row group for each canonical block.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    cells : DataFrame
        Columns of `ihcscore.schema`, in block order.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    known = [c for c in (*COLUMNS, *SCORED_COLUMNS) if c.name in cells.columns]
    schema = pa.schema(
        [(c.name, ARROW_TYPES[c.dtype]) for c in known], metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()}
    )
    few = [c.name for c in known if c.name in FEW_VALUES]  # elsewhere a dictionary is larger than the values
    with (
        atomic_path(path) as part,
        pq.ParquetWriter(part, schema, compression="zstd", use_dictionary=few) as writer,
    ):
        for start, stop in _block_ranges(cells):
            writer.write_table(_arrow(cells.iloc[start:stop], known, schema), row_group_size=stop - start)


def _arrow(cells: pd.DataFrame, known: list[Column], schema: pa.Schema) -> pa.Table:
    texts = ("str", "bytes")  # elsewhere NaN is a value, not a missing one
    arrays = [pa.array(cells[c.name], ARROW_TYPES[c.dtype], from_pandas=c.dtype in texts) for c in known]
    return pa.Table.from_arrays(arrays, schema=schema)


def _block_ranges(cells: pd.DataFrame) -> list[tuple[int, int]]:
    if not len(cells):
        return []
    block = cells[["block_row", "block_col"]]
    starts = (block != block.shift()).any(axis=1).to_numpy().nonzero()[0].tolist()
    return list(zip(starts, [*starts[1:], len(cells)], strict=True))


def read_cells(path: Path) -> pd.DataFrame:
    """Read a cell table.

    Parameters
    ----------
    path : Path
        What `write_cells` wrote.

    Returns
    -------
    DataFrame

    Raises
    ------
    DamagedResult
        If it is missing, damaged or of another schema version.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DamagedResult(path, f"is not a readable cell table ({error.__class__.__name__})") from error
    version = (table.schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise DamagedResult(
            path, f"has cell table version {version}, this ihcscore reads {SCHEMA_VERSION}: score again"
        )
    cells: pd.DataFrame = table.to_pandas()
    types: dict[str, Any] = {c.name: "object" if c.dtype == "bytes" else c.dtype for c in (*COLUMNS, *SCORED_COLUMNS)}
    return cells.astype({name: types[name] for name in cells.columns})


def write_cells_csv(path: Path, cells: pd.DataFrame) -> None:
    """Write a cell table as CSV, without outlines; UTF-8 with a mark, so that spreadsheets read the units.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    plain = cells.drop(columns=["nucleus_wkb", "cell_wkb"])
    write_bytes(path, plain.to_csv(index=False, float_format="%.6g", lineterminator="\r\n").encode("utf-8-sig"))


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Write rows of scores as CSV.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    rows : iterable of ScoreRow
        A missing value is an empty field, the status and reason say why; numbers to six decimals.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(SCORE_COLUMNS)
    for row in rows:
        writer.writerow([_cell(value) for value in row.to_dict().values()])
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def _cell(value: object) -> object:
    if value is None:
        return ""
    return round(value, 6) if isinstance(value, float) else value
