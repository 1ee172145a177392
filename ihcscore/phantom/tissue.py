"""Layout of glass, tumor and stroma in a tile."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid, smooth


@dataclass(frozen=True)
class Tissue:
    """Regions of a tile.

    Parameters
    ----------
    glass, stroma : ndarray of shape (M, N), dtype bool
        No tissue (bare glass or lumen); connective tissue. What is neither is tumor.
    across : ndarray of shape (M, N), dtype float32
        Angle, in radians from the x axis, of the way from stroma into the nest: columnar cells lie along it, fibers
        across it.
    """

    glass: NDArray[np.bool_]
    stroma: NDArray[np.bool_]
    across: NDArray[np.float32]


def regions(rng: np.random.Generator, grid: Grid, drawn: Mapping[str, float]) -> Tissue:
    """Draw the regions of a tile from one field: stroma where it is low, nests where it is high, lumens at its peaks.

    Parameters
    ----------
    drawn : mapping of str to float
        Uses `nest_um`, `stroma_share`, `lumen_share`, `glass_share`.

    Returns
    -------
    Tissue
        The shares hold for the tile, not only on average, before cells grow over the border of a lumen.
    """
    fold = smooth(rng, grid, drawn["nest_um"], octaves=2)
    edge = smooth(rng, grid, 3 * drawn["nest_um"], octaves=3)
    glass = _below(edge, drawn["glass_share"]) | _below(-fold, drawn["lumen_share"])
    stroma = _below(fold, drawn["stroma_share"]) & ~glass
    even = cv2.GaussianBlur(fold, (0, 0), max(4.0 / grid.mpp, 0.5))
    across = np.arctan2(cv2.Sobel(even, cv2.CV_32F, 0, 1), cv2.Sobel(even, cv2.CV_32F, 1, 0))
    return Tissue(glass, stroma, across)


def _below(field: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Mark the lowest `share` of a field."""
    if share <= 0 or share >= 1:
        return np.full(field.shape, share >= 1, np.bool_)
    return np.asarray(field <= np.quantile(field[::2, ::2], share), dtype=np.bool_)
