"""The files of a result folder: their names, and how those of an image are removed."""

import shutil
from pathlib import Path

from ihcscore.errors import OutputError
from ihcscore.io.result_names import OVERLAY as OVERLAY
from ihcscore.io.result_names import SUMMARY as SUMMARY

CELLS, CELLS_CSV, GEOJSON = "cells.parquet", "cells.csv", "cells.geojson"
QUALITY, REGIONS, BLOCKS = "quality.csv", "regions.geojson", "blocks.parquet"
FILES = (CELLS, CELLS_CSV, GEOJSON, OVERLAY, QUALITY, REGIONS, BLOCKS, SUMMARY)
TILES = ".parts"
"""Folder of the measured tiles of an unfinished run."""
RUN, SCORES = "run.json", "scores.csv"


def discard_result(folder: Path) -> None:
    """Remove the files of an image's result, and nothing else. Raises OutputError if they cannot be removed."""
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        for left in folder.glob(".*.part"):  # of a process that was killed while it wrote
            left.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise OutputError(f"cannot replace the result in {folder}: {error.strerror or error}") from error


def discard_tiles(folder: Path) -> None:
    """Remove the measured tiles of an unfinished run of an image. Raises OutputError if they cannot be removed."""
    tiles = folder / TILES
    try:
        if tiles.is_dir():
            shutil.rmtree(tiles)
    except OSError as error:
        raise OutputError(f"cannot remove {tiles}: {error.strerror or error}") from error
