"""Which cells lie in which regions: by their centroids, without touching a pixel."""

import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from ihcscore.io.regions import Region

SEPARATOR = " | "
"""Between the names of a cell's regions in the cell table; no name holds it."""


@dataclass(frozen=True)
class RegionSet:
    """The regions of a slide.

    Parameters
    ----------
    regions : tuple of Region
        With different names.
    mpp : float
        um per level-0 pixel.
    """

    regions: tuple[Region, ...] = ()
    mpp: float = 1.0

    def __len__(self) -> int:
        return len(self.regions)

    def names_at(self, xy: NDArray[np.float64]) -> NDArray[np.object_]:
        """Return the names of the regions that hold each position, in the order of the file.

        Parameters
        ----------
        xy : ndarray of shape (n, 2)
            Level-0 pixels; on an outline is inside.

        Returns
        -------
        ndarray of shape (n,), dtype object
            Names joined by `SEPARATOR`; empty where there is none.
        """
        names = np.full(len(xy), "", object)
        if not len(xy) or not self.regions:
            return names
        low, high = xy.min(axis=0), xy.max(axis=0)
        order = np.argsort(xy[:, 1], kind="stable")
        rows = xy[order, 1]
        for k in np.sort(self._tree.query(shapely.box(*low, *high))):
            region = self.regions[k]
            x0, y0, x1, y1 = region.geometry.bounds
            near = order[np.searchsorted(rows, y0, "left") : np.searchsorted(rows, y1, "right")]
            near = near[(xy[near, 0] >= x0) & (xy[near, 0] <= x1)]
            inside = near[shapely.intersects_xy(region.geometry, xy[near, 0], xy[near, 1])]
            names[inside] = [f"{name}{SEPARATOR}{region.name}" if name else region.name for name in names[inside]]
        return names

    def area_mm2(self, names: Sequence[str]) -> float:
        """Return the area that regions cover together, in mm^2."""
        wanted = [region.geometry for region in self.regions if region.name in set(names)]
        return float(shapely.area(shapely.union_all(wanted))) * self.mpp**2 / 1e6

    def excluded(self, patterns: Sequence[str]) -> frozenset[str]:
        """Return the names of the regions whose class matches one of the patterns (``*`` matches anything)."""
        return frozenset(region.name for region in self.regions if is_excluded(region.classification, patterns))

    @property
    def covered(self) -> shapely.Geometry:
        """What the regions cover together, excluded ones too: their cells are counted, and may be scored later."""
        return shapely.union_all([region.geometry for region in self.regions])

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The names of the regions of each class, in the order of the file."""
        found: dict[str, list[str]] = {}
        for region in self.regions:
            if region.classification:
                found.setdefault(region.classification, []).append(region.name)
        return {name: tuple(names) for name, names in found.items()}

    @cached_property
    def _tree(self) -> shapely.STRtree:
        geometries = [region.geometry for region in self.regions]
        shapely.prepare(geometries)
        return shapely.STRtree(geometries)


NO_REGIONS = RegionSet()


def is_excluded(classification: str, patterns: Sequence[str]) -> bool:
    """Return whether a class matches one of the patterns, ignoring case.

    QuPath marks the classes it ignores by a star at the end, ``Ignore*``: there the star is part of the name.

    Examples
    --------
    >>> is_excluded("Ignore*", ["Ignore*"]), is_excluded("Necrosis", ["necro*"]), is_excluded("", ["*"])
    (True, True, False)
    """
    return bool(classification) and any(
        fnmatch.fnmatchcase(classification.lower(), pattern.lower()) for pattern in patterns
    )


def in_regions(names: NDArray[np.object_], wanted: Collection[str]) -> NDArray[np.bool_]:
    """Return which cells lie in at least one of the regions, from the result of `RegionSet.names_at`.

    Examples
    --------
    >>> in_regions(np.array(["a", "a | b", ""], object), ["b"]).tolist()
    [False, True, False]
    """
    if not wanted:
        return np.zeros(len(names), bool)
    values, back = np.unique(names.astype(str), return_inverse=True)
    among = set(wanted)
    return np.array([not among.isdisjoint(value.split(SEPARATOR)) for value in values], bool)[back]
