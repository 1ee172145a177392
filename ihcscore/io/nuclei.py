"""Nuclei from other programs: label images, and the GeoJSON that QuPath exports."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import InputError
from ihcscore.io.nuclei_geojson import Move, count_labels, counted_notes, labels_from_geojson
from ihcscore.io.sidecars import file_for, names_of

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
GEOJSON_SUFFIXES = (".geojson", ".json")
SUFFIXES = LABEL_SUFFIXES + GEOJSON_SUFFIXES
NAME_ENDINGS = ("", "_nuclei", "_labels", "_cp_masks")
"""What may follow an image's stem before the suffix."""
LARGEST_LABEL = np.iinfo(np.int32).max
LONGEST_UM = 100.0
"""No nucleus is longer: what is, is a mask, an annotation, or of another pixel size."""


@dataclass(frozen=True)
class NucleiFile:
    """Nuclei of one image.

    Parameters
    ----------
    name : str
        Of the file.
    sha256 : str
        Of the file.
    labels : ndarray of shape (M, N), dtype int32
        0 is background, each other number a nucleus.
    notes : tuple of str
        What the user should know.
    """

    name: str
    sha256: str
    labels: NDArray[np.int32]
    notes: tuple[str, ...] = ()


def nuclei_for(image: Path, given: Path) -> Path:
    """Find an image's file of nuclei. Raises InputError if the folder holds no such file, or several.

    Parameters
    ----------
    image : Path
        The image.
    given : Path
        A file, or a folder that holds one with a name of `names_of`, plus one of `NAME_ENDINGS` and `SUFFIXES` in upper
        or lower case.
    """
    wanted = names_of(image)
    there = sorted(path.name for path in given.iterdir()) if given.is_dir() else []
    names = [name for name in there if not set(wanted).isdisjoint(names_named_by(name))]
    return file_for(image, given, names or [f"{wanted[0]}{SUFFIXES[0]}"], "nuclei")


def names_named_by(name: str) -> list[str]:
    """Return the possible names of the image whose nuclei a file of this name holds; empty for other files.

    Examples
    --------
    >>> names_named_by("a_labels.PNG"), names_named_by("a.jpg")
    (['a_labels', 'a'], [])
    """
    stem, dot, suffix = name.rpartition(".")
    if f"{dot}{suffix.lower()}" not in SUFFIXES:
        return []
    return [stem[: len(stem) - len(ending)] for ending in NAME_ENDINGS if stem.lower().endswith(ending)]


def read_nuclei(path: Path, shape: tuple[int, int], mpp: float, move: Move | None = None) -> NucleiFile:
    """Read the nuclei of an image.

    Raises InputError if it cannot be read, is of another size, is a mask, holds something longer than `LONGEST_UM`,
    or nuclei that all lie outside of the image.

    Parameters
    ----------
    path : Path
        PNG or TIFF of labels (one channel, as large as the image, none above `LARGEST_LABEL`), or GeoJSON in the
        image's pixels, pixel (0, 0) covering [0, 1) x [0, 1). Of a QuPath cell the nucleus is taken, of a detection its
        outline.
    shape : tuple of int
        Rows and columns of the image.
    mpp : float
        um per pixel of the image.
    move : callable, optional
        Converts positions in GeoJSON, shape (n, 2), to the image's pixels, where they are of another frame.

    Returns
    -------
    NucleiFile
        Its notes count what is no nucleus, has no pixel of its own, or is in several parts, or say that it is empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    if path.suffix.lower() in GEOJSON_SUFFIXES:
        labels, notes = labels_from_geojson(path, data, shape, move)
    elif path.suffix.lower() in LABEL_SUFFIXES:
        labels, notes = _from_image(path, data), []
    else:
        raise InputError(path, f"nuclei are read from {', '.join(SUFFIXES)}")
    if labels.shape != shape:
        found, wanted = (f"{s[1]} x {s[0]}" for s in (labels.shape, shape))
        raise InputError(path, f"has labels for {found} pixels, the image has {wanted}")
    if not labels.any() and notes:
        raise InputError(path, "holds no nuclei inside the image: is it of another image, or in other units?")
    problem = why_no_nuclei(labels, mpp) if path.suffix.lower() in LABEL_SUFFIXES else _too_long(labels, mpp)
    if problem is not None:
        raise InputError(path, problem)
    if not labels.any():
        notes = ["holds no nuclei, so the image has no cells"]
    notes += counted_notes(
        {"nuclei are in several parts, and each is taken as one": _in_parts(labels)}, count_labels(labels)
    )
    notes = [f"{path.name}: {note}" for note in notes]
    return NucleiFile(path.name, hashlib.sha256(data).hexdigest(), labels, tuple(notes))


def why_no_nuclei(labels: NDArray[np.integer], mpp: float) -> str | None:
    """Return why labels are not one number per nucleus; None if they are.

    Parameters
    ----------
    labels : ndarray of shape (M, N), integer
        0 is background. Not modified.
    mpp : float
        um per pixel.

    Returns
    -------
    str or None
        That they are a mask, or that something is longer than `LONGEST_UM`; None if they can be nuclei.

    Examples
    --------
    >>> why_no_nuclei(np.array([[1, 0, 2]]), 0.5)
    >>> why_no_nuclei(np.array([[1, 0, 2, 0, 1]]), 50.0)
    'holds a nucleus 255 um long: is it a mask, a map of classes, an annotation, or of another pixel size?'
    """
    if is_mask(labels):
        return "is a mask with several pieces: give each nucleus its own number"
    return _too_long(labels, mpp)


def _too_long(labels: NDArray[np.integer], mpp: float) -> str | None:
    longest = longest_px(labels) * mpp
    if longest > LONGEST_UM:
        what = "a mask, a map of classes, an annotation, or of another pixel size"
        return f"holds a nucleus {longest:.0f} um long: is it {what}?"
    return None


def is_mask(labels: NDArray[np.integer]) -> bool:
    """Return whether a label image is a binary mask: one number in several pieces.

    Examples
    --------
    >>> is_mask(np.array([[9, 0, 9]])), is_mask(np.array([[1, 0, 2]])), is_mask(np.array([[0, 9, 9]]))
    (True, False, False)
    """
    highest = labels.max(initial=0)
    inside = labels > 0
    return bool(highest > 0 and (labels[inside] == highest).all() and _pieces(inside) > 1)


def longest_px(labels: NDArray[np.integer]) -> float:
    """Return the longest diagonal of all labels' bounding boxes, in pixels; 0 without labels.

    Examples
    --------
    >>> longest_px(np.array([[1, 1, 0], [0, 0, 2]]))
    2.23606797749979
    """
    inside = labels != 0
    inner = labels[:, 1:-1]
    inside[:, 1:-1] &= (inner != labels[:, :-2]) | (inner != labels[:, 2:])  # the ends of runs reach as far
    rows, cols = np.nonzero(inside)
    if not len(rows):
        return 0.0
    _, label = np.unique(labels[rows, cols], return_inverse=True)
    reach = []
    for position in (rows, cols):
        low = np.full(label.max() + 1, np.iinfo(np.int64).max)
        high = np.zeros_like(low)
        np.minimum.at(low, label, position)
        np.maximum.at(high, label, position)
        reach.append(high - low + 1)
    return float(np.hypot(*reach).max())


def _in_parts(labels: NDArray[np.integer]) -> int:
    """Count the labels in several pieces; pixels that touch at a corner are one piece."""
    from skimage.measure import label  # slow to load

    pieces = label(labels, connectivity=2, background=0)  # type: ignore[no-untyped-call]
    owner = np.zeros(pieces.max(initial=0) + 1, labels.dtype)
    owner[pieces.ravel()] = labels.ravel()
    _, counts = np.unique(owner[1:], return_counts=True)
    return int((counts > 1).sum())


def _pieces(inside: NDArray[np.bool_]) -> int:
    return int(cv2.connectedComponents(inside.astype(np.uint8))[0]) - 1


def _from_image(path: Path, data: bytes) -> NDArray[np.int32]:
    if path.suffix.lower() == ".png":
        labels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    else:
        labels = _tiff(path)
    if labels is None or labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        kind = "nothing that can be read" if labels is None else f"{labels.dtype} of shape {labels.shape}"
        raise InputError(path, f"expected labels, whole numbers in one channel, found {kind}")
    if labels.size and (labels.min() < 0 or labels.max() > LARGEST_LABEL):
        found = f"{labels.min()} to {labels.max()}"
        raise InputError(path, f"expected labels from 0 to {LARGEST_LABEL}, found {found}: renumber the nuclei")
    return np.asarray(labels, np.int32)


def _tiff(path: Path) -> Any:
    import tifffile

    try:
        labels = np.asarray(tifffile.imread(path))
        return labels.reshape([side for side in labels.shape if side > 1]) if labels.ndim > 2 else labels
    except Exception:  # tifffile raises whatever its decoders raise
        return None
