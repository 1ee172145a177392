"""Label images to polygons.

An outline runs through the middles of the pixel edges between a label and what is not that label, so it turns corners
at 45 degrees. Every pixel centre lies on the side its label says; the enclosed area is the label's pixel count less
half a pixel for each piece, plus half a pixel for each hole.
"""

from functools import reduce
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

# Freeman directions as OpenCV walks them: E, SE, S, SW, W, NW, N, NE in (dx, dy), y down.
_STEP_TO_DIRECTION = np.full((3, 3), -1, np.int8)
_STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
for _number, (_dx, _dy) in enumerate(_STEPS):
    _STEP_TO_DIRECTION[_dy + 1, _dx + 1] = _number
# Midpoint of the pixel's edge facing E, S, W, N, from the pixel's upper left corner.
_EDGE = np.array([(1.0, 0.5), (0.5, 1.0), (0.0, 0.5), (0.5, 0.0)])


def _sweeps() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges passed at a pixel entered by direction i and left by direction o: how many, and which (-1 pads).

    OpenCV walks an outer contour counter-clockwise on screen, so what lies outside is at the walker's right hand. The
    sweep starts behind the walker and passes the right hand, by falling direction number, until it meets the way out.
    """
    count = np.zeros((8, 8), np.int64)
    edges = np.full((8, 8, 4), -1, np.int64)
    for i in range(8):
        back = (i + 4) % 8
        for o in range(8):
            turn = (back - o) % 8 or 8
            passed = [(back - step) % 8 for step in range(1, turn)]
            faces = [direction // 2 for direction in passed if direction % 2 == 0]
            count[i, o] = len(faces)
            edges[i, o, : len(faces)] = faces
    return count, edges


_COUNT, _EDGES = _sweeps()


def outlines(labels: NDArray[np.int32], count: int) -> NDArray[np.object_]:
    """Trace the outline of every label.

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
    shapes = np.full(count, None, dtype=object)
    if count == 0 or not labels.any():
        return shapes
    padded = np.pad(labels, 1).astype(np.int32)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    first = np.array([contour[0, 0] for contour in contours])
    label = padded[first[:, 1], first[:, 0]]
    keep = np.flatnonzero(label > 0)
    rings, areas = _rings([np.asarray(contours[k])[:, 0] for k in keep.tolist()])
    shapes[label[keep] - 1] = shapely.polygons(rings)
    # One ring encloses all but half a pixel. Where it does not, the label has pieces or holes.
    pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    number = np.bincount(label[keep], minlength=count + 1)[1:]
    enclosed = np.bincount(label[keep], np.abs(areas), minlength=count + 1)[1:]
    for k in np.flatnonzero((number > 1) | (enclosed != np.where(pixels > 0, pixels - 0.5, 0))):
        shapes[k] = _with_holes(labels == k + 1)
    return shapes


def _with_holes(mask: NDArray[np.bool_]) -> BaseGeometry:
    """Trace one label that has pieces or holes: what an odd number of its rings encloses."""
    padded = np.pad(mask, 1).astype(np.uint8)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings, _ = _rings([np.asarray(contour)[:, 0] for contour in contours])
    return reduce(shapely.symmetric_difference, shapely.polygons(rings))


def _rings(contours: list[NDArray[Any]]) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Turn chains of pixels into rings through edge midpoints, and give their signed areas.

    The chains hold the pixels where the direction changes; in between, the midpoints passed lie on a line.
    """
    lengths = np.array([len(c) for c in contours])
    points = np.concatenate(contours)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    following = np.arange(1, len(points) + 1)
    following[ends - 1] = starts
    step = np.sign(points[following] - points)
    out = _STEP_TO_DIRECTION[step[:, 1] + 1, step[:, 0] + 1].astype(np.int64)
    into = np.empty_like(out)
    into[following] = out
    number = _COUNT[into, out]
    faces = _EDGES[into, out]
    single = out < 0
    number[single], faces[single] = 4, np.array([3, 2, 1, 0])
    which = np.repeat(np.arange(len(points)), number)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number)
    vertices = points[which] - 1 + _EDGE[faces[which, nth]]  # the image was padded by one pixel
    ring = np.repeat(np.arange(len(contours)), lengths)[which]
    vertices, ring = _without_collinear(vertices, ring)
    area = _signed_area(vertices, ring, len(contours))
    return shapely.linearrings(vertices, indices=ring), area


def _neighbours(ring: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the vertex before and after each one, in its own ring."""
    total = len(ring)
    opens = np.r_[True, ring[1:] != ring[:-1]]
    closes = np.r_[opens[1:], True]
    before, after = np.arange(total) - 1, np.arange(total) + 1
    before[opens] = np.flatnonzero(closes)
    after[closes] = np.flatnonzero(opens)
    return before, after


def _without_collinear(
    vertices: NDArray[np.float64], ring: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    before, after = _neighbours(ring)
    a, b = vertices - vertices[before], vertices[after] - vertices
    bends = a[:, 0] * b[:, 1] != a[:, 1] * b[:, 0]
    return vertices[bends], ring[bends]


def _signed_area(vertices: NDArray[np.float64], ring: NDArray[np.int64], rings: int) -> NDArray[np.float64]:
    _, after = _neighbours(ring)
    x, y = vertices.T
    return np.asarray(np.bincount(ring, (x * y[after] - x[after] * y) / 2, minlength=rings), np.float64)
