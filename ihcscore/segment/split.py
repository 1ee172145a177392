"""Split touching nuclei on a height map: steepest ascent to the summits, then merging over high saddles.

Only whole numbers are compared, and only with neighbours; ties go by raster order, which is the same in every window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.segment.runs import BAND_ROWS, Runs

Ints = NDArray[np.int32]

DOUBLINGS = 5
"""A pixel farther than ``2 ** DOUBLINGS`` steps from its summit belongs to no hill: an ascent has a bounded reach."""

ROUNDS = 4
"""Rounds of merging; each joins every low hill to the one behind its highest saddle."""

HIGHEST = 8191
"""Greatest height: 13 bits, which leave 3 of 16 for a direction and fit twice in an int32."""


def split(height: NDArray[np.uint8] | NDArray[np.uint16], mask: NDArray[np.bool_], depth: int) -> Ints:
    """Label the hills of a height map.

    Each pixel climbs to the highest of its four neighbours until it stands on a summit. Two hills are one if the way
    between them goes down by less than `depth` from the lower summit.

    Parameters
    ----------
    height : ndarray of shape (M, N), dtype uint8 or uint16
        At most 8191; 0 counts as 1. Not modified.
    mask : ndarray of shape (M, N), dtype bool
        Where hills are. Not modified.
    depth : int
        Depth of a saddle below the lower summit from which on it separates, in the units of `height`; >= 1.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        0 outside the mask and too far from a summit. Hills have numbers from 1 on, with gaps, and each is 4-connected;
        where the mask has holes, so may they. An empty mask gives 0 everywhere.

    Raises
    ------
    ValueError
        If the shapes differ, `height` is above 8191 or `depth` below 1.

    Examples
    --------
    >>> height = np.array([[1, 5, 4, 5, 1, 6, 1]], np.uint8)
    >>> split(height, height > 0, depth=2)
    array([[1, 1, 1, 1, 3, 3, 3]], dtype=int32)
    """
    if height.shape != mask.shape or height.ndim != 2:
        raise ValueError(f"expected a height map and a mask of one shape (M, N), found {height.shape} and {mask.shape}")
    if depth < 1:
        raise ValueError(f"depth must be 1 or more, found {depth}")
    if height.dtype != np.uint8 and height.size and height.max() > HIGHEST:
        raise ValueError(f"heights must be at most {HIGHEST}, found {height.max()}")
    found = hills(height, mask, depth)
    return np.ascontiguousarray(found.drawn()[1:-1, 1:-1])


def hills(height: NDArray[np.uint8] | NDArray[np.uint16], mask: NDArray[np.bool_], depth: int) -> Runs:
    """Do as `split`, without its checks, and give the labels as runs of a plane with a margin of one pixel."""
    padded = np.zeros((height.shape[0] + 2, height.shape[1] + 2), np.uint16)
    padded[1:-1, 1:-1] = np.maximum(height, 1) * mask.view(np.uint8)
    plane, summits = _climb(padded)
    runs = Runs.of(plane)
    return runs.renumber(_merge(_borders(plane, runs, padded), summits, depth))


def _climb(height: NDArray[np.uint16]) -> tuple[Ints, Ints]:
    """Hill of each pixel, 0 outside and where the summit is too far; and the height of each hill's summit."""
    position = np.flatnonzero(height > 0)
    count = len(position)
    plane = np.zeros(height.shape, np.int32)
    place = plane.ravel()
    place[position] = np.arange(count, dtype=np.int32)
    steps = np.array([-height.shape[1], -1, 1, height.shape[1], 0], np.int64)
    top = place.take(position + steps.take(_directions(height).take(position), mode="clip"), mode="clip")
    is_summit = top == np.arange(count, dtype=np.int32)
    for _ in range(DOUBLINGS):
        top = top.take(top, mode="clip")
    number = np.cumsum(is_summit, dtype=np.int32)
    number *= is_summit
    place[position] = number.take(top, mode="clip")
    return plane, np.append(0, height.ravel()[position[is_summit]]).astype(np.int32)


def _directions(height: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Where the highest of a pixel and its neighbours lies: 0 above, 1 left, 2 right, 3 below, 4 itself.

    Among equals the pixel itself, else the greatest number. The margin is left at 0.
    """
    out = np.zeros(height.shape, np.uint8)
    for top in range(1, height.shape[0] - 1, BAND_ROWS):
        rows = min(BAND_ROWS, height.shape[0] - 1 - top)
        code = height[top - 1 : top + rows + 1] << np.uint16(3)
        best = code[1:-1, 1:-1] | np.uint16(4)
        around = (code[:-2, 1:-1], code[1:-1, :-2], code[1:-1, 2:], code[2:, 1:-1])
        for direction, near in enumerate(around):
            np.maximum(best, near | np.uint16(direction), out=best)
        np.bitwise_and(best, 7, out=out[top : top + rows, 1:-1], casting="unsafe")
    return out


@dataclass(frozen=True)
class _Borders:
    """Pairs of neighbouring pixels on two hills: the hills, and the lower height of the two pixels."""

    one: Ints
    other: Ints
    saddle: Ints

    def keep(self, chosen: NDArray[np.bool_]) -> "_Borders":
        return _Borders(self.one[chosen], self.other[chosen], self.saddle[chosen])


def _borders(plane: Ints, runs: Runs, height: NDArray[np.uint16]) -> _Borders:
    """All borders between hills: those side by side in raster order, then those one above the other."""
    flat, heights, width = plane.ravel(), height.ravel(), plane.shape[1]
    left = runs.start[1:][np.flatnonzero((runs.label[:-1] > 0) & (runs.label[1:] > 0))] - 1
    upper = np.concatenate([_changes_below(flat, top, width) for top in range(0, plane.shape[0] - 1, BAND_ROWS)])
    here, there = np.append(left, upper), np.append(left + 1, upper + width)
    return _Borders(flat[here], flat[there], np.minimum(heights[here], heights[there]).astype(np.int32))


def _changes_below(flat: Ints, top: int, width: int) -> NDArray[np.int64]:
    """Flat index of each pixel of a band of rows that is on another hill than the pixel below it."""
    band = flat[top * width : (top + BAND_ROWS + 1) * width]
    here, under = band[:-width], band[width:]
    change = np.flatnonzero(here != under)
    return change[(here[change] > 0) & (under[change] > 0)] + top * width


def _merge(borders: _Borders, summits: Ints, depth: int) -> Ints:
    """New number of each hill: that of the highest hill it is one with."""
    number = np.arange(len(summits), dtype=np.int32)
    for _ in range(ROUNDS):
        lower = np.minimum(summits[borders.one], summits[borders.other])
        # summits only grow as hills merge: what is too deep now stays so
        borders = borders.keep((lower - borders.saddle < depth) & (borders.one != borders.other))
        parent = _parents(borders, summits)
        number = parent[number]
        borders = _Borders(parent[borders.one], parent[borders.other], borders.saddle)
    return number


def _parents(borders: _Borders, summits: Ints) -> Ints:
    """The hill each hill joins: the higher one behind its highest saddle."""
    one, other = summits[borders.one], summits[borders.other]
    first = (one > other) | ((one == other) & (borders.one < borders.other))
    low, high = np.where(first, borders.other, borders.one), np.where(first, borders.one, borders.other)
    rank = borders.saddle * np.int32(HIGHEST + 1) + np.maximum(one, other)
    best = np.full(len(summits), -1, np.int32)
    np.maximum.at(best, low, rank)
    wins = np.flatnonzero(rank == best[low])[::-1]  # among equals the first is written last
    parent = np.arange(len(summits), dtype=np.int32)
    parent[low[wins]] = high[wins]
    for _ in range(DOUBLINGS):
        parent = parent[parent]
    return parent
