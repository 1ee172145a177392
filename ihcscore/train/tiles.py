"""Training tiles: phantoms at the working pixel size, with the targets of each pixel."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.given import sample_labels
from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.phantom import render
from ihcscore.phantom.labels import centroids_px
from ihcscore.train.tile_parameters import SIDE, WORKING_MPP, training_parameters, weight

PER_SHARD = 100
CENTRE_SHARE = 0.3
"""Weight of the nearness to the centroid in the height of a hill."""


@dataclass(frozen=True)
class Tiles:
    """Tiles in memory.

    Parameters
    ----------
    rgb : ndarray of shape (n, SIDE, SIDE, 3), dtype uint8
        The light, white at 255: divided by the slide's background as the segmenter does.
    height : ndarray of shape (n, SIDE, SIDE), dtype uint8
        See `heights`.
    weight : ndarray of shape (n,), dtype uint8
        How many times as often as others each is drawn; see `ihcscore.train.tile_parameters.weight`.
    """

    rgb: NDArray[np.uint8]
    height: NDArray[np.uint8]
    weight: NDArray[np.uint8]


def heights(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Compute the height target: a hill with one maximum over each nucleus.

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
        Nuclei. Not modified.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
        0 outside, 1 to 255 inside: how deep below the outline a pixel lies, relative to the deepest of its nucleus,
        and for `CENTRE_SHARE` of it how near the centroid, without which a long nucleus would have a level ridge.

    Examples
    --------
    >>> heights(np.array([[0, 1, 1, 1, 2]], np.int32)).tolist()
    [[0, 178, 255, 178, 255]]
    """
    n = int(labels.max(initial=0)) + 1
    depth = _depth(labels)
    deepest = np.full(n, 1e-6, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    x, y = centroids_px(labels)
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns]
    away = np.hypot(rows + 0.5 - y[own - 1], columns + 0.5 - x[own - 1]).astype(np.float32)
    farthest = np.full(n, 1e-6, np.float32)
    np.maximum.at(farthest, own, away)
    hill = np.zeros(labels.shape, np.uint8)
    height = (1 - CENTRE_SHARE) * depth[rows, columns] / deepest[own] + CENTRE_SHARE * (1 - away / farthest[own])
    hill[rows, columns] = np.clip(np.rint(255 * height), 1, 255)
    return hill


def _depth(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Distance to the outline in half pixels, touching nuclei kept apart."""
    rows, columns = labels.shape
    fine = np.zeros((2 * rows + 1, 2 * columns + 1), np.uint8)  # pixels, and between them the edges inside a nucleus
    fine[1::2, 1::2] = labels > 0
    fine[2:-1:2, 1::2] = (labels[1:] == labels[:-1]) & (labels[1:] > 0)
    fine[1::2, 2:-1:2] = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)
    across = fine[2:-1:2, 1::2]
    fine[2:-1:2, 2:-1:2] = across[:, 1:] & across[:, :-1] & fine[1:-2:2, 2:-1:2] & fine[3::2, 2:-1:2]
    return np.asarray(cv2.distanceTransform(fine, cv2.DIST_L2, 5)[1::2, 1::2], np.float32)


def training_tile(seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int32], int]:
    """Render one tile.

    Parameters
    ----------
    seed, number : int
        Of the training run and of the tile.

    Returns
    -------
    rgb : ndarray of shape (SIDE, SIDE, 3), dtype uint8
        White is 255 or, for a third of the tiles, what the scanner gives: a slide of which nobody knows the background.
    nuclei : ndarray of shape (SIDE, SIDE), dtype int32
    """
    rng = np.random.default_rng([seed, number])
    parameters = training_parameters(rng)
    phantom = render(parameters, int(rng.integers(2**62)))
    size = phantom.nuclei.shape
    frame = frame_for(size[1], size[0], mpp=phantom.parameters.mpp, working_mpp=WORKING_MPP)
    rgb = WorkingImage(ArraySlide(phantom.rgb, frame.mpp), frame).read((0, 0, *frame.shape))
    nuclei = np.asarray(sample_labels(phantom.nuclei, frame), np.int32)
    if rng.random() < 0.67:
        light = phantom.background * rng.uniform(0.97, 1.03, 3)
        rgb = np.clip(np.rint(rgb * (255 / light)), 0, 255).astype(np.uint8)
    short = [max(0, SIDE - n) for n in rgb.shape[:2]]
    rgb = np.pad(rgb, ((0, short[0]), (0, short[1]), (0, 0)), mode="edge")[:SIDE, :SIDE]
    return rgb, np.pad(nuclei, ((0, short[0]), (0, short[1])))[:SIDE, :SIDE], weight(parameters)


def make_shard(folder: Path, seed: int, shard: int) -> Path:
    """Render `PER_SHARD` tiles into a file, unless it is there."""
    path = folder / f"tiles_{seed}_{shard:04d}.npz"
    if not path.exists():
        rgb = np.zeros((PER_SHARD, SIDE, SIDE, 3), np.uint8)
        height = np.zeros((PER_SHARD, SIDE, SIDE), np.uint8)
        weights = np.zeros(PER_SHARD, np.uint8)
        for k in range(PER_SHARD):
            rgb[k], nuclei, weights[k] = training_tile(seed, shard * PER_SHARD + k)
            height[k] = heights(nuclei)
        part = path.with_suffix(".part.npz")
        np.savez(part, rgb=rgb, height=height, weight=weights)
        part.replace(path)
    return path
