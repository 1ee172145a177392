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
from ihcscore.io.beside import file_for

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
GEOJSON_SUFFIXES = (".geojson", ".json")
SUFFIXES = LABEL_SUFFIXES + GEOJSON_SUFFIXES
NAME_ENDINGS = ("", "_nuclei", "_labels", "_cp_masks")
"""What may stand between an image's stem and the suffix."""
OBJECT_TYPES = ("cell", "detection")
"""Objects of QuPath that can be nuclei; annotations and TMA cores are not."""
OLD_TYPES = {"PathCellObject": "cell", "PathDetectionObject": "detection"}
"""What older versions of QuPath write as the id of a feature, where newer ones have an object type."""
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
    names = [f"{image.stem}{ending}{suffix}" for ending in NAME_ENDINGS for suffix in SUFFIXES]
    return file_for(image, given, names, "nuclei")


def read_nuclei(path: Path, shape: tuple[int, int], mpp: float) -> NucleiFile:
    """Read the nuclei of an image.

    Parameters
    ----------
    path : Path
        PNG or TIFF of labels (8, 16 or 32 bits, one channel, as large as the image), or GeoJSON in the image's pixels,
        pixel (0, 0) covering [0, 1) x [0, 1). Of a QuPath cell the nucleus is taken, of a detection its outline.
    shape : tuple of int
        Rows and columns of the image.
    mpp : float
        um per pixel of the image.

    Returns
    -------
    NucleiFile
        Its notes count what is no nucleus or has no pixel of its own.

    Raises
    ------
    InputError
        If it cannot be read, is of another size, is a mask, holds something longer than `LONGEST_UM`, or no nuclei in
        the image.
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
    longest = longest_px(labels) * mpp
    if longest > LONGEST_UM:
        raise InputError(
            path, f"holds a nucleus {longest:.0f} um long: is it a mask, an annotation, or of another pixel size?"
        )
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


def longest_px(labels: NDArray[np.integer]) -> float:
    """Give the longest diagonal of a label's bounding box, in pixels; 0 without labels.

    Examples
    --------
    >>> longest_px(np.array([[1, 1, 0], [0, 0, 2]]))
    2.23606797749979
    """
    rows, cols = np.nonzero(labels)
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
        features = _features(parsed)
        found = [_nucleus_of(feature) for feature in features]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(path, f"is not GeoJSON with cells or detections ({error})") from error
    nuclei = [rings for rings in found if rings]
    labels = np.zeros(shape, np.int32)
    overlapping = sum(_draw(labels, rings, number) for number, rings in enumerate(nuclei, 1))
    lost = len(nuclei) - np.count_nonzero(np.unique(labels))
    counts = {
        "features are not cells or detections with an area, and left out": len(found) - len(nuclei),
        "nuclei overlap others; the later one has the shared pixels": overlapping,
        "nuclei are lost: outside the image, too small for a pixel, or wholly under others": lost,
    }
    return labels, [f"{path.name}: {number} of {len(found)} {text}" for text, number in counts.items() if number]


def _features(parsed: Any) -> list[Any]:
    """Features of a collection, of a list, or the one there is."""
    if isinstance(parsed, dict):
        return [parsed] if parsed.get("type") == "Feature" else list(parsed["features"])
    return list(parsed)


def _nucleus_of(feature: Any) -> list[NDArray[np.float64]]:
    """Rings of a nucleus, outer ones and holes, x before y; none for what is not a nucleus."""
    kind = (feature.get("properties") or {}).get("objectType", OLD_TYPES.get(feature.get("id")))
    plain = kind is None and not str(feature.get("id", "")).startswith(("Path", "TMA"))  # not from QuPath at all
    geometry = feature.get("nucleusGeometry") or feature.get("geometry")
    if not (plain or kind in OBJECT_TYPES) or geometry is None:
        return []
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
