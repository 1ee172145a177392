"""SHA-256 of files."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ihcscore.errors import UnreadableImage

PIECE_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file. Raises UnreadableImage if it cannot be read."""
    return files_sha256((path,))


def files_sha256(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of files, one after another. Raises UnreadableImage if one cannot be read."""
    sha = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    sha.update(piece)
        except OSError as error:
            raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from error
    return sha.hexdigest()
