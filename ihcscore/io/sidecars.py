"""Which file of a folder belongs to an image."""

from collections.abc import Sequence
from pathlib import Path

from ihcscore.errors import InputError


def names_of(image: Path) -> list[str]:
    """Return the stems that an image's sidecar files may have, the shortest first.

    Examples
    --------
    >>> names_of(Path("s1.ome.tif")), names_of(Path("s1.svs"))
    (['s1', 's1.ome', 's1.ome.tif'], ['s1', 's1.svs'])
    """
    stem = image.stem
    short = stem[: -len(".ome")] if stem.lower().endswith(".ome") else stem
    return list(dict.fromkeys((short, stem, image.name)))


def file_for(image: Path, given: Path, names: Sequence[str], what: str) -> Path:
    """Find the file of an image among those of a folder.

    Raises InputError if the folder holds no such file, or several.

    Parameters
    ----------
    image : Path
        The image, which is never taken for its own file.
    given : Path
        A file, which is taken, or a folder.
    names : sequence of str
        How the file may be called.
    what : str
        What it holds, for messages.
    """
    if not given.is_dir():
        return given
    found = [given / name for name in names if (given / name).is_file() and (given / name).resolve() != image.resolve()]
    if len(found) != 1:
        seen = f"several files of {what} ({', '.join(p.name for p in found)})" if found else f"no file of {what}"
        raise InputError(image, f"{given.name or given} holds {seen} for it: expected one such as {names[0]}")
    return found[0]
