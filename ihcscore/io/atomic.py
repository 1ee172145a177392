"""Write a file whole or not at all, and into a folder by one run at a time."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ihcscore.errors import OutputError

LOCK = ".lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without error.

    Raises OutputError if it cannot be written; nothing is left behind.

    Parameters
    ----------
    path : Path
        Final place; its folder is made when missing.

    Yields
    ------
    Path
        Where to write.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        hint = " (is it open in another program?)" if isinstance(error, PermissionError) and path.exists() else ""
        raise OutputError(f"cannot write {path}: {error.strerror or error}{hint}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[list[str]]:
    """Keep other runs from writing into a folder, as long as the block runs; it ends with the process.

    Raises OutputError if another run writes into it, or it cannot be written.

    Parameters
    ----------
    folder : Path
        Made when missing; the file ``.lock`` in it stays. In the same thread, blocks may lie in each other.

    Yields
    ------
    list of str
        A warning where the disk knows no locks.
    """
    from filelock import FileLock, Timeout  # slow to load

    warnings, lock = [], None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock((folder / LOCK).resolve(), timeout=0, is_singleton=True, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        raise OutputError(f"another run writes to {folder}: wait until it is done, or choose another folder") from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
        warnings, lock = [f"the disk of {folder.name} knows no locks: let no other run write into it"], None
    try:
        yield warnings
    finally:
        if lock is not None:
            lock.release()


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write bytes to a file, atomically; a file that holds them already is left alone.

    Raises OutputError if it cannot be written.
    """
    with suppress(OSError):
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return
    with atomic_path(path) as part:
        part.write_bytes(data)
