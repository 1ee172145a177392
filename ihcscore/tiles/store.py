"""The measured tiles of a slide until they are stitched: in memory, or in files that survive a killed run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pandas.arrays import ArrowExtensionArray

from ihcscore.errors import DamagedResult, OutputError, ResultMismatch
from ihcscore.io.atomic import atomic_path, write_bytes

Key = tuple[int, int]
"""Row and column of a tile."""

Rows = dict[str, Any]
"""Columns of a tile's cells: NumPy arrays, and for bytes those of `ihcscore.table.arrow_columns`."""

JOB = "job.json"
ENDING = ".arrow"
QUALITY = b"quality"


@dataclass(frozen=True)
class MeasuredTile:
    """The cells and the quality of one tile.

    Parameters
    ----------
    rows : dict of str to array of shape (n,)
        As returned by `ihcscore.tiles.tile.measure_rows`.
    quality : dict of str to float
        As returned by `ihcscore.cells.quality.measure_quality`.
    """

    rows: Rows
    quality: dict[str, float]


class TileStore(Protocol):
    """Keeps measured tiles."""

    def done(self) -> list[Key]:
        """Return the keys of the measured tiles, in tile order."""
        ...

    def put(self, key: Key, tile: MeasuredTile) -> None:
        """Keep a measured tile."""
        ...

    def get(self, key: Key, columns: Iterable[str] | None = None) -> MeasuredTile:
        """Return a measured tile, with all columns or some."""
        ...


@dataclass
class MemoryStore:
    """Tiles in memory, for images of few tiles."""

    tiles: dict[Key, MeasuredTile] = field(default_factory=dict)

    def done(self) -> list[Key]:
        """Return the keys of the measured tiles, in tile order."""
        return sorted(self.tiles)

    def put(self, key: Key, tile: MeasuredTile) -> None:
        """Keep a measured tile."""
        self.tiles[key] = tile

    def get(self, key: Key, columns: Iterable[str] | None = None) -> MeasuredTile:
        """Return a measured tile, with all columns or some."""
        tile = self.tiles[key]
        return tile if columns is None else MeasuredTile({name: tile.rows[name] for name in columns}, tile.quality)


@dataclass(frozen=True)
class FolderStore:
    """Tiles in files, each written whole or not at all.

    Raises ResultMismatch if the folder holds tiles of another job; OutputError if it cannot be written.

    Parameters
    ----------
    folder : Path
        Made when missing.
    job : mapping
        What is measured and how, as plain values: tiles of another job are not mixed with these.
    same : sequence of mapping
        Records of earlier releases that mean the same job.
    """

    folder: Path
    job: Mapping[str, Any]
    same: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        text, *others = (
            json.dumps(job, indent=1, sort_keys=True, ensure_ascii=False) for job in (self.job, *self.same)
        )
        try:
            found = (self.folder / JOB).read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            write_bytes(self.folder / JOB, text.encode())
            return
        except (OSError, ValueError) as error:
            raise DamagedResult(self.folder / JOB, f"cannot be read ({error})") from error
        if found not in (text, *others):
            raise ResultMismatch(
                f"{self.folder.parent.name}: an interrupted run with {_differing(found, self.job)} is there: "
                "finish it with the same command as then, or --overwrite"
            )

    def done(self) -> list[Key]:
        """Return the keys of the measured tiles, in tile order."""
        names = (path.stem.split("_") for path in self.folder.glob(f"*{ENDING}") if not path.name.startswith("."))
        return sorted((int(row), int(col)) for row, col in names)

    def put(self, key: Key, tile: MeasuredTile) -> None:
        """Write a measured tile."""
        metadata = {QUALITY: json.dumps(tile.quality).encode()}
        table = pa.table({name: pa.array(values) for name, values in tile.rows.items()}).replace_schema_metadata(
            metadata
        )
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with (
            atomic_path(self._path(key)) as path,
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, table.schema, options=options) as writer,
        ):
            writer.write_table(table)

    def get(self, key: Key, columns: Iterable[str] | None = None) -> MeasuredTile:
        """Read a measured tile. Raises DamagedResult if it cannot be read."""
        path = self._path(key)
        try:
            with pa.OSFile(str(path), "rb") as file:
                schema = pa.ipc.open_file(file).schema
                wanted = None if columns is None else [schema.get_field_index(name) for name in columns]
                options = pa.ipc.IpcReadOptions(included_fields=wanted)
                table = pa.ipc.open_file(file, options=options).read_all()
        except (OSError, pa.ArrowException) as error:
            raise DamagedResult(path, f"is damaged ({error}): remove it and run the same command again") from error
        rows = {name: _plain(table[name]) for name in table.column_names}
        return MeasuredTile(rows, json.loads((schema.metadata or {}).get(QUALITY, b"{}")))

    def remove(self) -> None:
        """Remove the store: they are put together. Raises OutputError if they cannot be removed."""
        try:
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()
        except OSError as error:
            raise OutputError(f"cannot remove {self.folder.name}: {error.strerror or error}") from error

    def _path(self, key: Key) -> Path:
        return self.folder / f"{key[0]:05d}_{key[1]:05d}{ENDING}"


def _plain(column: pa.ChunkedArray) -> Any:
    return ArrowExtensionArray(column) if pa.types.is_large_binary(column.type) else column.to_numpy()


def _differing(found: str, job: Mapping[str, Any]) -> str:
    """Name what differs between the job that a folder holds and another."""
    try:
        old = json.loads(found)
    except ValueError:
        return "an unreadable record"
    names = sorted(key for key in {*old, *job} if old.get(key) != job.get(key))
    return f"other {', '.join(names)}"
