"""Folds: bands in which the section overlaps itself."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid
from ihcscore.phantom.optics import blurred

HALF_WIDTH_UM = (3.0, 14.0)
BEND = 0.3
"""How far a fold bends, as a share of the tile's side."""
POINTS = np.linspace(-0.2, 1.2, 24)
OUT_OF_FOCUS = 0.8


def folds(rng: np.random.Generator, grid: Grid, drawn: Mapping[str, float]) -> NDArray[np.float32]:
    """Draw where the tissue overlaps itself.

    Parameters
    ----------
    drawn : mapping of str to float
        Uses `folds_per_mm2`.

    Returns
    -------
    ndarray of shape (M, N), dtype float32
        0 to 1, with a soft edge.
    """
    canvas = np.zeros(grid.shape, np.float32)
    for _ in range(int(rng.poisson(drawn["folds_per_mm2"] * grid.area_mm2))):
        start, end = rng.uniform(0, 1, (2, 2))
        middle = (start + end) / 2 + rng.normal(0, BEND, 2)
        t = POINTS[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        points = np.round(curve * (grid.width, grid.height) * 16).astype(np.int32)
        half = rng.uniform(*HALF_WIDTH_UM)
        cv2.polylines(canvas, [points], False, 1.0, max(1, round(2 * half / grid.mpp)), cv2.LINE_8, 4)
    return blurred(canvas, 1.0 / grid.mpp)


def doubled(stain: NDArray[np.float32], fold: NDArray[np.float32], shift_px: tuple[int, int]) -> NDArray[np.float32]:
    """Lay a mirrored and moved copy of a stain over itself where `fold` says.

    Examples
    --------
    >>> doubled(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), (0, 1)).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    if not fold.any():
        return stain
    return np.asarray(stain + fold * np.roll(stain[:, ::-1], shift_px, axis=(0, 1)), np.float32)
