"""Nuclei drawn as polygons in QuPath's GeoJSON to a label image."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import InputError

OBJECT_TYPES = ("cell", "detection", "nucleus")
"""Objects that can be nuclei, the last one of other programs than QuPath; annotations and TMA cores are not."""
OLD_TYPES = {"PathCellObject": "cell", "PathDetectionObject": "detection"}
"""What QuPath before 0.3 writes as the id of a feature; 0.3 has ``object_type``, newer ones have ``objectType``."""
ASIDE = np.array([1.3e-4, 0.7e-4])
"""Added to outlines, px, so that a pixel whose center lies on the border of two nuclei is one's alone."""
Move: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Polygon: TypeAlias = list[NDArray[np.float64]]
"""Rings, the outer one and holes; each of shape (N, 2), x before y."""


def labels_from_geojson(
    path: Path, data: bytes, shape: tuple[int, int], move: Move | None
) -> tuple[NDArray[np.int32], list[str]]:
    """Draw the nuclei of a GeoJSON file. Raises InputError if it is not GeoJSON with cells or detections.

    Parameters
    ----------
    path : Path
        For messages.
    data : bytes
        Content of the file.
    shape : tuple of int
        Rows and columns of the image.
    move : callable, optional
        Converts the file's positions to level-0 pixels.

    Returns
    -------
    labels : ndarray of shape `shape`, dtype int32
    notes : list of str
        Counts of everything that was not drawn.
    """
    try:
        features = _features(json.loads(data))
        found = [(_kind(feature), feature) for feature in features]
        outlines = [_outline(kind, feature) for kind, feature in found]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(path, f"is not GeoJSON with cells or detections ({error})") from error
    nuclei = [polygons for polygons in outlines if polygons]
    bare = sum(kind == "cell" and not polygons for (kind, _), polygons in zip(found, outlines, strict=True))
    left_out = {
        "features are not cells or detections with an area, and left out": len(found) - len(nuclei) - bare,
        "features are cells that have no nucleus, and left out": bare,
    }
    notes = counted_notes(left_out, len(found))
    if notes and not nuclei:
        raise InputError(path, f"holds no nuclei: {'; '.join(notes)}")
    if move is not None:
        nuclei = [[[move(ring) for ring in rings] for rings in polygons] for polygons in nuclei]
    labels = np.zeros(shape, np.int32)
    overlapping = sum(_draw(labels, polygons, number) for number, polygons in enumerate(nuclei, 1))
    lost = len(nuclei) - count_labels(labels)
    drawn = {
        "nuclei overlap others; the later one has the shared pixels": overlapping,
        "nuclei are lost: outside the image, too small for a pixel, or wholly under others": lost,
    }
    return labels, notes + counted_notes(drawn, len(nuclei))


def counted_notes(counts: dict[str, int], total: int) -> list[str]:
    """Return a note for each count that is not 0."""
    return [f"{number} of {total} {text}" for text, number in counts.items() if number]


def _features(parsed: Any) -> list[Any]:
    """Features of a collection, of a list, or the one there is."""
    if isinstance(parsed, dict):
        return [parsed] if parsed.get("type") == "Feature" else list(parsed["features"])
    return list(parsed)


def _kind(feature: Any) -> str | None:
    """Type of a QuPath object, "nucleus" for a feature of another program, None for what is no feature."""
    if feature is None:
        return None
    known, properties = str(feature.get("id", "")), feature.get("properties") or {}
    kind = properties.get("objectType", properties.get("object_type", OLD_TYPES.get(known)))
    return "nucleus" if kind is None and not known.startswith(("Path", "TMA")) else kind


def _outline(kind: str | None, feature: Any) -> list[Polygon]:
    """Polygons of a nucleus; none for what is not a nucleus."""
    if kind not in OBJECT_TYPES:
        return []
    geometry = feature.get("nucleusGeometry") or (feature.get("geometry") if kind != "cell" else None) or {}
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        return []
    coordinates = geometry["coordinates"]
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    return [_rings(polygon) for polygon in polygons if polygon and polygon[0]]


def _rings(polygon: Any) -> Polygon:
    rings = [np.array([point[:2] for point in ring], np.float64) for ring in polygon if ring]
    if not all(len(ring) > 2 and ring.shape[1] == 2 and np.isfinite(ring).all() for ring in rings):
        raise ValueError("a ring needs three points of two numbers")
    return rings


def _draw(labels: NDArray[np.int32], polygons: list[Polygon], number: int) -> bool:
    """Label the pixels whose centers lie in a polygon; return whether any had another label."""
    corners = np.concatenate([ring for rings in polygons for ring in rings])
    ends = np.array(labels.shape[::-1])
    low = np.clip(np.floor(corners.min(axis=0)) - 1, 0, ends).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, ends).astype(int)
    if np.any(high <= low):
        return False
    from skimage.draw import polygon2mask  # OpenCV would draw the outline's pixels, too

    window = labels[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(window.shape, bool)
    for rings in polygons:
        drawn = [polygon2mask(window.shape, (ring - low - 0.5 + ASIDE)[:, ::-1]) for ring in rings]  # type: ignore[no-untyped-call]
        inside |= np.logical_xor.reduce(drawn)
    overlaps = bool(window[inside].any())
    window[inside] = number
    return overlaps


def count_labels(labels: NDArray[np.integer]) -> int:
    """Count the labels of an image."""
    return int(np.count_nonzero(np.unique(labels)))
