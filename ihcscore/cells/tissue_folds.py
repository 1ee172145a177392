"""Detect folds of the section: long, narrow bands that are denser than the rest, between nuclei too."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.geometry import um_to_px
from ihcscore.stains.density import ends, optical_density
from ihcscore.stains.unmix import unmix
from ihcscore.stains.vectors import StainMatrix

LOOK_UM = 2.0
"""Pixel size at which folds are looked for: finer than the gaps between nuclei."""
TISSUE_OD, SPREAD_UM = 0.06, 10.0
"""Tissue absorbs more than this on the mean of so many um."""
COUNTERSTAIN, AROUND_UM = 1.4, 22.0
"""Times the block's median from which hematoxylin, on the mean of so many um, is dense."""
GAPS, GAP_UM, SMOOTH_UM = 1.8, 10.0, 14.0
"""Times the block's median from which the clearest place of so many um, smoothed, is dense: dense nuclei have gaps
between them, folds do not."""
PALEST_GAP_OD = 0.02
"""Noise; a median gap counts as no clearer."""
SHORTEST_UM, WIDEST_UM = 150.0, 60.0
"""A fold is longer and narrower than this."""
SMALLEST_PIXELS = 2_000
"""With fewer pixels of tissue there is nothing to compare with."""


def fold_share(rgb: NDArray[np.uint8], background: ArrayLike, stains: StainMatrix, mpp: float) -> float:
    """Estimate the share of a field's tissue that lies in folds.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Light. Not modified.
    background : array_like of shape (3,)
        Light without tissue.
    mpp : float
        um per pixel.

    Returns
    -------
    float
        0 to 1; NaN without enough tissue to compare with.

    Notes
    -----
    Half of the folds, at best two thirds, are found, and dense epithelium can look like one (docs/concepts/tissue.md).
    """
    size = [max(1, round(length * mpp / LOOK_UM)) for length in rgb.shape[1::-1]]
    od = optical_density(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8), background)
    stain = unmix(od, stains)
    tissue = _mean(stain[..., 0] + stain[..., 1], SPREAD_UM) > TISSUE_OD
    if np.count_nonzero(tissue) < SMALLEST_PIXELS:
        return float("nan")
    hematoxylin = _mean(stain[..., 0], AROUND_UM)
    gaps = _mean(np.asarray(cv2.erode(ends(od)[0], np.ones(_window(GAP_UM)))), SMOOTH_UM)
    dense = hematoxylin > COUNTERSTAIN * np.median(hematoxylin[tissue])
    dense &= gaps > GAPS * max(float(np.median(gaps[tissue])), PALEST_GAP_OD)
    return float(_bands(dense & tissue).sum() / np.count_nonzero(tissue))


def _bands(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep connected components that are long and narrow."""
    opened = np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))), np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    inward = cv2.distanceTransform(opened, cv2.DIST_L2, 5) - 0.5
    area = stats[:, cv2.CC_STAT_AREA]
    depth = np.bincount(pieces.ravel(), inward.ravel(), count) / np.maximum(area, 1)
    width = 4 * depth * LOOK_UM  # a band's pixels lie a quarter of its width from its edge, on the mean
    length = area * LOOK_UM**2 / np.maximum(width, LOOK_UM)
    band = (length >= SHORTEST_UM) & (width <= WIDEST_UM)
    band[0] = False
    return np.asarray(band[pieces])


def _mean(values: NDArray[np.float32], um: float) -> NDArray[np.float32]:
    return np.asarray(cv2.blur(np.ascontiguousarray(values), _window(um)), np.float32)


def _window(um: float) -> tuple[int, int]:
    side = 2 * round(um_to_px(um, LOOK_UM) / 2) + 1
    return side, side
