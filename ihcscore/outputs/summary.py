"""A result in one JSON file: scores, provenance, and what to read first."""

import json
from pathlib import Path
from typing import Any

from ihcscore.errors import InputError
from ihcscore.outputs.atomic import write_bytes

FORMAT = "ihcscore-result"
FORMAT_VERSION = 1
RESEARCH_USE = "For research use only. Not for diagnostic procedures."


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write a summary.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    summary : dict
        Plain values.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "notice": RESEARCH_USE}
    write_bytes(path, (json.dumps({**head, **summary}, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_summary(path: Path) -> dict[str, Any]:
    """Read a summary.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If it is missing, no summary, or of another format version.
    """
    try:
        summary = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(path, f"is not a readable summary ({error.__class__.__name__})") from error
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise InputError(path, "is not a summary.json of ihcscore")
    if summary.get("format_version") != FORMAT_VERSION:
        raise InputError(
            path, f"has format version {summary.get('format_version')}, this ihcscore reads {FORMAT_VERSION}"
        )
    return summary
