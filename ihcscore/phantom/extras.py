"""What is neither counterstain nor marker: ghosts, pigment, debris, red cells, refractile grains."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid, lognormal
from ihcscore.phantom.optics import blurred
from ihcscore.stains.vectors import StainMatrix, unit

PIGMENT = unit((0.50, 0.57, 0.65))
DEBRIS = unit((0.36, 0.56, 0.74))
RED_CELL = unit((0.22, 0.62, 0.75))
GREY = np.ones(3)
CIRCLE = np.linspace(0, 2 * np.pi, 24, endpoint=False)
RED_CELLS_PER_CLUSTER = 12


def extras(
    rng: np.random.Generator,
    grid: Grid,
    tissue: NDArray[np.float32],
    stains: StainMatrix,
    drawn: Mapping[str, float],
) -> NDArray[np.float32]:
    """Draw the optical density that belongs to no labeled cell.

    Parameters
    ----------
    tissue : ndarray of shape (M, N), dtype float32
        Weight of tissue, 0 on glass; only debris lies on glass.
    stains : StainMatrix
        Ghosts, nuclei far out of focus that nobody would count, have the color of its hematoxylin.
    drawn : mapping of str to float
        Uses `ghosts_per_mm2`, `pigment_per_mm2`, `debris_per_mm2`, `red_cells_per_mm2`, `refractile_per_mm2`,
        `nucleus_radius_um`, `hematoxylin_od`.

    Returns
    -------
    ndarray of shape (M, N, 3), dtype float32
        Optical density per channel; slightly negative in the bright core of a refractile grain.
    """
    radius = drawn["nucleus_radius_um"]
    ghosts = _blobs(rng, grid, drawn["ghosts_per_mm2"], (0.7 * radius, 1.3 * radius), 0.1)
    ghosts = blurred(ghosts, 1.6 / grid.mpp) * np.float32(0.45 * drawn["hematoxylin_od"])
    pigment = _blobs(rng, grid, drawn["pigment_per_mm2"], (3.0, 8.0), 0.25)
    pigment *= np.clip(lognormal(rng, grid, 1.0, 0.7) * lognormal(rng, grid, 3.0, 0.5) - 0.25, 0, 2.5)
    red = _blobs(rng, grid, drawn["red_cells_per_mm2"], (3.0, 3.8), 0.04, RED_CELLS_PER_CLUSTER) * np.float32(0.22)
    debris = _blobs(rng, grid, drawn["debris_per_mm2"], (0.3, 1.3), 0.25)
    shine = (_blobs(rng, grid, drawn["refractile_per_mm2"], (0.8, 2.5), 0.15) > 0).astype(np.float32)
    ring = blurred(shine, 0.6 / grid.mpp)
    core = blurred(shine, 0.25 / grid.mpp)
    debris = blurred(debris, 0.25 / grid.mpp)
    layers = (
        (ghosts * tissue, unit(stains.hematoxylin)),
        (pigment * tissue, PIGMENT),
        (red * tissue, RED_CELL),
        (debris * np.float32(1.5), DEBRIS),
        ((np.float32(0.3) * ring - np.float32(0.33) * core) * tissue, GREY),
    )
    od = np.zeros((*grid.shape, 3), np.float32)
    for layer, color in layers:
        if layer.any():
            od += layer[..., None] * color.astype(np.float32)
    return od


def _blobs(
    rng: np.random.Generator,
    grid: Grid,
    per_mm2: float,
    radius_um: tuple[float, float],
    roughness: float,
    cluster: int = 1,
) -> NDArray[np.float32]:
    """Draw rough discs of random density 0.3 to 1, alone or in clusters."""
    canvas = np.zeros(grid.shape, np.float32)
    groups = int(rng.poisson(per_mm2 * grid.area_mm2 / cluster))
    count = groups * cluster
    extent = np.array([grid.width, grid.height]) * grid.mpp
    center = np.repeat(rng.uniform(0, 1, (groups, 2)) * extent, cluster, axis=0)
    center += rng.normal(0, 4 * radius_um[1], (count, 2)) * (cluster > 1)
    radius = rng.uniform(*radius_um, count)[:, None] * np.ones(len(CIRCLE))
    for order in range(2, 6):
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        radius *= 1 + roughness * 2 / order * rng.standard_normal((count, 1)) * np.cos(order * CIRCLE + phase)
    squeeze = rng.uniform(1 - 2 * roughness, 1, (count, 1))
    x, y = center[:, :1] + radius * np.cos(CIRCLE), center[:, 1:] + squeeze * radius * np.sin(CIRCLE)
    points = np.round((np.stack([x, y], axis=-1) / grid.mpp - 0.5) * 16).astype(np.int32)
    for outline, density in zip(points, rng.uniform(0.3, 1.0, count), strict=True):
        cv2.fillPoly(canvas, [outline], float(density), shift=4)
    return canvas
