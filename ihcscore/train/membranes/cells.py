"""Training cells: profiles along rays out of the nuclei of rendered tiles, and the truth there."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.membrane.profiles import BEFORE, RAYS, STEP_UM, Profiles, read_profiles
from ihcscore.cells.segmentation.base import TilePixels
from ihcscore.cells.segmentation.given import sample_labels
from ihcscore.cells.segmentation.network import Network
from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.phantom import Phantom, render
from ihcscore.phantom.labels import centroids_px
from ihcscore.phantom.optics import shifted
from ihcscore.stains.levels import both_levels
from ihcscore.stains.texture import PATCH_PX, Patch, look_closely, summary
from ihcscore.stains.unmix import unmix_light
from ihcscore.stains.vectors import StainMatrix
from ihcscore.train.membranes.tile_parameters import tile_parameters
from ihcscore.train.tile_parameters import WORKING_MPP

PER_SHARD = 20
TRUE_NUCLEI_SHARE = 0.3
"""Of the tiles whose nuclei are the true ones instead of those the network finds."""
STAIN_ERROR_DEG, LIGHT_ERROR = 1.5, 0.015
"""Stain vectors and background are known about as well as this,"""
DEFAULT_LIGHT, DEFAULT_LIGHT_SHARE = 255.0, 0.5
"""but in half of the tiles the background is taken for white, as assays do by default."""
FINE_UM = 0.25
"""Step at which the truth is read along a ray."""

CLEAN_OD = 0.4
"""Tiles whose DAB hardly ever reaches it are mixed into others' textures as unstained tissue."""
PARTS, MIXED = 3, 2
"""Further textures of each tile: of a part of it, of a part of it among unstained tissue."""
TISSUE_OD, TISSUE_SHARE = 0.1, 0.15
"""A place is tissue if more than this share of it is stained."""


@dataclasses.dataclass(frozen=True)
class Cells:
    """Training cells.

    Parameters
    ----------
    level : ndarray of shape (n, 2, 32, 24), dtype uint8
        DAB and luma along its rays, see `ihcscore.cells.membrane.profiles.Profiles`.
    other : ndarray of shape (n, 32, 24), dtype bool
        Where another nucleus lies.
    texture : ndarray of shape (n, t), dtype float32
        See `ihcscore.stains.texture`: of the cell's tile, or of parts of it, alone or among unstained tissue.
    od, line, step : ndarray of shape (n, 32), dtype float32
        DAB OD of the cell's own membrane, share of it that light shows stained, sample at which it lies; NaN where the
        ray meets none.
    """

    level: NDArray[np.uint8]
    other: NDArray[np.bool_]
    texture: NDArray[np.float32]
    od: NDArray[np.float32]
    line: NDArray[np.float32]
    step: NDArray[np.float32]


def training_cells(seed: int, numbers: Sequence[int]) -> Cells:
    """Render some tiles and read their cells.

    Parameters
    ----------
    seed : int
        Of the training run.
    numbers : sequence of int
        Of the tiles.
    """
    tiles = [_tile(seed, number) for number in numbers]
    rng = np.random.default_rng([seed, *numbers])
    clean = [places for _, places in tiles if _densest(places) < CLEAN_OD]
    found = []
    for cells, places in tiles:
        textures = np.array(_textures(rng, places, clean), np.float32)
        found.append(dataclasses.replace(cells, texture=textures[rng.integers(0, len(textures), len(cells.od))]))
    return _joined(found)


def _textures(rng: np.random.Generator, own: list[Patch], clean: list[list[Patch]]) -> list[tuple[float, ...]]:
    """Describe a tile as a whole, in parts, and among unstained tissue: slides are more varied than tiles."""

    def some(places: list[Patch], share: float, least: int) -> list[Patch]:
        number = min(len(places), max(least, int(share * len(places))))
        return [places[k] for k in rng.choice(len(places), number, replace=False)]

    parts = [some(own, rng.uniform(0.3, 0.9), 4) for _ in range(PARTS)]
    mixed = [some(own, rng.uniform(0.3, 1), 4) for _ in range(MIXED)]
    for part in mixed if clean else ():
        part += some(clean[rng.integers(len(clean))], rng.uniform(0, 0.7), 0)
    return [summary(places) for places in (own, *parts, *mixed)]


def _densest(places: list[Patch]) -> float:
    return float(np.percentile(np.concatenate([place["density"] for place in places]), 99.5))


def _tile(seed: int, number: int) -> tuple[Cells, list[Patch]]:
    """Render a tile and measure its patches; the cells' textures are added later."""
    rng = np.random.default_rng([seed, number])
    phantom = render(tile_parameters(rng), int(rng.integers(2**62)))
    if rng.random() < DEFAULT_LIGHT_SHARE:
        background = np.full(3, DEFAULT_LIGHT)
    else:
        background = np.clip(phantom.background * (1 + LIGHT_ERROR * rng.uniform(-1, 1, 3)), 1, 255)
    turned = [
        shifted(rng, vector, STAIN_ERROR_DEG * rng.random())
        for vector in (phantom.stains.hematoxylin, phantom.stains.dab)
    ]
    size = phantom.nuclei.shape
    frame = frame_for(size[1], size[0], mpp=phantom.parameters.mpp, working_mpp=WORKING_MPP)
    rgb = WorkingImage(ArraySlide(phantom.rgb, frame.mpp), frame).read((0, 0, *frame.shape))
    matrix = StainMatrix(*turned)
    stains = unmix_light(rgb, background, matrix)
    if rng.random() < TRUE_NUCLEI_SHARE:
        nuclei = np.asarray(sample_labels(phantom.nuclei, frame), np.int32)
    else:
        nuclei = Network().segment(TilePixels(rgb, matrix, background, frame.working_mpp))
    xy = np.column_stack(centroids_px(nuclei)) if nuclei.any() else np.zeros((0, 2))
    levels = both_levels(rgb, background, matrix)
    profiles = read_profiles(levels, nuclei, xy, range(len(xy)), frame.working_mpp)
    places = look_closely(_tissue(rgb, stains), background, matrix)
    return _with_truth(phantom, profiles, frame.to_level0(xy)), places


def _tissue(rgb: NDArray[np.uint8], stains: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """Cut a tile into patches without glass."""
    stained = np.maximum(stains[..., :2], 0).sum(axis=2) > TISSUE_OD
    rows, columns = (range(0, length - PATCH_PX + 1, PATCH_PX) for length in rgb.shape[:2])
    boxes = [(slice(y, y + PATCH_PX), slice(x, x + PATCH_PX)) for y in rows for x in columns]
    kept = [box for box in boxes if stained[box].mean() > TISSUE_SHARE]
    return [rgb[box] for box in kept or boxes]


def _with_truth(phantom: Phantom, profiles: Profiles, xy: NDArray[np.float64]) -> Cells:
    """Find along each ray the true membrane of the cell whose nucleus holds the centroid."""
    mpp = phantom.parameters.mpp
    last = np.array(phantom.cells.shape[::-1]) - 1
    x, y = np.clip(xy.astype(int), 0, last).T
    own = phantom.nuclei[y, x]
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    fine = np.arange(0, 28, FINE_UM)
    ways = [
        np.rint(np.clip((xy[:, k] - 0.5)[:, None, None] + way[None, :, None] * fine / mpp, 0, last[k])).astype(int)
        for k, way in ((0, np.cos(angle)), (1, np.sin(angle)))
    ]
    on = (phantom.membranes[ways[1], ways[0]] == own[:, None, None]) & (own > 0)[:, None, None]
    starts = np.diff(on.astype(np.int8), axis=2, prepend=0) == 1
    on &= np.cumsum(starts, axis=2) == 1  # the first crossing
    number = on.sum(axis=2)

    def mean(values: NDArray[Any]) -> NDArray[np.float32]:
        total = (values * on).sum(axis=2)
        return np.asarray(np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0), np.float32)

    line = np.zeros(on.shape) if phantom.stained is None else phantom.stained[ways[1], ways[0]]
    step = (mean(fine) - profiles.edge_um) / STEP_UM + BEFORE
    good = number.any(axis=1)
    values = mean(phantom.dab[ways[1], ways[0]]), mean(line), step.astype(np.float32)
    missing = np.zeros((int(good.sum()), 0), np.float32)
    level = profiles.level[:, good].swapaxes(0, 1)
    return Cells(level, profiles.other[good], missing, *(v[good] for v in values))


def make_shard(folder: Path, seed: int, shard: int) -> Path:
    """Render `PER_SHARD` tiles into a file, unless it is there."""
    path = folder / f"cells_{seed}_{shard:04d}.npz"
    if not path.exists():
        cv2.setNumThreads(1)
        cells = training_cells(seed, range(shard * PER_SHARD, (shard + 1) * PER_SHARD))
        part = path.with_suffix(".part.npz")
        np.savez(part, **{f.name: getattr(cells, f.name) for f in dataclasses.fields(Cells)})
        part.replace(path)
    return path


def _joined(parts: Sequence[Cells]) -> Cells:
    return Cells(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Cells)))


def read_cells(paths: Sequence[Path]) -> Cells:
    """Read what `make_shard` wrote; memory for one copy is taken, 3 kB for each cell."""

    def joined(name: str) -> NDArray[Any]:
        parts = (np.load(path)[name] for path in paths)
        first = next(parts)
        out = np.empty((number, *first.shape[1:]), first.dtype)
        start = 0
        for part in itertools.chain([first], parts):
            out[start : start + len(part)] = part
            start += len(part)
        return out

    number = sum(len(np.load(path)["od"]) for path in paths)
    return Cells(*(joined(f.name) for f in dataclasses.fields(Cells)))
