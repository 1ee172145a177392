"""Hashes of weights files."""

import hashlib
from pathlib import Path

from ihcscore.errors import WeightsError


def weights_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files with their names, in order.

    Raises WeightsError if there is nothing at `path` or it cannot be read.
    """
    sha = hashlib.sha256()
    try:
        if not path.is_dir():
            return hashlib.sha256(path.read_bytes()).hexdigest()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            sha.update(file.relative_to(path).as_posix().encode() + b"\0")
            sha.update(hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise WeightsError(f"{path.name}: cannot be read ({error.strerror or error}): give its path") from error
    return sha.hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Refuse weights that are not the expected ones. Raises WeightsError if they are missing or have another hash."""
    found = weights_sha256(path)
    if found != expected:
        raise WeightsError(f"{path.name}: sha256 {found[:12]}... is not the {expected[:12]}... that was asked for")
