"""Distribution of DAB."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.cells import Cells
from ihcscore.phantom.fields import lognormal, smooth, streaks
from ihcscore.phantom.labels import centroids_px, depth, per_label
from ihcscore.phantom.layout import MACROPHAGE, TUMOR, Layout
from ihcscore.phantom.scene import Scene

COMPARTMENTS = ("cytoplasm", "membrane", "nucleus")
ARC_END = 0.05
"""Length over which a stained arc fades out, as a share of half the way round."""
MAX_LEVEL_OD = 3.0
"""Denser DAB lets through less than a gray level in every channel."""
HOLE_UM = 2.0
HOLE_DEPTH = 0.85
"""Size of a gap in the DAB, and how much of the DAB it lacks."""
RAGGED_SCALE_UM = 1.6
"""Length over which the border of ragged DAB wanders."""
GRANULE_UM = (0.7, 1.8)
GRANULE_CONTRAST = (0.5, 1.4)
GRANULE_OD = (0.15, 1.5)
"""Of the granules in macrophages: size, standard deviation of the logarithm, mean OD of a body."""
TARGET = {"nuclear": "nucleus", "membranous": "membrane", "cytoplasmic": "cytoplasm"}


def levels(rng: np.random.Generator, scene: Scene) -> NDArray[np.float64]:
    """Draw how strongly each cell expresses the marker.

    Parameters
    ----------
    scene : Scene
        Uses `positive_share`, `stroma_positive_share`, `marker_od`, `marker_spread`, `patchiness`, `patch_um`.

    Returns
    -------
    ndarray of shape (n,), dtype float64
        DAB OD in the marker's compartment, at most `MAX_LEVEL_OD`; 0 for a negative cell and a negative marker.
    """
    grid, layout, drawn = scene.grid, scene.layout, scene.drawn
    x, y = centroids_px(layout.nuclei)
    where = grid.indices(x * grid.mpp, y * grid.mpp)
    alike = drawn["patchiness"]
    mood = np.sqrt(alike) * smooth(rng, grid, drawn["patch_um"])[where] + np.sqrt(1 - alike) * layout.normal(rng)
    own = np.sqrt(alike) * smooth(rng, grid, drawn["patch_um"])[where] + np.sqrt(1 - alike) * layout.normal(rng)
    tumor = layout.kind == TUMOR
    positive = _highest(mood, tumor, drawn["positive_share"])
    others = ~tumor & (layout.kind != MACROPHAGE)
    positive |= _highest(mood, others, drawn["positive_share"] * drawn["stroma_positive_share"])
    level = np.minimum(drawn["marker_od"] * np.exp(drawn["marker_spread"] * own), MAX_LEVEL_OD)
    return np.where(positive & (scene.marker != "negative"), level, 0.0)


def deposit(
    rng: np.random.Generator, scene: Scene, level: NDArray[np.float64], pattern: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Lay down the DAB of all cells and the background.

    Parameters
    ----------
    scene : Scene
        Uses `granularity`, `grain_um`, `completeness`, `nucleus_leak`, `cytoplasm_leak`, `membrane_leak`,
        `background_dab_od`.
    level : ndarray of shape (n,), dtype float64
        From `levels`.
    pattern : ndarray of shape (M, N), dtype float32
        Relative density of chromatin, which the DAB of a nucleus follows in part.

    Returns
    -------
    dab : ndarray of shape (M, N), dtype float32
        DAB OD. In each compartment of each cell the mean is its level times the share of that compartment, plus the
        background and what a hidden neighbor adds; the unstained part of a
        membrane counts as cytoplasm.
    stained : ndarray of shape (M, N), dtype float32, or None
        Weight 1 where a membrane of a positive cell takes stain; None unless the marker is membranous.
    """
    grid, layout, cells, drawn = scene.grid, scene.layout, scene.cells, scene.drawn
    where = _compartments(layout, cells)
    share = [0.0, *(drawn[f"{name}_leak"] for name in COMPARTMENTS)]
    target = TARGET.get(scene.marker, "nucleus")
    share[1 + COMPARTMENTS.index(target)] = 1.0
    grain = lognormal(rng, grid, drawn["grain_um"], drawn["granularity"])
    grain *= lognormal(rng, grid, 3 * drawn["grain_um"], 0.7 * drawn["granularity"])
    texture = np.where(where == 3, grain * np.sqrt(np.maximum(pattern, 0.05)), grain)
    texture = _even(texture, cells.cells, where)
    stained = None
    if scene.marker == "membranous":
        # where a membrane takes no stain it is as brown as the cytoplasm beside it
        stained = _arcs(rng, layout, cells, drawn["completeness"])
        arcs = share[1] + (1 - share[1]) * stained
        texture = np.where(where == 2, texture * arcs, texture)
        stained = stained * per_label((level > 0).astype(np.float64), cells.membranes)
    dab = per_label(level, cells.cells) * np.array(share, np.float32)[where] * texture
    dab += per_label(0.6 * share[3] * level, layout.under)
    unspecific = scene.on_tissue() * np.clip(1 + 0.35 * smooth(rng, grid, 5.0), 0, None)
    return np.asarray(dab + drawn["background_dab_od"] * unspecific, dtype=np.float32), stained


def roughen(rng: np.random.Generator, scene: Scene, dab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tear gaps into the DAB and let it stray over borders.

    Parameters
    ----------
    scene : Scene
        Uses `hole_share`, `ragged_um`.
    dab : ndarray of shape (M, N), dtype float32
        DAB OD. Not modified.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        `dab` itself if both are 0.
    """
    grid, drawn = scene.grid, scene.drawn
    if drawn["hole_share"] > 0:
        field = smooth(rng, grid, HOLE_UM, octaves=2)
        depth = (np.quantile(field[::2, ::2], drawn["hole_share"]) - field) / np.float32(0.4)
        dab = dab * (1 - np.float32(HOLE_DEPTH) * np.clip(depth, 0, 1))
    if drawn["ragged_um"] > 0:
        reach = np.float32(drawn["ragged_um"] / grid.mpp)
        columns, rows = np.meshgrid(np.arange(grid.width, dtype=np.float32), np.arange(grid.height, dtype=np.float32))
        columns += reach * smooth(rng, grid, RAGGED_SCALE_UM)
        rows += reach * smooth(rng, grid, RAGGED_SCALE_UM)
        dab = np.asarray(cv2.remap(dab, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)
    return dab


def unspecific(rng: np.random.Generator, scene: Scene) -> NDArray[np.float32]:
    """Stain what does not express the marker: free edges of the tissue, fibers of the stroma.

    Parameters
    ----------
    scene : Scene
        Uses `edge_dab_od`, `edge_um`, `stroma_dab_od`.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        DAB OD; 0 if both are 0.
    """
    grid, tissue, drawn = scene.grid, scene.tissue, scene.drawn
    dab = np.zeros(grid.shape, np.float32)
    on_tissue = scene.on_tissue()
    if drawn["edge_dab_od"] > 0 and tissue.glass.any():
        away = cv2.distanceTransform((~tissue.glass).astype(np.uint8), cv2.DIST_L2, 5) * np.float32(grid.mpp)
        rim = np.exp(-((away / np.float32(drawn["edge_um"])) ** 2)) * on_tissue
        dab += np.float32(drawn["edge_dab_od"]) * rim * np.clip(0.6 + 0.5 * smooth(rng, grid, 20.0), 0, 1.5)
    if drawn["stroma_dab_od"] > 0:
        along = (tissue.across + np.float32(np.pi / 2) + 0.5 * smooth(rng, grid, 25.0)).astype(np.float32)
        fibre = np.clip(0.5 + 0.5 * streaks(rng, grid, along, 0.8, 25.0), 0, 1.8)
        dab += np.float32(drawn["stroma_dab_od"]) * tissue.stroma * on_tissue * fibre
    return dab


def granules(rng: np.random.Generator, scene: Scene) -> NDArray[np.float32]:
    """Fill macrophages with brown granules, whatever the marker; most leave a paler middle.

    Parameters
    ----------
    scene : Scene
        Its cells of the kind macrophage are filled.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        DAB OD, 0 outside of their bodies.
    """
    grid, layout = scene.grid, scene.layout
    size = rng.uniform(*GRANULE_UM)
    contrast = rng.uniform(*GRANULE_CONTRAST)
    texture = lognormal(rng, grid, size, contrast) * lognormal(rng, grid, 3 * size, 0.5 * contrast)
    away = depth(layout.nuclei, grid)
    pale = per_label(layout.uniform(rng, 0, 0.9), layout.nuclei)
    middle = np.clip((away - per_label(layout.uniform(rng, 1.0, 3.5), layout.nuclei)) / np.float32(0.8), 0, 1)
    texture = texture * (1 - pale * middle)
    body = np.where(layout.nuclei > 0, np.uint8(3), np.uint8(0))
    load = np.exp(layout.uniform(rng, *np.log(GRANULE_OD))) * (layout.kind == MACROPHAGE)
    return np.asarray(per_label(load, layout.nuclei) * _even(texture, layout.nuclei, body), np.float32)


def _highest(values: NDArray[np.float64], among: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Mark the asked share of those `among` with the highest values."""
    marked = np.zeros(len(values), np.bool_)
    order = np.flatnonzero(among)[np.argsort(values[among], kind="stable")]
    count = round(min(max(share, 0.0), 1.0) * len(order))
    marked[order[len(order) - count :]] = True
    return marked


def _compartments(layout: Layout, cells: Cells) -> NDArray[np.uint8]:
    """Number the compartments: 0 outside, then the place in `COMPARTMENTS` plus 1."""
    where = (cells.cells > 0).astype(np.uint8)
    where[cells.membranes > 0] = 2
    where[layout.nuclei > 0] = 3
    return where


def _even(texture: NDArray[np.float32], cells: NDArray[np.int32], where: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale a texture to mean 1 in each compartment of each cell, so that a level is a mean."""
    place = (cells * 4 + where).ravel()
    total = np.bincount(place, texture.ravel())
    count = np.bincount(place)
    mean = np.maximum(total / np.maximum(count, 1), 1e-6)
    return np.asarray(texture / mean[place].reshape(texture.shape), dtype=np.float32)


def _arcs(rng: np.random.Generator, layout: Layout, cells: Cells, completeness: float) -> NDArray[np.float32]:
    """Weight 1 where a cell's border is stained, 0 where not: an arc around a random direction."""
    share = completeness ** np.exp(0.5 * layout.normal(rng))
    middle = layout.uniform(rng, -np.pi, np.pi)
    x, y = centroids_px(layout.nuclei)
    arc = np.zeros(layout.nuclei.shape, np.float32)
    rows, columns = np.nonzero(cells.membranes)
    own = cells.membranes[rows, columns] - 1
    angle = np.arctan2(rows + 0.5 - y[own], columns + 0.5 - x[own]) - middle[own]
    away = np.abs(np.angle(np.exp(1j * angle))) / np.pi
    arc[rows, columns] = np.clip((share[own] * (1 + ARC_END) - away) / ARC_END, 0, 1)
    return arc
