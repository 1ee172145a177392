"""Write a file whole or not at all, and into a folder by one run at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ihcscore.errors import OutputError

LOCK = ".lock"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that replaces it when the block ends well.

    Parameters
    ----------
    path : Path
        Final place; its folder is made when missing.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    OutputError
        If it cannot be written; nothing is left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a folder, as long as the block runs; it ends with the process.

    Parameters
    ----------
    folder : Path
        Made when missing; the file ``.lock`` in it stays.

    Raises
    ------
    OutputError
        If another process writes into it, or it cannot be written.
    """
    from filelock import FileLock, Timeout  # slow to load

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"another run writes to {folder}: wait until it is done, or choose another folder") from None
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write bytes to a file, atomically; a file that holds them already is left alone.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with suppress(OSError):
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return
    with atomic_path(path) as part:
        part.write_bytes(data)
