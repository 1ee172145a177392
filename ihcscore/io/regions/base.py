"""What a region is, and what all readers give before it is checked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

BAR, INSTEAD = "|", "/"
"""Separator between names in the cell table, with blanks around it, and its replacement within a name."""
TAKEN = ("image", "pooled")
TAKEN_START = "all "
"""Names that rows of scores have of their own."""
MARK = "(region)"
"""Tells a region from the row of scores whose name it would have."""


@dataclass(frozen=True)
class Region:
    """A region of a slide.

    Parameters
    ----------
    name : str
        Different from those of the other regions of its file.
    classification : str
        Its class, empty if it has none.
    geometry : shapely Polygon or MultiPolygon
        In level-0 pixels of the full canvas, pixel (0, 0) covering [0, 1) x [0, 1).
    """

    name: str
    classification: str
    geometry: Any


@dataclass(frozen=True)
class RegionFile:
    """The regions of a file.

    Parameters
    ----------
    name : str
        Of the file.
    sha256 : str
        Of the file.
    regions : tuple of Region
        At least one.
    notes : tuple of str
        What was left out, repaired or clipped.
    """

    name: str
    sha256: str
    regions: tuple[Region, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Drawn:
    """What a reader found.

    Parameters
    ----------
    shapes : list of tuple
        Name (may be empty), class (may be empty) and geometry of each.
    left_out : dict of str to int
        How many things of which kind are no regions.
    mended : int
        How many outlines that cross themselves a reader had to repair.
    """

    shapes: list[tuple[str, str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    mended: int = 0

    def skip(self, kind: str) -> None:
        """Count something that is no region."""
        self.left_out[kind] = self.left_out.get(kind, 0) + 1

    def mend(self, geometry: Any) -> Any:
        """Repair an outline that crosses itself, and count it."""
        if shapely.is_valid(geometry):
            return geometry
        self.mended += 1
        return repaired(geometry)


class NotARegionFile(ValueError):
    """What was found instead of regions."""


def ring(points: ArrayLike) -> NDArray[np.float64]:
    """Return the corners of a ring. Raises NotARegionFile if they are not at least three pairs of finite numbers."""
    try:
        xy = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise NotARegionFile("corners are not numbers") from None
    if xy.ndim != 2 or len(xy) < 3 or xy.shape[1] < 2 or not np.isfinite(xy).all():
        raise NotARegionFile("an outline needs three corners of two finite numbers")
    return xy[:, :2]


def polygon(points: ArrayLike, holes: Iterable[ArrayLike] = ()) -> Any:
    """Make a polygon of rings; it may be invalid."""
    return shapely.Polygon(ring(points), [ring(hole) for hole in holes])


def repaired(geometry: Any) -> Any:
    """Mend an outline that crosses itself: parts that overlap are one, and a hole is one where it lies inside."""
    whole = [_valid(part.exterior).difference(_valid(*part.interiors)) for part in shapely.get_parts(geometry)]
    return areas_of(shapely.union_all(whole))


def _valid(*rings: Any) -> Any:
    return shapely.union_all(shapely.make_valid([shapely.Polygon(each) for each in rings]))


def areas_of(geometry: Any) -> Any:
    """Return the parts of a geometry that have an area, as Polygon or MultiPolygon; empty if there are none."""
    if shapely.get_type_id(geometry) in (3, 6):
        return geometry
    parts = [part for part in shapely.get_parts(geometry) if shapely.get_type_id(part) in (3, 6)]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def named(shapes: Iterable[tuple[str, str, Any]]) -> list[Region]:
    """Name regions uniquely: by their own name, else by class and number.

    Names that were given so stay as they are: a result's own file of regions is read again.

    Examples
    --------
    >>> [region.name for region in named([("", "Tumor", None), ("a", "", None), ("a", "", None), ("", "", None)])]
    ['Tumor 1', 'a', 'a (2)', 'region 1']
    >>> [region.name for region in named([("All tissue", "", None), ("All tissue (region)", "", None)])]
    ['All tissue (region)', 'All tissue (region) (2)']
    """
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    regions = []
    for given, classification, geometry in shapes:
        name = _words(given)
        if not name:
            kind = _words(classification) or "region"
            numbers[kind] = numbers.get(kind, 0) + 1
            name = f"{kind} {numbers[kind]}"
        name = _told_apart(name)
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name} ({number})", number + 1
        taken.add(unique)
        regions.append(Region(unique, " ".join(classification.split()), geometry))
    return regions


def _words(text: str) -> str:
    return " ".join(INSTEAD if word == BAR else word for word in text.split())


def _told_apart(name: str) -> str:
    """Mark a name that a row of scores has of its own, unless it is marked."""
    lower = name.lower()
    is_taken = lower in TAKEN or (f"{lower} ".startswith(TAKEN_START) and MARK not in name)
    return f"{name} {MARK}" if is_taken else name
