"""Distribution of hematoxylin: chromatin, cytoplasm, fibers."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid, lognormal, smooth, streaks
from ihcscore.phantom.labels import centroids_px, depth, per_label
from ihcscore.phantom.layout import LYMPHOCYTE, MACROPHAGE, STROMA, TUMOR, Layout
from ihcscore.phantom.scene import Scene

KIND_GAIN = {TUMOR: 1.0, STROMA: 1.15, LYMPHOCYTE: 1.35, MACROPHAGE: 0.6}
"""Condensed chromatin of stroma nuclei and lymphocytes takes more dye; a macrophage's lies under its granules."""
RIM_UM = 0.5
RIM_SLOPE_UM = 1.3
"""A clear center begins this far inside the outline and is full after the slope."""
MAX_NUCLEOLI = 4
TISSUE_SHARE = 0.25
"""Part of `stroma_hematoxylin_od` that lies evenly on all tissue; the rest is in the fibers."""


@dataclass(frozen=True)
class Chromatin:
    """Hematoxylin of the nuclei before the optics.

    Parameters
    ----------
    od : ndarray of shape (M, N), dtype float32
        Hematoxylin OD of nuclei, 0 elsewhere.
    pattern : ndarray of shape (M, N), dtype float32
        Relative density of chromatin, about 1: rims, clumps, clear centers.
    deep : ndarray of shape (M, N), dtype float32
        How far out of focus the pixel's cell lies, 0 to 1.
    """

    od: NDArray[np.float32]
    pattern: NDArray[np.float32]
    deep: NDArray[np.float32]


def chromatin(rng: np.random.Generator, scene: Scene) -> Chromatin:
    """Stain the nuclei.

    Parameters
    ----------
    scene : Scene
        Uses `hematoxylin_od`, `hematoxylin_spread`, `vesicular_share`, `clearing`, `chromatin`, `chromatin_um`,
        `nucleoli`, `deep_share`.
    """
    grid, layout, drawn = scene.grid, scene.layout, scene.drawn
    kind = layout.kind
    od = drawn["hematoxylin_od"] * np.exp(drawn["hematoxylin_spread"] * layout.normal(rng))
    od = od * np.array([KIND_GAIN[int(k)] for k in kind], np.float64)
    vesicular = (layout.uniform(rng) < drawn["vesicular_share"]) & (kind == TUMOR)
    clear = np.where(vesicular, layout.uniform(rng, 0.6, 1.1), layout.uniform(rng, 0, 0.3))
    clear = np.clip(drawn["clearing"] * clear, 0, 0.9)
    far = layout.uniform(rng) < drawn["deep_share"]
    focus = np.where(far, layout.uniform(rng, 0.6, 1.0), layout.uniform(rng, 0, 0.25))
    focus = focus * (drawn["deep_share"] > 0)
    inside = np.clip((depth(layout.nuclei, grid) - RIM_UM) / RIM_SLOPE_UM, 0, 1)
    clumps = lognormal(rng, grid, drawn["chromatin_um"], drawn["chromatin"])
    clumps *= lognormal(rng, grid, 2.5 * drawn["chromatin_um"], 0.6 * drawn["chromatin"])
    pattern = (1 - per_label(clear, layout.nuclei) * inside) * clumps
    pattern += _nucleoli(rng, grid, layout, np.where(vesicular, 1.0, 0.25) * drawn["nucleoli"]) * inside
    # a clear center gathers its dye at the rim: part of what it loses comes back
    level = per_label(od * (1 + 0.4 * clear), layout.nuclei)
    hidden = per_label(0.5 * od, layout.under)
    stained = (level * pattern + hidden) * (layout.nuclei > 0)
    return Chromatin(stained.astype(np.float32), pattern.astype(np.float32), per_label(focus, scene.cells.cells))


def surroundings(rng: np.random.Generator, scene: Scene) -> NDArray[np.float32]:
    """Stain what is not nucleus: haze of cytoplasm, fibers of stroma.

    Parameters
    ----------
    scene : Scene
        Uses `cytoplasm_hematoxylin_od`, `stroma_hematoxylin_od`.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        Hematoxylin OD on all tissue.
    """
    grid, tissue, drawn, cells = scene.grid, scene.tissue, scene.drawn, scene.cells.cells
    # a nest is filled with cytoplasm, cell or not; each cell differs a little, so that neighbors can be distinguished
    own = np.exp(0.4 * scene.layout.normal(rng)) * (scene.layout.kind != STROMA)
    nest = (~tissue.glass & ~tissue.stroma) | (cells > 0)
    filled = cv2.GaussianBlur(nest.astype(np.float32), (0, 0), 1.0 / grid.mpp)
    haze = (0.65 * filled + 0.35 * per_label(own, cells)) * lognormal(rng, grid, 0.9, 0.3)
    haze = haze * np.float32(drawn["cytoplasm_hematoxylin_od"])
    along = tissue.across + np.float32(np.pi / 2) + 0.5 * smooth(rng, grid, 25.0)
    fibre = np.clip(0.8 * streaks(rng, grid, along.astype(np.float32), 0.7, 25.0), 0, 1.3)
    fibre *= np.clip(0.6 + 0.4 * smooth(rng, grid, 15.0), 0, 1.3)
    weave = cv2.GaussianBlur(tissue.stroma.astype(np.float32), (0, 0), 1.5 / grid.mpp)
    floor = TISSUE_SHARE * scene.on_tissue() * (1 + 0.4 * smooth(rng, grid, 6.0))
    ground = drawn["stroma_hematoxylin_od"] * (floor + (1 - TISSUE_SHARE) * weave * fibre)
    return np.asarray(np.clip(haze + ground, 0, None), dtype=np.float32)


def _nucleoli(
    rng: np.random.Generator, grid: Grid, layout: Layout, mean_count: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Draw small dense bodies around the center of each nucleus."""
    dots = np.zeros(grid.shape, np.float32)
    x, y = centroids_px(layout.nuclei)
    radius = np.sqrt(np.bincount(layout.nuclei.ravel(), minlength=len(x) + 1)[1:] / np.pi)
    for _ in range(MAX_NUCLEOLI):
        present = layout.uniform(rng) < mean_count / MAX_NUCLEOLI
        dx, dy = 0.3 * layout.normal(rng) * radius, 0.3 * layout.normal(rng) * radius
        size = np.maximum(layout.uniform(rng, 0.45, 0.95) / grid.mpp, 0.8)
        height = layout.uniform(rng, 0.4, 1.0)
        for i in np.flatnonzero(present):
            center = round((x[i] - 0.5 + dx[i]) * 16), round((y[i] - 0.5 + dy[i]) * 16)
            cv2.circle(dots, center, round(size[i] * 16), float(height[i]), -1, cv2.LINE_8, 4)
    return np.asarray(cv2.GaussianBlur(dots, (0, 0), 0.3 / grid.mpp), dtype=np.float32)
