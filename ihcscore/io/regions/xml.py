"""Annotations of Aperio ImageScope and of ASAP, both XML."""

from typing import Any

import numpy as np
import shapely
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree

from ihcscore.io.regions.base import Drawn, NotARegionFile, areas_of, polygon

CIRCLE = 128
"""Corners of the polygon that approximates an ellipse."""
AREAS = {"0": "polygon", "1": "rectangle", "2": "ellipse"}
"""Types of Aperio's regions that have an area; the others are arrows, rulers and text."""


def read_xml(data: bytes) -> Drawn:
    """Read the annotations of ImageScope or ASAP.

    Raises NotARegionFile if it is XML of another kind, no XML, or has entities.
    """
    try:
        root = SafeTree.fromstring(data)
    except (SafeTree.ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        raise NotARegionFile(f"is not XML that is read ({type(error).__name__})") from None
    if root.tag == "Annotations":
        return _aperio(root)
    if root.tag == "ASAP_Annotations":
        return _asap(root)
    raise NotARegionFile(f"is XML of another kind ({root.tag}): regions are read from ImageScope and ASAP")


def _aperio(root: Any) -> Drawn:
    drawn = Drawn()
    for layer in root.iter("Annotation"):
        classification = layer.get("Name") or _attribute(layer) or ""
        found, holes = [], []
        for region in layer.iter("Region"):
            if region.get("Type", "0") not in AREAS:
                drawn.skip("line, arrow or ruler")
                continue
            shape = _aperio_shape(region)
            if region.get("NegativeROA") == "1":
                holes.append(shape)
            else:
                found.append((region.get("Text") or "", classification, shape))
        if holes:
            cut = shapely.union_all([drawn.mend(hole) for hole in holes])
            found = [(name, kind, areas_of(shapely.difference(drawn.mend(s), cut))) for name, kind, s in found]
        drawn.shapes += found
    return drawn


def _attribute(layer: Any) -> str | None:
    """Return the layer's attribute, which ImageScope shows as its description."""
    first = layer.find("Attributes/Attribute")
    return None if first is None else first.get("Value") or first.get("Name")


def _aperio_shape(region: Any) -> Any:
    corners = _numbers(((v.get("X"), v.get("Y")) for v in region.iter("Vertex")), "Vertex")
    kind = AREAS[region.get("Type", "0")]
    if kind == "polygon":
        return polygon(corners)
    if len(corners) < 2:
        raise NotARegionFile(f"has a {kind} with fewer than two corners")
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    if kind == "rectangle":
        return shapely.box(x0, y0, x1, y1)
    angle = np.linspace(0, 2 * np.pi, CIRCLE, endpoint=False)
    points = [(x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angle), (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(angle)]
    return polygon(np.column_stack(points))


def _asap(root: Any) -> Drawn:
    drawn = Drawn()
    for annotation in root.iter("Annotation"):
        if annotation.get("Type") not in ("Polygon", "Rectangle", "Spline"):
            drawn.skip("line or point")
            continue
        corners = sorted(annotation.iter("Coordinate"), key=_order)
        group = annotation.get("PartOfGroup") or ""
        shape = polygon(_numbers(((c.get("X"), c.get("Y")) for c in corners), "Coordinate"))
        drawn.shapes.append((annotation.get("Name") or "", "" if group == "None" else group, shape))
    return drawn


def _order(coordinate: Any) -> float:
    try:
        return float(coordinate.get("Order", 0))
    except ValueError:
        raise NotARegionFile("has an Order that is no number") from None


def _numbers(pairs: Any, what: str) -> Any:
    try:
        return np.array([(float(x), float(y)) for x, y in pairs], np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise NotARegionFile(f"has a {what} whose X or Y is no number") from None
