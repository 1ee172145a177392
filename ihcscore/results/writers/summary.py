"""A result in one JSON file: scores, provenance, and what to read first."""

import json
from pathlib import Path
from typing import Any

from ihcscore.errors import DamagedResult
from ihcscore.io.atomic import write_bytes

FORMAT = "ihcscore-result"
FORMAT_VERSION = 2
REQUIRED: dict[str, type | tuple[type, ...]] = {
    "ihcscore": str,
    "parameters": str,
    "libraries": dict,
    "assay": dict,
    "context": dict,
    "warnings": list,
    "segmenter.name": str,
    "input.name": str,
    "input.sha256": str,
    "image.mpp": (int, float),
    "cells.rows": int,
    "cells.sha256": str,
    "regions": list,
    "image.width": int,
    "image.height": int,
    "scores.image": str,
    "scores.group": str,
    "scores.status": str,
    "scores.cells": int,
}
"""What a summary must hold to be worked with."""
RESEARCH_USE = "For research use only. Not for diagnostic procedures."


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write a summary. Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    summary : dict
        Plain values.
    """
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "notice": RESEARCH_USE}
    write_bytes(path, (json.dumps({**head, **summary}, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_summary(path: Path) -> dict[str, Any]:
    """Read a summary. Raises DamagedResult if it is missing, no summary, damaged or of another format version.

    Returns
    -------
    dict
        With all of `REQUIRED` in their types.
    """
    try:
        summary = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DamagedResult(path, f"cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise DamagedResult(path, f"is damaged ({error.__class__.__name__}): score its image again") from error
    if not is_summary(summary):
        raise DamagedResult(path, "is not a summary.json of ihcscore")
    if summary.get("format_version") != FORMAT_VERSION:
        version = summary.get("format_version")
        raise DamagedResult(path, f"has format version {version!r}, this ihcscore reads {FORMAT_VERSION}: score again")
    wrong = [key for key, kind in REQUIRED.items() if not isinstance(_at(summary, key), kind)]
    if wrong:
        raise DamagedResult(path, f"is damaged (lacks {', '.join(wrong)}): score its image again")
    return dict(summary)


def is_summary(data: Any) -> bool:
    """Return whether parsed JSON is a summary of ihcscore, of any version."""
    return isinstance(data, dict) and data.get("format") == FORMAT


def _at(data: Any, key: str) -> Any:
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data
