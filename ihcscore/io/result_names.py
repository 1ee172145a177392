"""Legal, different names of result folders, and the names of files in them."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ihcscore.io.sidecars import names_of

RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
LONGEST_BYTES = 100
"""Of a folder's name: file systems take 255, and suffixes are added."""
OWN_FILES = ("run.json", "scores.csv", ".lock")
OVERLAY, SUMMARY, STAIN_PLOT = "overlay.png", "summary.json", ".stains.png"


def legal_name(stem: str) -> str:
    """Make a name that is legal as a folder on Linux, macOS and Windows.

    Examples
    --------
    >>> legal_name('case 1: "ER"'), legal_name("con"), legal_name("")
    ('case 1_ _ER_', 'con_', 'image')
    """
    text = stem.encode("utf-8", "replace").decode("utf-8")
    text = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", text).rstrip(" .")
    name = text.encode()[:LONGEST_BYTES].decode("utf-8", "ignore").rstrip(" .") or "image"
    return f"{name}_" if name.split(".")[0].lower() in RESERVED or name.lower() in OWN_FILES else name


def legal_names(paths: Sequence[Path]) -> list[str]:
    """Return a different legal name for each path, made of its stem.

    Equal stems (upper and lower case are equal on some systems) get the name of the folder they come from, and a number
    where that is equal, too.

    Examples
    --------
    >>> legal_names([Path("a/t.png"), Path("b/t.png"), Path("c/u.png")])
    ['t__a', 't__b', 'u']
    """
    stems = [legal_name(names_of(path)[0]) for path in paths]
    often = Counter(stem.lower() for stem in stems)
    names: list[str] = []
    taken: set[str] = set()
    for path, stem in zip(paths, stems, strict=True):
        name = stem
        if often[stem.lower()] > 1:
            name = legal_name(f"{stem}__{path.resolve().parent.name}")
        numbered, number = name, 2
        while numbered.lower() in taken:
            numbered, number = f"{name}__{number}", number + 1
        taken.add(numbered.lower())
        names.append(numbered)
    return names
