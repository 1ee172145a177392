"""Trace the outlines of labels as polygons.

An outline runs through the middles of the pixel edges between a label and what is not that label, so it turns corners
at 45 degrees. Every pixel center lies on the side its label says; the enclosed area is the label's pixel count less
half a pixel for each piece, plus half a pixel for each hole.
"""

import struct
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from pandas.arrays import ArrowExtensionArray
from shapely.geometry.base import BaseGeometry

from ihcscore.cells.label_runs import LabelRuns
from ihcscore.kernels.contours import trace_labels, write_polygons
from ihcscore.table.arrow_columns import bytes_and_lengths, bytes_column

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Outlines:
    """The outlines of labels 1..count, in pixels, (0, 0) covering [0, 1) x [0, 1).

    Parameters
    ----------
    xy : ndarray of shape (n, 2), dtype float64
        Vertices of one ring after the other, the first of each repeated at its end.
    size : ndarray of shape (count,), dtype int64
        Vertices of each label's ring in `xy`; 0 for a label without pixels and for those in `others`.
    area, length : ndarray of shape (count,), dtype float64
        Area and perimeter of each, with that of holes, in pixels; 0 for a label without pixels.
    others : dict of int to shapely geometry
        Outlines, by label, of labels that have holes or pieces: Polygon or MultiPolygon.
    """

    xy: Points
    size: NDArray[np.int64]
    area: Points
    length: Points
    others: dict[int, BaseGeometry] = field(default_factory=dict)

    def wkb(self, origin: tuple[float, float] = (0, 0), scale: float = 1) -> ArrowExtensionArray:
        """Write the outlines as well-known binary.

        Parameters
        ----------
        origin : tuple of 2 float
            x and y that are added to the coordinates.
        scale : float
            What these are multiplied by then.

        Returns
        -------
        ArrowExtensionArray of length count, dtype `ihcscore.table.arrow_columns.BYTES`
            Little-endian; missing for a label without pixels.
        """
        missing = self.size == 0
        letters, stop = write_polygons(self.xy, self.size, origin, scale, _POLYGON_HEAD.size)
        if self.others:
            at = np.array(sorted(self.others)) - 1
            shapes = np.array([self.others[k + 1] for k in at.tolist()], object)
            moved = shapely.transform(shapes, lambda xy: (xy + np.array(origin)) * scale)
            written, length = bytes_and_lengths(shapely.to_wkb(moved, byte_order=1))
            letters = np.insert(letters, np.repeat(stop[at], length), written)
            more = np.zeros(len(self.size), np.int64)
            more[at] = length
            stop, missing[at] = stop + np.cumsum(more), False
        return bytes_column(letters, stop, missing if missing.any() else None)


_POLYGON_HEAD = struct.Struct("<BIII")
"""Byte order, geometry type, number of rings, number of points of the first ring."""


def trace(spans: LabelRuns) -> Outlines:
    """Trace the outlines of labels.

    Parameters
    ----------
    spans : LabelRuns
        Of labels 1..count.
    """
    xy, size, area, length = _rings(spans, joined=True, whole=True)
    others = {int(k) + 1: _with_holes(spans, int(k)) for k in np.flatnonzero((spans.number > 0) & (size == 0))}
    for label, shape in others.items():
        area[label - 1], length[label - 1] = shape.area, shape.length
    return Outlines(xy, size, area, length, others)


def _rings(spans: LabelRuns, *, joined: bool, whole: bool) -> tuple[Points, NDArray[np.int64], Points, Points]:
    """Trace the piece of each label that has its first pixel.

    Parameters
    ----------
    joined : bool
        Whether pixels that meet at a corner only are connected.
    whole : bool
        Whether labels with holes or other pieces are left out.

    Returns
    -------
    xy, size, area, length
        As of `Outlines`; 0 for what is left out or has no pixels.
    """
    xy, size, measures = trace_labels(spans.arrays, joined=joined, whole=whole)
    return xy, size, np.abs(measures[:, 2]) / 8, measures[:, 0] + np.sqrt(0.5) * measures[:, 1]


def rings_of(wkb: Any) -> tuple[Points, NDArray[np.int64]]:
    """Read the outlines that are one ring, as nearly all are.

    Parameters
    ----------
    wkb : Series, or array or sequence of bytes
        n values, as `Outlines.wkb` writes them.

    Returns
    -------
    xy : ndarray of shape (v, 2), dtype float64
        Vertices of one ring after the other, the first of each repeated at its end.
    size : ndarray of shape (n,), dtype int64
        Vertices of each outline's ring; 0 if it has holes or pieces.

    Examples
    --------
    >>> wkb = shapely.to_wkb(np.array([shapely.box(0, 0, 1, 1), shapely.MultiPolygon()]), byte_order=1)
    >>> rings_of(wkb)[1]
    array([5, 0])
    """
    data, length = bytes_and_lengths(wkb)
    start = np.cumsum(length) - length
    head = data[start[:, None] + np.arange(_POLYGON_HEAD.size - 4)]
    plain = (head == np.frombuffer(_POLYGON_HEAD.pack(1, 3, 1, 0)[:-4], np.uint8)).all(axis=1)
    size = np.where(plain, (length - _POLYGON_HEAD.size) // 16, 0)
    wanted = np.repeat(plain, length)
    wanted[start[plain, None] + np.arange(_POLYGON_HEAD.size)] = False
    return data[wanted].view("<f8").reshape(-1, 2), size


def boxes_of(wkb: Any) -> Points:
    """Return the bounding boxes of outlines.

    Parameters
    ----------
    wkb : Series, or array or sequence of bytes
        n values, as `Outlines.wkb` writes them.

    Returns
    -------
    ndarray of shape (n, 4), dtype float64
        Least x and y, greatest x and y.

    Examples
    --------
    >>> boxes_of(shapely.to_wkb(np.array([shapely.box(0, 1, 2, 3)]), byte_order=1))
    array([[0., 1., 2., 3.]])
    """
    xy, size = rings_of(wkb)
    plain = size > 0
    boxes = np.empty((len(size), 4))
    first = (np.cumsum(size) - size)[plain]
    for ends, least in ((np.minimum, 0), (np.maximum, 2)):
        boxes[plain, least : least + 2] = ends.reduceat(xy, first) if len(first) else np.empty((0, 2))
    boxes[~plain] = shapely.bounds(shapely.from_wkb(np.asarray(wkb, object)[~plain]))
    return boxes


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
    wkb = trace(LabelRuns.of(labels, count)).wkb()
    shapes = np.full(count, None, object)
    shapes[~wkb.isna()] = shapely.from_wkb(np.asarray(wkb[~wkb.isna()], object))
    return shapes


def _with_holes(spans: LabelRuns, k: int) -> BaseGeometry:
    """Trace label k + 1, which has pieces or holes: the area enclosed by an odd number of its rings."""
    mask, (top, left) = spans.drawn(k)
    mask = np.pad(mask, 1)
    polygons: list[BaseGeometry] = []
    for of, joined in ((mask, True), (~mask, False)):
        count, found = cv2.connectedComponents(of.view(np.uint8), connectivity=8 if joined else 4)
        pieces = np.asarray(found, np.int32)
        if not joined:
            pieces[pieces == pieces[0, 0]] = 0  # what lies around is no hole
        xy, size, *_ = _rings(LabelRuns.of(pieces, count - 1), joined=joined, whole=False)
        rings = np.split(xy + np.array([left - 1, top - 1]), np.cumsum(size))[:-1]
        polygons += [shapely.Polygon(ring) for ring in rings if len(ring)]
    return reduce(shapely.symmetric_difference, polygons)
