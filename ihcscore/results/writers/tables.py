"""Cell tables and score tables."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ihcscore.cells.quality import MEASURES, TileQuality
from ihcscore.errors import DamagedResult
from ihcscore.formulas.tallies import TALLIES
from ihcscore.io.atomic import atomic_path, write_bytes
from ihcscore.scoring.intervals import BlockTallies, Sampling
from ihcscore.scoring.score_row import ScoreRow, flat, table_columns
from ihcscore.table.arrow_columns import BYTES
from ihcscore.table.digest import tile_ranges
from ihcscore.table.schema import (
    CLASS_COLUMN,
    COLUMNS,
    LEFT_OUT_COLUMN,
    REGION_COLUMN,
    SCHEMA_VERSION,
    SCORED_COLUMNS,
    Column,
)

VERSION_KEY = b"ihcscore_schema_version"
FEW_VALUES = ("block_row", "block_col", CLASS_COLUMN, REGION_COLUMN, LEFT_OUT_COLUMN)
PANDAS_TYPES = {c.name: BYTES if c.dtype == "bytes" else c.dtype for c in (*COLUMNS, *SCORED_COLUMNS)}
ARROW_TYPES = {
    "str": pa.string(),
    "bytes": pa.binary(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}


BLOCK_COLUMNS = {
    "region": pa.string(),
    "population": pa.string(),
    "side_um": pa.float64(),
    "inflation": pa.float64(),
    "row": pa.int64(),
    "column": pa.int64(),
    **dict.fromkeys(TALLIES, pa.float64()),
    "weights": pa.binary(),
}


def write_cells(path: Path, tables: Iterable[pd.DataFrame]) -> None:
    """Write a cell table as Parquet, a row group for each tile. Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    tables : iterable of DataFrame
        Columns of `ihcscore.table.schema`, in tile order; all with the same columns, at least one. One is in memory at
        a time.
    """
    with atomic_path(path) as part, ExitStack() as stack:
        writer = None
        for cells in tables:
            if writer is None:
                known = [c for c in (*COLUMNS, *SCORED_COLUMNS) if c.name in cells.columns]
                schema = _schema(known)
                few = [c.name for c in known if c.name in FEW_VALUES]  # elsewhere a dictionary is larger
                writer = stack.enter_context(pq.ParquetWriter(part, schema, compression="zstd", use_dictionary=few))
            for start, stop in tile_ranges(cells):
                writer.write_table(_arrow(cells.iloc[start:stop], known, schema), row_group_size=stop - start)


def _schema(known: list[Column]) -> pa.Schema:
    metadata = {VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return pa.schema([(c.name, ARROW_TYPES[c.dtype]) for c in known], metadata=metadata)


def _arrow(cells: pd.DataFrame, known: list[Column], schema: pa.Schema) -> pa.Table:
    texts = ("str", "bytes")  # elsewhere NaN is a value, not a missing one
    arrays = [pa.array(cells[c.name], ARROW_TYPES[c.dtype], from_pandas=c.dtype in texts) for c in known]
    return pa.Table.from_arrays(arrays, schema=schema)


def read_cells(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a cell table. Raises DamagedResult if it is missing, damaged or of another schema version.

    Parameters
    ----------
    path : Path
        What `write_cells` wrote.
    columns : sequence of str, optional
        Those that are wanted, if they are there.
    """
    with _opened(path) as file:
        return _frame(file.read(_there(file, columns)))


def iter_cells(path: Path, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """Read a cell table tile by tile; see `read_cells`. At least one table, which may have no rows."""
    with _opened(path) as file:
        there = _there(file, columns)
        for group in range(file.num_row_groups):
            yield _frame(file.read_row_group(group, there))
        if not file.num_row_groups:
            yield _frame(file.schema_arrow.empty_table().select(there))


def _there(file: pq.ParquetFile, columns: Sequence[str] | None) -> list[str]:
    return [name for name in file.schema_arrow.names if columns is None or name in columns]


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            version = (file.schema_arrow.metadata or {}).get(VERSION_KEY, b"none").decode()
            if version != str(SCHEMA_VERSION):
                raise DamagedResult(
                    path, f"has cell table version {version}, this ihcscore reads {SCHEMA_VERSION}: score again"
                )
            yield file
    except (OSError, pa.ArrowException) as error:
        raise DamagedResult(path, f"is not a readable cell table ({error.__class__.__name__})") from error


def _frame(table: pa.Table) -> pd.DataFrame:
    cells: pd.DataFrame = table.to_pandas(types_mapper={pa.binary(): BYTES}.get)
    other = {name: PANDAS_TYPES[name] for name in cells.columns if cells[name].dtype != PANDAS_TYPES[name]}
    return cells.astype(other) if other else cells


def write_cells_csv(path: Path, tables: Iterable[pd.DataFrame]) -> None:
    """Write a cell table as CSV, without outlines; UTF-8 with a mark, so that spreadsheets read the units.

    Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    tables : iterable of DataFrame
        As for `write_cells`.
    """
    with atomic_path(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        for number, cells in enumerate(tables):
            plain = cells.drop(columns=["nucleus_wkb", "cell_wkb"])
            plain.to_csv(file, index=False, header=number == 0, float_format="%.6g", lineterminator="\r\n")


def write_quality(path: Path, tiles: Iterable[TileQuality]) -> None:
    """Write the quality of each tile as CSV. Raises OutputError if it cannot be written."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["block_row", "block_col", *MEASURES, "flags"])
    for tile in tiles:
        values = ["" if tile.values[name] != tile.values[name] else f"{tile.values[name]:.5g}" for name in MEASURES]
        writer.writerow([tile.row, tile.col, *values, "; ".join(tile.flags)])
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def write_blocks(path: Path, samplings: Mapping[tuple[str, str], Sampling]) -> None:
    """Write what intervals are made of: the tallies of each block, and how often each resample draws it.

    Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        Parquet; replaced if it exists. A row for each region, population and block: its place in blocks of
        ``side_um``, the sums of `ihcscore.formulas.tallies.TALLIES`, ``inflation``, and ``weights``, a whole number for
        each resample, empty where none were drawn.
    samplings : mapping
        By region and population.
    """
    columns: dict[str, list[Any]] = {name: [] for name in BLOCK_COLUMNS}
    for (region, population), sample in samplings.items():
        n = len(sample.blocks.at)
        columns["region"] += [region] * n
        columns["population"] += [population] * n
        columns["side_um"] += [sample.blocks.side_um] * n
        columns["inflation"] += [sample.inflation] * n
        columns["row"] += sample.blocks.at[:, 0].tolist()
        columns["column"] += sample.blocks.at[:, 1].tolist()
        for k, name in enumerate(TALLIES):
            columns[name] += sample.blocks.values[:, k].tolist()
        drawn = np.zeros((n, 0), np.uint8) if sample.weights is None else sample.weights.T
        columns["weights"] += [line.tobytes() for line in drawn]
    table = pa.table({name: pa.array(values, BLOCK_COLUMNS[name]) for name, values in columns.items()})
    with atomic_path(path) as part:
        pq.write_table(table, part, compression="zstd", use_dictionary=["region", "population"])


def read_blocks(path: str | Path) -> dict[tuple[str, str], Sampling]:
    """Read what `write_blocks` wrote: intervals follow from it (`ihcscore.scoring.intervals.interval`).

    Raises
    ------
    DamagedResult
        If it is missing or damaged.
    """
    path = Path(path)
    try:
        frame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DamagedResult(path, f"is not a readable table of blocks ({error.__class__.__name__})") from error
    found = {}
    for (region, population), rows in frame.groupby(["region", "population"], sort=False):
        weights = np.array([np.frombuffer(line, np.uint8) for line in rows["weights"]]).T
        at, values = rows[["row", "column"]].to_numpy(np.int64), rows[list(TALLIES)].to_numpy(np.float64)
        blocks = BlockTallies(at, values, float(rows["side_um"].iloc[0]))
        inflation = float(rows["inflation"].iloc[0])
        found[str(region), str(population)] = Sampling(blocks, inflation, weights if weights.size else None)
    return found


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Write rows of scores as CSV. Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    rows : iterable of ScoreRow
        A missing value is an empty field, the status and reason say why; numbers to six decimals.
    """
    all_rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, table_columns(all_rows), restval="")
    writer.writeheader()
    for row in all_rows:
        known = {name: _cell(value) for name, value in flat(row).items()}
        writer.writerow({name: known[name] for name in writer.fieldnames if name in known})
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def _cell(value: object) -> object:
    if value is None:
        return ""
    return round(value, 6) if isinstance(value, float) else value
