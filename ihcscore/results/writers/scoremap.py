"""A slide in small with its regions, and its score from place to place."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.geometry import frame_for
from ihcscore.io.atomic import write_bytes
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.base import Slide
from ihcscore.results.writers.colors import CLASS_COLORS
from ihcscore.results.writers.overlay import FONT, INK, LARGEST_SIDE, PAPER, SHIFT, scale_bar
from ihcscore.results.writers.png import encode_png
from ihcscore.scoring.regions import RegionSet
from ihcscore.table.schema import CLASS_COLUMN, CLASSES, LEFT_OUT_COLUMN

SQUARE_UM = 250.0
"""Side of the squares that are scored: a field of view at 40 x is about as large."""
FEWEST_CELLS = 20
"""A square with fewer scored cells shows no score."""
STRENGTH = 0.45
"""How much of the picture the color of the score takes."""
SMALLEST_SIDE = 1024
"""A level of the slide is shown as it is, if its longer side is from this to 4096 pixels."""
REGION_COLOR = (20, 20, 20)
MAPPED = ("x_um", "y_um", CLASS_COLUMN, LEFT_OUT_COLUMN)
"""Columns of the cell table that are shown."""


def write_score_map(path: Path, slide: Slide, tables: Iterable[pd.DataFrame], regions: RegionSet) -> None:
    """Write a thumbnail of a slide with its regions and a map of its H-score as PNG, at most 4096 pixels a side.

    Raises OutputError if it cannot be written.
    """
    width, height = slide.dimensions
    frame = frame_for(width, height, mpp=slide.mpp, working_mpp=slide.mpp * _reduction(slide))
    picture = WorkingImage(slide, frame).read((0, 0, *frame.shape))
    grid = score_grid(tables, (width * slide.mpp, height * slide.mpp))
    write_bytes(path, encode_png(score_map(picture, frame.working_mpp, frame.scale, grid, regions)))


def _reduction(slide: Slide) -> float:
    """Choose how much smaller the picture is: as a level of the slide, if one makes a picture that is large enough."""
    longest = max(slide.dimensions)
    least = max(1.0, longest / LARGEST_SIDE)
    fitting = [factor for factor in slide.level_downsamples if least <= factor <= longest / SMALLEST_SIDE]
    return min(fitting, default=least)


def score_grid(tables: Iterable[pd.DataFrame], size_um: tuple[float, float]) -> NDArray[np.float64]:
    """Compute the H-score of each square of a slide.

    Parameters
    ----------
    tables : iterable of DataFrame
        Classed cells.
    size_um : tuple of float
        Width and height of the slide.

    Returns
    -------
    ndarray of shape (M, N), dtype float64
        NaN where too few cells count.
    """
    cols, rows = (max(1, int(np.ceil(length / SQUARE_UM))) for length in size_um)
    total, weighted = np.zeros(rows * cols), np.zeros(rows * cols)
    weight = {name: k for k, name in enumerate(CLASSES)}
    for cells in tables:
        scored = cells[cells[LEFT_OUT_COLUMN] == ""]
        x, y = ((scored[name].to_numpy() // SQUARE_UM).astype(int) for name in ("x_um", "y_um"))
        at = y.clip(0, rows - 1) * cols + x.clip(0, cols - 1)
        total += np.bincount(at, minlength=rows * cols)
        weighted += np.bincount(at, scored[CLASS_COLUMN].map(weight).to_numpy(float), rows * cols)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = 100 * weighted / total
    return np.asarray(np.where(total >= FEWEST_CELLS, score, np.nan).reshape(rows, cols))


def score_map(
    picture: NDArray[np.uint8], um_per_px: float, level0_per_px: float, grid: NDArray[np.float64], regions: RegionSet
) -> NDArray[np.uint8]:
    """Draw squares colored by their H-score, regions, a legend and a scale bar onto a slide in small.

    Parameters
    ----------
    picture : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    um_per_px, level0_per_px : float
        Size of its pixels.
    grid : ndarray of shape (K, L)
        As `score_grid` gives it.

    Returns
    -------
    ndarray of shape (H, N, 3), dtype uint8
    """
    height, width, _ = picture.shape
    rows = np.minimum(((np.arange(height) + 0.5) * um_per_px / SQUARE_UM).astype(int), grid.shape[0] - 1)
    cols = np.minimum(((np.arange(width) + 0.5) * um_per_px / SQUARE_UM).astype(int), grid.shape[1] - 1)
    colors = score_colors(grid)
    out = np.empty_like(picture)
    for top in range(0, height, 256):
        band = slice(top, min(top + 256, height))
        score = colors[rows[band]][:, cols]
        shown = np.isfinite(grid)[rows[band]][:, cols][..., None]
        mixed = picture[band] * (1 - STRENGTH) + score * STRENGTH
        out[band] = np.where(shown, np.rint(mixed), picture[band]).astype(np.uint8)
    line = max(2, round(width / 1000))
    for region in regions.regions:
        for part in shapely.get_parts(region.geometry):
            for ring in shapely.get_rings(part):
                xy = np.rint((shapely.get_coordinates(ring) / level0_per_px - 0.5) * 2**SHIFT).astype(np.int32)
                cv2.polylines(out, [xy], True, REGION_COLOR, line, cv2.LINE_AA, SHIFT)
    return np.concatenate([out, _footer(width, um_per_px)])


def score_colors(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate the color of H-scores between those of the classes; shape (..., 3)."""
    stops = np.array([CLASS_COLORS[name] for name in CLASSES], np.float64)
    value = np.nan_to_num(score) / 100
    return np.stack([np.interp(value, range(len(stops)), stops[:, k]) for k in range(3)], axis=-1)


def _footer(width: int, um_per_px: float) -> NDArray[np.uint8]:
    size = min(1.0, max(0.4, width / 1600))
    footer = np.full((round(110 * size), width, 3), PAPER, np.uint8)
    left, length, top = round(17 * size), round(min(300 * size, width / 3)), round(12 * size)
    bar = score_colors(np.linspace(0, 300, length))
    footer[top : top + round(18 * size), left : left + length] = np.rint(bar)
    text = f"H-score 0 to 300, squares of {SQUARE_UM:g} um, {FEWEST_CELLS} cells or more"
    at = (left + length + round(12 * size), top + round(16 * size))
    cv2.putText(footer, text, at, FONT, 0.6 * size, INK, max(1, round(size)), cv2.LINE_AA)
    scale_bar(footer, um_per_px, size, round(60 * size))
    return footer
