"""Shared parts of both training commands."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

NEEDED = ("torch", "onnx")


def parsed(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, counts: Sequence[str]
) -> argparse.Namespace:
    """Parse options and check them and what is installed, before hours are spent.

    Raises SystemExit if an option makes no sense, or a package is missing.

    Parameters
    ----------
    parser : ArgumentParser
        With ``--out`` and ``--seed``.
    arguments : sequence of str, optional
        Those of the command unless given.
    counts : sequence of str
        Options that must be 1 or more.
    """
    options = parser.parse_args(arguments)
    if min(getattr(options, name) for name in counts) < 1:
        parser.error(f"{', '.join(counts)} must be 1 or more")
    if options.seed < 0:
        parser.error("seed must be 0 or more")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"{options.out} is a file: give a folder")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"training needs {' and '.join(missing)}: pip install 'ihcscore[train]'")
    return options


def say(text: str) -> None:
    """Print the progress."""
    print(text, file=sys.stderr, flush=True)


def write_checkpoint(path: Path, state: dict[str, object]) -> None:
    """Write a checkpoint, all or nothing."""
    import torch

    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def read_checkpoint(path: Path, kind: dict[str, object]) -> dict[str, object]:
    """Read a checkpoint. Raises ValueError if it is damaged, or of another training.

    Parameters
    ----------
    kind : dict
        What decides the training's outcome; recorded in the checkpoint as ``kind``.
    """
    import torch

    try:
        state: dict[str, object] = torch.load(path, weights_only=True)
        found = state["kind"]
    except Exception as error:  # torch raises whatever it meets
        raise ValueError(
            f"{path.name} is damaged or of an older version ({error.__class__.__name__}): remove it"
        ) from None
    if found != kind:
        raise ValueError(f"{path.name} is of another training ({found}): remove it, or give another --out")
    return state
