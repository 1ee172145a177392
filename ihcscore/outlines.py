"""Label images to polygons.

An outline runs through the middles of the pixel edges between a label and what is not that label, so it turns corners
at 45 degrees. Every pixel centre lies on the side its label says; the enclosed area is the label's pixel count less
half a pixel for each piece, plus half a pixel for each hole.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from ihcscore.spans import ranges

Points = NDArray[np.float64]

# Freeman directions as OpenCV walks them: E, SE, S, SW, W, NW, N, NE in (dx, dy), y down.
_DIRECTION = np.full((3, 3), -1, np.int8)
_STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
for _number, (_dx, _dy) in enumerate(_STEPS):
    _DIRECTION[_dy + 1, _dx + 1] = _number
_SINGLE = 8
"""Stands for the directions into and out of a pixel that is alone."""
# Midpoint of the pixel's edge facing E, S, W, N, from the pixel's upper left corner.
_EDGE = np.array([(1.0, 0.5), (0.5, 1.0), (0.0, 0.5), (0.5, 0.0)])


def _corners() -> tuple[NDArray[np.intp], Points]:
    """Corners of an outline at a pixel entered by direction i and left by direction o: how many, and where.

    OpenCV walks an outer contour counter-clockwise on screen, so what lies outside is at the walker's right hand. The
    sweep starts behind the walker and passes the right hand, by falling direction number, until it meets the way out.
    Each edge it passes gives a point. Where the walker comes or goes diagonally, the first or last of several points
    lies on the line between its neighbours: it is no corner. Neither is a single point on a straight way.
    """
    count = np.zeros((9, 9), np.intp)
    place = np.zeros((9, 9, 4, 2))
    for i in range(8):
        back = (i + 4) % 8
        for o in range(8):
            turn = (back - o) % 8 or 8
            passed = [(back - step) % 8 for step in range(1, turn)]
            faces = [direction // 2 for direction in passed if direction % 2 == 0]
            corners = faces[i % 2 : len(faces) - o % 2] if len(faces) > 1 else faces * (i != o)
            count[i, o] = len(corners)
            place[i, o, : len(corners)] = _EDGE[corners]
    count[_SINGLE, _SINGLE], place[_SINGLE, _SINGLE] = 4, _EDGE[[3, 2, 1, 0]]
    return count.ravel(), place.reshape(81, 4, 2)


_COUNT, _PLACE = _corners()


@dataclass(frozen=True)
class Outlines:
    """The outlines of labels 1..count, in pixels, (0, 0) covering [0, 1) x [0, 1).

    Parameters
    ----------
    xy : ndarray of shape (n, 2), dtype float64
        Vertices of one ring after the other; the first is not repeated at its end.
    size : ndarray of shape (count,), dtype int
        Vertices of each label's ring; 0 for a label without pixels and for those in `others`.
    others : dict of int to shapely geometry
        Outlines, by label, of labels that have holes or pieces: Polygon or MultiPolygon.
    """

    xy: Points
    size: NDArray[np.intp]
    others: dict[int, BaseGeometry] = field(default_factory=dict)

    @cached_property
    def _closed(self) -> Points:
        """The rings, with the first vertex repeated at the end of each."""
        filled = self.size[self.size > 0]
        first = np.cumsum(filled) - filled
        order = ranges(first, filled + 1)
        order[np.cumsum(filled + 1) - 1] = first
        return self.xy.take(order, axis=0)

    def areas(self) -> Points:
        """Area of each, in pixels; 0 for a label without pixels."""
        return np.abs(self._by_ring(_twice_area(self._closed))) / 2 + self._by_other(shapely.area)

    def lengths(self) -> Points:
        """Perimeter of each, in pixels; with those of holes. 0 for a label without pixels."""
        across, down = (np.abs(np.diff(way)) for way in self._closed.T)
        diagonal = np.minimum(across, down)
        straight = self._by_ring(np.maximum(across, down) - diagonal)
        return np.asarray(straight + np.sqrt(2) * self._by_ring(diagonal) + self._by_other(shapely.length))

    def _by_ring(self, by_step: Points) -> Points:
        """Add up a value of each step between vertices over each ring; those from ring to ring do not count."""
        out = np.zeros(len(self.size))
        filled = self.size > 0
        if filled.any():
            last = np.cumsum(self.size[filled] + 1) - 1
            by_step = np.append(by_step, 0.0)
            by_step[last] = 0
            out[filled] = np.add.reduceat(by_step, last - self.size[filled])
        return out

    def _by_other(self, measure: Callable[[BaseGeometry], float]) -> Points:
        out = np.zeros(len(self.size))
        for label, shape in self.others.items():
            out[label - 1] = measure(shape)
        return out

    def wkb(self, moved: Callable[[Points], Points] = lambda xy: xy) -> NDArray[np.object_]:
        """Write the outlines as well-known binary.

        Parameters
        ----------
        moved : callable, optional
            Maps coordinates of shape (n, 2) to those to write.

        Returns
        -------
        ndarray of shape (count,), dtype object
            bytes, little-endian; None for a label without pixels.
        """
        data = np.ascontiguousarray(moved(self._closed), "<f8").tobytes()
        out = np.full(len(self.size), None, dtype=object)
        filled = np.flatnonzero(self.size)
        stop = 0
        for k, size in zip(filled.tolist(), (self.size[filled] + 1).tolist(), strict=True):
            start, stop = stop, stop + 16 * size
            out[k] = _POLYGON_HEAD.pack(1, 3, 1, size) + data[start:stop]
        for label, shape in self.others.items():
            out[label - 1] = shapely.to_wkb(shapely.transform(shape, moved))
        return out


_POLYGON_HEAD = struct.Struct("<BIII")
"""Byte order, geometry type, number of rings, number of points of the first ring."""


def trace(labels: NDArray[np.int32], areas: NDArray[np.int64]) -> Outlines:
    """Trace the outline of every label.

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
        0 is background; labels up to `len(areas)`. Not modified.
    areas : ndarray of shape (count,), dtype int64
        Pixels of each label.

    Returns
    -------
    Outlines
    """
    count = len(areas)
    contours, of = _contours(labels)
    xy, size = _rings(contours)
    enclosed = Outlines(xy, size).areas()
    number = np.bincount(of, minlength=count + 1)[1:]
    # One ring encloses all but half a pixel. Where it does not, the label has pieces or holes.
    simple = (number == 1) & (np.bincount(of, enclosed, minlength=count + 1)[1:] == areas - 0.5)
    chosen = np.flatnonzero(np.append(False, simple)[of])
    chosen = chosen[np.argsort(of[chosen])]
    sizes = np.zeros(count, np.intp)
    sizes[of[chosen] - 1] = size[chosen]
    rest = np.flatnonzero((areas > 0) & ~simple)
    others = {int(k) + 1: _with_holes(labels, int(k) + 1) for k in rest}
    return Outlines(xy[ranges((np.cumsum(size) - size)[chosen], size[chosen])], sizes, others)


def outlines(labels: NDArray[np.int32], count: int) -> NDArray[np.object_]:
    """Trace the outline of every label as a shapely geometry.

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
        0 is background; labels up to `count`. Not modified.
    count : int
        Highest label.

    Returns
    -------
    ndarray of shape (count,), dtype object
        Shapely geometries in pixels, (0, 0) covering [0, 1) x [0, 1): a Polygon, with holes where the label has them; a
        MultiPolygon where it has pieces; None for a label without pixels.

    Examples
    --------
    >>> square = np.zeros((4, 4), np.int32)
    >>> square[1:3, 1:3] = 1
    >>> outlines(square, 1)[0].area
    3.5
    """
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return np.asarray(shapely.from_wkb(trace(labels, areas).wkb()))


def _contours(labels: NDArray[Any]) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Chains of pixels around each label, and which label: the pixels where the direction changes, x before y."""
    if not labels.any():
        return [], np.zeros(0, np.int32)
    padded = cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    first = np.array([contour[0, 0] for contour in contours])
    label = padded[first[:, 1], first[:, 0]]
    around = np.flatnonzero(label)  # the others are chains of background, inside of it
    return [np.asarray(contours[k]) for k in around.tolist()], label[around]


def _with_holes(labels: NDArray[np.int32], label: int) -> BaseGeometry:
    """Trace one label that has pieces or holes: what an odd number of its rings encloses."""
    rows, cols = (np.flatnonzero((labels == label).any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(cols[0])
    mask = labels[top : rows[-1] + 1, left : cols[-1] + 1] == label
    xy, size = _rings(_contours(mask.view(np.uint8))[0])
    polygons = shapely.from_wkb(Outlines(xy + np.array([left, top]), size).wkb())
    return reduce(shapely.symmetric_difference, polygons)


def _rings(chains: list[NDArray[Any]]) -> tuple[Points, NDArray[np.intp]]:
    """Turn chains of pixels, of shape (n, 1, 2), into rings: their vertices, and how many each has."""
    lengths = np.array([len(chain) for chain in chains], np.intp)
    if not len(lengths):
        return np.zeros((0, 2)), lengths
    points = np.concatenate(chains)[:, 0] - 1  # they are of an image padded by one pixel
    ends = np.cumsum(lengths)
    starts = ends - lengths
    step = np.empty_like(points)
    np.subtract(points[1:], points[:-1], out=step[:-1])
    step[ends - 1] = points[starts] - points[ends - 1]
    np.sign(step, out=step)
    out = _DIRECTION.ravel()[step[:, 1] * 3 + step[:, 0] + 4].astype(np.intp)
    out[out < 0] = _SINGLE
    into = np.empty_like(out)
    into[1:] = out[:-1]
    into[starts] = out[ends - 1]
    turn = into * 9 + out
    number = _COUNT[turn]
    which = np.repeat(np.arange(len(points)), number)
    nth = ranges(np.zeros(len(points), np.intp), number)
    xy = points[which] + _PLACE.reshape(-1, 2)[turn[which] * 4 + nth]
    return xy, np.add.reduceat(number, starts)


def _twice_area(closed: Points) -> Points:
    """Twice the signed area between each step and the origin, a cross product."""
    x, y = closed.T
    return np.asarray(x[:-1] * y[1:] - x[1:] * y[:-1])
