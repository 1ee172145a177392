"""Nuclei found elsewhere: label images, and the GeoJSON that QuPath exports."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import InputError

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
GEOJSON_SUFFIXES = (".geojson", ".json")
SUFFIXES = LABEL_SUFFIXES + GEOJSON_SUFFIXES
NAME_ENDINGS = ("", "_nuclei", "_labels", "_cp_masks")
"""What may stand between an image's stem and the suffix."""
OBJECT_TYPES = ("cell", "detection", "unknown")
"""Objects of QuPath that can be nuclei; annotations and TMA cores are not."""


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
    """Find an image's file of nuclei.

    Parameters
    ----------
    image : Path
        The image.
    given : Path
        A file, or a folder that holds ``<stem>`` plus one of `NAME_ENDINGS` and `SUFFIXES`.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the folder holds no such file, or several.
    """
    if not given.is_dir():
        return given
    names = [f"{image.stem}{ending}{suffix}" for ending in NAME_ENDINGS for suffix in SUFFIXES]
    found = [given / name for name in names if (given / name).is_file() and (given / name).resolve() != image.resolve()]
    if len(found) != 1:
        what = "no file of nuclei" if not found else f"several files of nuclei ({', '.join(p.name for p in found)})"
        raise InputError(image, f"{given.name or given} holds {what} for it: expected one such as {names[0]}")
    return found[0]


def read_nuclei(path: Path, shape: tuple[int, int]) -> NucleiFile:
    """Read the nuclei of an image.

    Parameters
    ----------
    path : Path
        PNG or TIFF of labels (8, 16 or 32 bits, one channel, as large as the image), or GeoJSON in the image's pixels,
        pixel (0, 0) covering [0, 1) x [0, 1). Of a QuPath cell the nucleus is taken, of a detection its outline.
    shape : tuple of int
        Rows and columns of the image.

    Returns
    -------
    NucleiFile

    Raises
    ------
    InputError
        If it cannot be read, is of another size, is a mask, or holds no nuclei in the image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    if path.suffix.lower() in GEOJSON_SUFFIXES:
        labels, notes = _from_geojson(path, data, shape)
    elif path.suffix.lower() in LABEL_SUFFIXES:
        labels, notes = _from_image(path, data), []
    else:
        raise InputError(path, f"nuclei are read from {', '.join(SUFFIXES)}")
    if labels.shape != shape:
        found, wanted = (f"{s[1]} x {s[0]}" for s in (labels.shape, shape))
        raise InputError(path, f"has labels for {found} pixels, the image has {wanted}")
    if not labels.any():
        raise InputError(path, "holds no nuclei inside the image: is it of another image, or in other units?")
    if is_mask(labels):
        raise InputError(path, "is a mask with several pieces: give each nucleus its own number")
    return NucleiFile(path.name, hashlib.sha256(data).hexdigest(), labels, tuple(notes))


def is_mask(labels: NDArray[np.integer]) -> bool:
    """Tell whether labels are one number in several pieces: all nuclei, not one of them.

    Examples
    --------
    >>> is_mask(np.array([[9, 0, 9]])), is_mask(np.array([[1, 0, 2]])), is_mask(np.array([[0, 9, 9]]))
    (True, False, False)
    """
    highest = labels.max(initial=0)
    inside = labels > 0
    return bool(highest > 0 and (labels[inside] == highest).all() and _pieces(inside) > 1)


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
    if labels.size and (labels.min() < 0 or labels.max() > np.iinfo(np.int32).max):
        raise InputError(path, f"expected labels from 0, found {labels.min()} to {labels.max()}")
    return np.asarray(labels, np.int32)


def _tiff(path: Path) -> Any:
    import tifffile

    try:
        return tifffile.imread(path)
    except Exception:  # tifffile raises whatever its decoders raise
        return None


def _from_geojson(path: Path, data: bytes, shape: tuple[int, int]) -> tuple[NDArray[np.int32], list[str]]:
    try:
        parsed = json.loads(data)
        features = parsed["features"] if isinstance(parsed, dict) else parsed
        found = [rings for feature in features if (rings := _nucleus_of(feature))]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(path, f"is not GeoJSON with cells or detections ({error.__class__.__name__})") from error
    labels = np.zeros(shape, np.int32)
    hidden = sum(_draw(labels, rings, number) for number, rings in enumerate(found, 1))
    notes = [f"{path.name}: {hidden} nuclei overlap others; the later one has the shared pixels"] if hidden else []
    return labels, notes


def _nucleus_of(feature: Any) -> list[NDArray[np.float64]]:
    """Rings of a nucleus, outer ones and holes, x before y; none for what is not a nucleus."""
    if (feature.get("properties") or {}).get("objectType", "unknown") not in OBJECT_TYPES:
        return []
    geometry = feature.get("nucleusGeometry") or feature["geometry"]
    polygons = {"Polygon": [geometry["coordinates"]], "MultiPolygon": geometry["coordinates"]}.get(geometry["type"], [])
    rings = [np.array([point[:2] for point in ring], np.float64) for polygon in polygons for ring in polygon]
    if not all(len(ring) > 2 and ring.shape[1] == 2 and np.isfinite(ring).all() for ring in rings):
        raise ValueError("a ring needs three points of two numbers")
    return rings


def _draw(labels: NDArray[np.int32], rings: list[NDArray[np.float64]], number: int) -> bool:
    """Give the pixels whose centres lie in the rings the number; tell whether any had another one."""
    corners = np.concatenate(rings)
    ends = np.array(labels.shape[::-1])
    low = np.clip(np.floor(corners.min(axis=0)) - 1, 0, ends).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, ends).astype(int)
    if np.any(high <= low):
        return False
    from skimage.draw import polygon2mask  # OpenCV would draw the outline's pixels, too

    window = labels[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(window.shape, bool)
    for ring in rings:
        inside ^= polygon2mask(window.shape, (ring - low - 0.5)[:, ::-1])  # type: ignore[no-untyped-call]
    overlaps = bool(window[inside].any())
    window[inside] = number
    return overlaps
