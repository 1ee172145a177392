"""The image with its cells drawn on it."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.cells.contours import rings_of
from ihcscore.io.atomic import write_bytes
from ihcscore.io.slides.base import Slide
from ihcscore.results.writers.colors import CLASS_COLORS, LEFT_OUT_COLOR
from ihcscore.results.writers.png import encode_png
from ihcscore.scoring.regions import NO_REGIONS, RegionSet
from ihcscore.table.schema import CLASS_COLUMN, LEFT_OUT_COLUMN, UNMEASURABLE

DRAWN = ("nucleus_wkb", CLASS_COLUMN, LEFT_OUT_COLUMN)
"""Columns of the cell table that are drawn."""
LARGEST_SIDE = 4096
SHORTEST_SIDE = 1024
FONT = cv2.FONT_HERSHEY_SIMPLEX
SHIFT = 4
"""Bits of a pixel's fraction in OpenCV's drawing coordinates."""
BAR_LENGTHS_UM = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
PAPER, INK = (255, 255, 255), (30, 30, 30)


def overlay(
    rgb: NDArray[np.uint8], cells: pd.DataFrame, mpp: float, regions: RegionSet = NO_REGIONS
) -> NDArray[np.uint8]:
    """Draw the nuclei of classed cells onto their image, with legend and scale bar below it.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Level-0 image. Not modified.
    cells : DataFrame
        Cell table with classes.
    mpp : float
        um per level-0 pixel.
    regions : RegionSet
        Drawn in black.

    Returns
    -------
    ndarray of shape (H, W, 3), dtype uint8
        RGB; reduced to at most 4096 pixels a side, small images enlarged by a whole number. Cells that are left out of
        the score are gray.
    """
    height, width, zoom = _fitted(rgb)
    colors = {**CLASS_COLORS, "left out": LEFT_OUT_COLOR}
    counts = (cells[LEFT_OUT_COLUMN] == "") | (cells[CLASS_COLUMN] == UNMEASURABLE)
    drawn = np.where(counts, cells[CLASS_COLUMN], "left out")
    footer = _footer(width, {name: int((drawn == name).sum()) for name in colors}, colors, mpp / zoom)
    canvas = np.empty((height + len(footer), width, 3), np.uint8)
    canvas[height:] = footer
    picture = canvas[:height]
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    picture[:] = rgb if zoom == 1 else cv2.resize(rgb, (width, height), interpolation=how)
    for name, color in colors.items():
        rings = _rings(cells["nucleus_wkb"].array[drawn == name], zoom)
        cv2.polylines(picture, rings, True, color, max(1, round(zoom)), cv2.LINE_AA, SHIFT)
    drawn_regions = np.array([shapely.to_wkb(region.geometry) for region in regions.regions], object)
    outlines = _rings(drawn_regions, zoom)
    cv2.polylines(picture, outlines, True, INK, max(2, round(2 * zoom)), cv2.LINE_AA, SHIFT)
    return canvas


def write_overlay(path: Path, slide: Slide, tables: Iterable[pd.DataFrame], regions: RegionSet) -> None:
    """Write an image with its cells and regions as PNG. Raises OutputError if it cannot be written."""
    width, height = slide.dimensions
    rgb = slide.read_level(0, (0, 0, height, width))
    cells = pd.concat([table[list(DRAWN)] for table in tables], ignore_index=True)
    write_bytes(path, encode_png(overlay(rgb, cells, slide.mpp, regions)))


def _fitted(rgb: NDArray[np.uint8]) -> tuple[int, int, float]:
    """Height and width of the picture, and its pixels for each of the image's."""
    height, width = rgb.shape[:2]
    longest = max(height, width)
    if longest > LARGEST_SIDE:
        zoom = LARGEST_SIDE / longest
        return max(1, round(height * zoom)), max(1, round(width * zoom)), zoom
    times = min(8, max(1, SHORTEST_SIDE // longest))
    return height * times, width * times, float(times)


def _rings(wkb: Any, zoom: float) -> list[NDArray[np.int32]]:
    """Rings of polygons in OpenCV's drawing coordinates, where pixel centers are whole."""
    xy, size = rings_of(wkb)
    boundary = shapely.get_rings(shapely.get_parts(shapely.from_wkb(np.asarray(wkb[size == 0], object))))
    others, of = shapely.get_coordinates(boundary, return_index=True)
    fixed = np.rint((np.concatenate([xy, others]) * zoom - 0.5) * 2**SHIFT).astype(np.int32)
    stop = np.cumsum(np.concatenate([size[size > 0], np.bincount(of)]))
    return [fixed[a:b] for a, b in zip([0, *stop[:-1].tolist()], stop.tolist(), strict=False)]


def _footer(
    width: int, counts: dict[str, int], colors: dict[str, tuple[int, int, int]], mpp: float
) -> NDArray[np.uint8]:
    size = min(1.0, max(0.4, width / 1600))
    line = round(34 * size)
    entries = [
        (f"{name} {counts[name]}", colors[name]) for name in colors if counts[name] or name in ("Negative", "3+")
    ]
    lines = _wrapped(entries, width, size, line)
    footer = np.full((line * (len(lines) + 1) + line // 2, width, 3), PAPER, np.uint8)
    for row, placed in enumerate(lines):
        y = round(line * (row + 0.95))
        for x, text, color in placed:
            cv2.rectangle(footer, (x, y - round(16 * size)), (x + round(18 * size), y), color, -1)
            cv2.putText(
                footer, text, (x + round(26 * size), y), FONT, 0.7 * size, INK, max(1, round(size)), cv2.LINE_AA
            )
    scale_bar(footer, mpp, size, line * len(lines) + line // 2)
    return footer


def _wrapped(
    entries: list[tuple[str, tuple[int, int, int]]], width: int, size: float, line: int
) -> list[list[tuple[int, str, tuple[int, int, int]]]]:
    lines: list[list[tuple[int, str, tuple[int, int, int]]]] = [[]]
    x = line // 2
    for text, color in entries:
        (length, _), _ = cv2.getTextSize(text, FONT, 0.7 * size, 1)
        needed = round(26 * size) + length + line
        if lines[-1] and x + needed > width:
            lines.append([])
            x = line // 2
        lines[-1].append((x, text, color))
        x += needed
    return lines


def scale_bar(footer: NDArray[np.uint8], mpp: float, size: float, top: int) -> None:
    """Draw a bar of a round length, about a fifth of the width; `footer` is the picture being made."""
    target = footer.shape[1] * mpp / 5
    um = max((length for length in BAR_LENGTHS_UM if length <= target), default=BAR_LENGTHS_UM[0])
    left, right = round(17 * size), round(17 * size) + math.ceil(um / mpp)
    y = top + round(10 * size)
    cv2.rectangle(footer, (left, y - max(1, round(3 * size))), (right, y + max(1, round(3 * size))), INK, -1)
    cv2.putText(
        footer, f"{um} um", (right + round(10 * size), y + round(6 * size)), FONT, 0.6 * size, INK, 1, cv2.LINE_AA
    )
