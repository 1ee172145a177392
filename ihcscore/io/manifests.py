"""What the user named on the command line to a list of images with legal, different names."""

import csv
import glob
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ihcscore.errors import IhcscoreError, InputError
from ihcscore.io.nuclei import names_named_by
from ihcscore.io.regions import REGION_ENDINGS
from ihcscore.io.result_names import OVERLAY, STAIN_PLOT, SUMMARY, legal_names
from ihcscore.io.sidecars import names_of
from ihcscore.io.slides.opening import NO_READER, SUFFIXES, one_per_series

UNREAD = (".bmp", ".gif", ".webp", ".jp2", ".lif", ".nd2", *NO_READER)
"""Pictures and slides of other formats; a folder may hold them beside what is scored."""
SPREADSHEETS = (".xlsx", ".xls", ".ods")
MANIFEST_COLUMNS = ("path", "mpp", "assay", "nuclei", "regions")
"""Columns that mean something, however their names are written in upper and lower case."""
MANIFEST_FOLDER = "\0folder"
"""Key of a manifest's row for the manifest's folder: no column has such a name."""
GLOB_CHARACTERS = "*?["


@dataclass(frozen=True)
class ImageInput:
    """One image to score.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of its result folder: the file's stem made legal, with a suffix where stems are equal.
    group : str
        Slide or case it belongs to; empty without grouping.
    mpp : float or None
        um per pixel from a manifest.
    nuclei : Path or None
        File, or folder with the file, of nuclei from another program.
    regions : Path or None
        File, or folder with the file, of regions.
    assay : Path or None
        Assay of its own, a file or the name of a preset.
    """

    path: Path
    name: str
    group: str = ""
    mpp: float | None = None
    nuclei: Path | None = None
    regions: Path | None = None
    assay: Path | None = None


def expand_inputs(
    inputs: Sequence[str | Path],
    group: str | None = None,
    nuclei: Path | None = None,
    regions: Path | None = None,
) -> list[ImageInput]:
    """List the images that files, folders, globs and manifests name.

    Parameters
    ----------
    inputs : sequence of str or Path
        Image and slide files; folders, whose images are taken (not those of folders inside); globs (``**`` goes
        deeper), of a DICOM series one file each; CSV manifests with a column ``path`` (relative to the manifest) and,
        if wanted, ``mpp``, ``assay``, ``nuclei`` and ``regions`` (files relative to it, too) and columns to group by.
    group : str, optional
        Column of the manifests, or a regular expression for file stems: images that agree in its groups (without
        groups, in what it matches) belong together.
    nuclei : Path, optional
        File of the only image's nuclei, or folder of all images'; a manifest's column ``nuclei`` wins over it, and
        without it may have no empty fields.
    regions : Path, optional
        The same of regions.

    Returns
    -------
    list of ImageInput
        In order of naming, each file once. A file that does not exist is listed, and fails when it is scored, so that
        the others are; the pictures of a result folder are left out of folders and globs, and what holds the nuclei
        or regions of another image is left out.

    Raises
    ------
    IhcscoreError
        If a folder or glob holds no images, a manifest lacks what is needed, or a name does not match `group`.
    """
    rows: dict[Path, dict[str, str]] = {}
    seen: dict[Path, dict[str, str]] = {}
    for name in inputs:
        for path, row in _expand_one(str(name)):
            known = seen.setdefault(path.resolve(), row)
            if known is row:
                rows[path] = row
            elif known != row:
                raise InputError(path, "is listed twice with different values")
    if not rows:
        raise IhcscoreError(f"no images among {', '.join(map(str, inputs))}: looked for {', '.join(SUFFIXES)}")
    for given, named_by in ((nuclei, names_named_by), (regions, _region_names)):
        labels = _labels(rows, given, named_by)
        rows = {path: row for path, row in rows.items() if path not in labels}
    for what, given in (("nuclei", nuclei), ("regions", regions)):
        if given is not None and given.is_file() and len(rows) > 1:
            raise IhcscoreError(f"{given.name} cannot hold the {what} of {len(rows)} images: give a folder of them")
    if nuclei is None:
        _refuse_empty_nuclei(rows)

    def item(path: Path, row: dict[str, str], name: str) -> ImageInput:
        files = _file_of(row, "nuclei", nuclei), _file_of(row, "regions", regions)
        return ImageInput(path, name, _group_of(path, row, group), _manifest_mpp(path, row), *files, _assay_of(row))

    return [item(*entry, name) for entry, name in zip(rows.items(), legal_names(list(rows)), strict=True)]


def _expand_one(given: str) -> list[tuple[Path, dict[str, str]]]:
    path = Path(given)
    if path.is_dir():
        found = one_per_series(sorted((p for p in path.iterdir() if _is_image(p)), key=_natural))
        if not found:
            inside = f"'{given.rstrip('/')}/**/*.png' (or .svs, .dcm, ...)"
            raise IhcscoreError(
                f"folder {path.name or given} holds no images; for those in folders inside it, {inside}"
            )
        return [(p, {}) for p in found]
    if path.suffix.lower() in SPREADSHEETS:
        raise InputError(path, "is a spreadsheet: save it as 'CSV UTF-8', separated by commas")
    if path.is_file():
        return _manifest(path) if path.suffix.lower() == ".csv" else [(path, {})]
    if any(c in given for c in GLOB_CHARACTERS):
        matches = sorted((Path(p) for p in glob.glob(given, recursive=True)), key=_natural)
        found = one_per_series(p for p in matches if _is_image(p))
        if not found:
            raise IhcscoreError(f"'{given}' matches no images")
        return [(p, {}) for p in found]
    return [(path, {})]


def unused_columns(inputs: Sequence[str | Path], group: str | None = None) -> list[str]:
    """List the columns of the given manifests that are not used: a misspelt one is among them."""
    manifests = [Path(given) for given in inputs if Path(given).suffix.lower() == ".csv" and Path(given).is_file()]
    known = {*MANIFEST_COLUMNS, MANIFEST_FOLDER, group}
    rows = [_manifest(path)[0][1] for path in manifests]
    return list(dict.fromkeys(name for row in rows for name in row if name not in known))


def unread_pictures(inputs: Sequence[str | Path]) -> list[Path]:
    """List what lies in the given folders and looks like an image or slide of a format that is not read."""
    folders = [Path(given) for given in inputs if Path(given).is_dir()]
    return sorted(path for folder in folders for path in folder.iterdir() if path.suffix.lower() in UNREAD)


def _is_image(path: Path) -> bool:
    if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    truth = path.stem.removesuffix("_nuclei").removesuffix("_cells")
    if truth != path.stem and path.with_name(f"{truth}_truth.json").exists():
        return False  # labels that 'ihcscore phantom' wrote
    own = path.name.endswith(STAIN_PLOT) or (path.name == OVERLAY and (path.parent / SUMMARY).exists())
    return not own


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort tile2 before tile10."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _manifest(path: Path) -> list[tuple[Path, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = reader.fieldnames = [_column(name) for name in reader.fieldnames or ()]
            rows = [row for row in reader if any(row.values())]
    except UnicodeDecodeError as error:
        raise InputError(path, "is not a CSV manifest in UTF-8: save it as 'CSV UTF-8'") from error
    except (OSError, csv.Error) as error:
        raise InputError(path, f"is not a readable CSV manifest ({error})") from error
    if "path" not in names:
        separator = next((text for text in (";", "\t") if any(text in name for name in names)), "")
        remedy = f"separate its columns by commas, not by {separator!r}" if separator else f"it has {', '.join(names)}"
        raise InputError(path, f"a manifest needs a column 'path': {remedy}")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(path, f"the manifest has several columns named {', '.join(twice)}")
    if not rows:
        raise InputError(path, "the manifest has no rows")
    for number, row in enumerate(rows, 1):
        text = (row.get("path") or "").strip()
        if not text or "\0" in text:
            raise InputError(path, f"row {number} of the manifest has no path")
        if None in row:
            raise InputError(path, f"row {number} of the manifest has more fields than the header")
    return [(path.parent / row["path"].strip(), {**row, MANIFEST_FOLDER: str(path.parent)}) for row in rows]


def _column(name: str) -> str:
    text = name.strip()
    return text.lower() if text.lower() in MANIFEST_COLUMNS else text


def _manifest_mpp(path: Path, row: dict[str, str]) -> float | None:
    text = (row.get("mpp") or "").strip()
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(path, f"the manifest's mpp '{text}' is not a number") from None


def _refuse_empty_nuclei(rows: dict[Path, dict[str, str]]) -> None:
    """Refuse images whose manifest field for nuclei is empty: detected nuclei would mix with given ones."""
    empty = [path.name for path, row in rows.items() if "nuclei" in row and not (row["nuclei"] or "").strip()]
    if empty:
        text = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        raise IhcscoreError(
            f"the manifest's column 'nuclei' is empty for {text}: fill it in, give --nuclei, or leave the column out"
        )


def _labels(paths: Iterable[Path], given: Path | None, named_by: Callable[[str], Iterable[str]]) -> set[Path]:
    """Return the paths that are nuclei or regions of other images: the given file, or those so named in a folder."""
    if given is None:
        return set()
    place = given.resolve()
    if not given.is_dir():
        found = {path for path in paths if path.resolve() == place}
        return found if found != set(paths) else set()
    images: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        for name in names_of(path):
            images[name].add(path)
    inside = [path for path in paths if path.parent.resolve() == place]
    owners = {path: set().union(*(images.get(name, ()) for name in named_by(path.name))) - {path} for path in inside}
    return {path for path in inside if any(_is_of(path, image, owners) for image in owners[path])}


def _is_of(path: Path, image: Path, owners: dict[Path, set[Path]]) -> bool:
    """Return whether a file holds the labels of an image, and not the other way round: images are in color."""
    return path not in owners.get(image, ()) or (_has_one_channel(path) and not _has_one_channel(image))


def _has_one_channel(path: Path) -> bool:
    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(path) as file,
        ):
            return len(file.getbands()) == 1
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def _region_names(name: str) -> list[str]:
    stem = Path(name).stem
    return [stem.removesuffix(ending) for ending in REGION_ENDINGS if ending and stem.endswith(ending)]


def _file_of(row: dict[str, str], column: str, given: Path | None) -> Path | None:
    """Return the file that a manifest names, relative to it, else the one given for all images."""
    text = (row.get(column) or "").strip()
    return Path(row[MANIFEST_FOLDER]) / text if text else given


def _assay_of(row: dict[str, str]) -> Path | None:
    """Return the assay that a manifest names: a file, relative to it, or the name of a preset."""
    text = (row.get("assay") or "").strip()
    if not text:
        return None
    return Path(row[MANIFEST_FOLDER]) / text if text.lower().endswith(".toml") else Path(text)


def _group_of(path: Path, row: dict[str, str], group: str | None) -> str:
    if not group:
        return ""
    if row:
        value = (row.get(group) or "").strip()
        if not value:
            there = ", ".join(name for name in row if name != MANIFEST_FOLDER)
            raise InputError(path, f"the manifest gives it no '{group}' to group by; its columns are {there}")
        return value
    try:
        match = re.search(group, path.stem)
    except re.error as error:
        raise IhcscoreError(f"--group '{group}' is neither a manifest's column nor a pattern: {error}") from None
    name = "" if match is None else "_".join(filter(None, match.groups())) if match.groups() else match.group()
    if not name:
        if not path.exists():
            raise InputError(path, "there is no such file")
        raise InputError(path, f"its name does not match --group '{group}', or matches nothing of it")
    return name
