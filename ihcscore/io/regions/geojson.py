"""Annotations that QuPath exports as GeoJSON."""

import json
from typing import Any

import shapely

from ihcscore.io.regions.base import Drawn, NotARegionFile, polygon, repaired

REGION_TYPES = ("annotation", "tmaCore", "root", None)
"""Object types that are regions; cells, detections and tiles are not."""
OLD_TYPES = {"PathAnnotationObject": "annotation", "PathCellObject": "cell", "PathDetectionObject": "detection"}
"""What older versions of QuPath write as the id of a feature."""


def read_geojson(data: bytes) -> Drawn:
    """Read a FeatureCollection, a list of features as QuPath wrote before 0.4, one feature, or a bare geometry.

    Raises NotARegionFile if it is none of these.
    """
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotARegionFile(f"is not JSON ({type(error).__name__})") from None
    drawn = Drawn()
    for feature in _features(parsed):
        if not isinstance(feature, dict):
            raise NotARegionFile("holds something else than features")
        _read_feature(feature, drawn)
    if not drawn.shapes and set(drawn.left_out) & {"cell", "detection"}:
        raise NotARegionFile(
            "holds cells and no annotations: give it with --nuclei, and regions in a file of their own"
        )
    return drawn


def _features(parsed: Any) -> list[Any]:
    if isinstance(parsed, list):
        return parsed
    if not isinstance(parsed, dict):
        raise NotARegionFile("is not GeoJSON")
    kind = parsed.get("type")
    if kind == "FeatureCollection" and isinstance(parsed.get("features"), list):
        return list(parsed["features"])
    if kind == "Feature":
        return [parsed]
    if "coordinates" in parsed or "geometries" in parsed:
        return [{"geometry": parsed}]
    raise NotARegionFile("is not GeoJSON: it has no features")


def _read_feature(feature: dict[str, Any], drawn: Drawn) -> None:
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    kind = properties.get("objectType", properties.get("object_type", OLD_TYPES.get(str(feature.get("id")))))
    if kind not in REGION_TYPES:
        drawn.skip(str(kind))
        return
    geometry = feature.get("geometry")
    shape = None if not isinstance(geometry, dict) else geometry_of(geometry)
    if shape is None or shape.is_empty:
        drawn.skip("line or point" if isinstance(geometry, dict) else "feature without geometry")
        return
    drawn.shapes.append((_text(properties.get("name")), _class_of(properties), shape))


def geometry_of(geometry: dict[str, Any]) -> Any:
    """Return the area of a GeoJSON geometry as a polygon, or None where it has no area.

    Raises NotARegionFile if its coordinates do not make sense.
    """
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    try:
        if kind == "Polygon" and isinstance(coordinates, list) and coordinates:
            return polygon(coordinates[0], coordinates[1:])
        if kind == "MultiPolygon" and isinstance(coordinates, list):
            return shapely.MultiPolygon([polygon(rings[0], rings[1:]) for rings in coordinates])
        if kind == "GeometryCollection" and isinstance(geometry.get("geometries"), list):
            parts = [geometry_of(part) for part in geometry["geometries"]]
            return shapely.union_all([repaired(part) for part in parts if part is not None])
    except (TypeError, KeyError, IndexError, AttributeError, shapely.errors.ShapelyError) as error:
        raise NotARegionFile(f"has a geometry that makes no sense ({error})") from None
    return None


def _class_of(properties: dict[str, Any]) -> str:
    found = properties.get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        return ": ".join(map(str, names)) if isinstance(names, list) else _text(found.get("name"))
    return _text(found)


def _text(value: Any) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""  # half a letter of JSON
