"""Quality of a tile: focus, saturation, counterstain, pen, folds, with flags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.cells.tissue_folds import fold_share
from ihcscore.stains.density import BLACK_LIGHT, SATURATED_OD
from ihcscore.stains.vectors import StainMatrix
from ihcscore.table.schema import stain_column

JUDGED = (stain_column("Nucleus", "Hematoxylin", "mean"),)
"""Columns of the cells that are judged by."""

MEASURES = ("tissue", "pen", "unscanned", "focus", "saturated", "counterstain_od", "fold", "nuclei")
"""Values of a block's quality, in order."""

TISSUE_OD = 0.07
"""Focus is judged where the green channel absorbs more than this."""
SMALLEST_PIXELS = 2_000
"""With fewer pixels of tissue, focus is not judged."""
FINE_UM, COARSE_UM = 0.5, 1.0
"""Standard deviations of the Gaussians between which detail is fine, and between which (double) it is coarse."""

SAMPLED_ROWS, BAND_ROWS, BAND_EVERY = 1024, 128, 4
"""From so many rows on, focus is judged by one of so many bands of so many rows."""

BLURRED = 0.36
"""Fine detail / coarse detail below which a block is flagged out of focus."""
SATURATED = 0.05
"""Share of saturated pixels from which a block is flagged."""
PALE_OD = 0.10
"""Median hematoxylin OD of the nuclei below which the counterstain is weak."""
INKED = 0.02
"""Share of pen from which a block is flagged."""
FOLDED = 0.01
"""Share of tissue in folds from which a block is flagged."""
UNSCANNED_UM = 30.0
"""Black areas at least so wide are none of the tissue."""
SPARSE = 0.05
"""Share of tissue below which a block is flagged."""
WORTH_A_WARNING = 0.2
"""Share of a slide's tissue that is flagged for one reason from which the result warns of it."""


@dataclass(frozen=True)
class TileQuality:
    """The quality of one tile.

    Parameters
    ----------
    row, col : int
        The block.
    values : dict of str to float
        ``tissue``, ``pen``, ``unscanned`` (shares of the block), ``focus`` (fine detail / coarse detail of the tissue),
        ``saturated`` (share of its pixels but for black areas), ``counterstain_od`` (median of the nuclei's mean
        hematoxylin), ``fold`` (share of the tissue), ``nuclei``.
    flags : tuple of str
        What is wrong with it.
    tissue_um2 : float
        Its tissue.
    """

    row: int
    col: int
    values: dict[str, float]
    flags: tuple[str, ...]
    tissue_um2: float


def measure_quality(
    rgb: NDArray[np.uint8],
    background: ArrayLike,
    stains: StainMatrix,
    mpp: float,
    rows: Mapping[str, NDArray[np.floating]],
) -> dict[str, float]:
    """Measure the quality of a tile's core from its pixels and nuclei.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Light. Not modified.
    background : array_like of shape (3,)
        Light without tissue.
    mpp : float
        um per pixel.
    rows : mapping of str to ndarray of shape (n,)
        Columns of the cells that it owns.

    Returns
    -------
    dict of str to float
        ``focus``, ``saturated``, ``counterstain_od``, ``fold``, ``nuclei``; NaN where there is nothing to judge by.
    """
    light = np.asarray(background, np.float64)
    hematoxylin = rows[JUDGED[0]]
    found = hematoxylin[np.isfinite(hematoxylin)]
    return {
        "focus": _focus(np.ascontiguousarray(rgb[..., 1]), float(light[1]), mpp),
        "saturated": _saturated(rgb, light, mpp),
        "counterstain_od": float(np.median(found)) if len(found) else float("nan"),
        "fold": fold_share(rgb, light, stains, mpp),
        "nuclei": float(len(hematoxylin)),
    }


def _saturated(rgb: NDArray[np.uint8], background: NDArray[np.float64], mpp: float) -> float:
    cut = background * 10**-SATURATED_OD
    clear = cv2.inRange(rgb, tuple(np.floor(cut) + 1), (255, 255, 255))
    dark = clear.size - cv2.countNonZero(clear)
    seen = clear.size - (_unscanned(rgb, mpp) if dark > SATURATED * clear.size else 0)
    return max(0, dark - clear.size + seen) / seen if seen else 0.0


def _unscanned(rgb: NDArray[np.uint8], mpp: float) -> int:
    """Count the pixels of black areas that are wider than any nucleus."""
    black = cv2.inRange(rgb, (0, 0, 0), (BLACK_LIGHT, BLACK_LIGHT, BLACK_LIGHT))
    side = round(UNSCANNED_UM / mpp)
    return cv2.countNonZero(cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((side, side), np.uint8)))


def _focus(green: NDArray[np.uint8], background: float, mpp: float) -> float:
    """Compute the ratio of fine to coarse detail of the tissue, which blur lowers; independent of contrast."""
    if min(green.shape) < 8:
        return float("nan")
    sigmas = (FINE_UM / mpp / 2, COARSE_UM / mpp / 2, COARSE_UM / mpp)
    found = []
    for band in _bands(green):
        tissue = (cv2.blur(band, (9, 9)) < background * 10**-TISSUE_OD).view(np.uint8)
        light = band.astype(np.float32)
        fine, middle, coarse = (cv2.GaussianBlur(light, (0, 0), sigma) for sigma in sigmas)
        found.append((tissue, fine - middle, middle - coarse))
    tissue, *details = map(np.concatenate, zip(*found, strict=True))
    if cv2.countNonZero(tissue) < SMALLEST_PIXELS:
        return float("nan")
    detail, structure = (float(cv2.meanStdDev(values, mask=tissue)[1].item()) for values in details)
    return detail / structure if structure > 0 else float("nan")


def _bands(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return some bands of a large image, enough to measure its sharpness."""
    if len(image) < SAMPLED_ROWS:
        return [image]
    tops = range(0, len(image) - BAND_ROWS + 1, BAND_EVERY * BAND_ROWS)
    return [image[top : top + BAND_ROWS] for top in tops]


def judge(
    key: tuple[int, int], values: Mapping[str, float], places: Mapping[str, float], area_um2: float
) -> TileQuality:
    """Combine the measures of a tile and add flags.

    Parameters
    ----------
    key : tuple of int
        Row and column of the block.
    values : mapping
        As `measure_quality` gives them.
    places : mapping
        Its shares of tissue, pen and unscanned area.
    area_um2 : float
        Its own; blocks at the right and lower edges are smaller than others.

    Returns
    -------
    TileQuality
        A measure that is NaN flags nothing.
    """
    all_ = {**{name: share for name, share in places.items() if name != "glass"}, **values}
    checks = {
        "out of focus": all_["focus"] < BLURRED,
        "saturated": all_["saturated"] > SATURATED,
        "weak counterstain": all_["counterstain_od"] < PALE_OD,
        "fold": all_["fold"] > FOLDED,
        "pen": all_["pen"] > INKED,
        "little tissue": all_["tissue"] < SPARSE,
    }
    return TileQuality(*key, all_, tuple(name for name, so in checks.items() if so), all_["tissue"] * area_um2)


def quality_warnings(blocks: Sequence[TileQuality]) -> list[str]:
    """Return a warning for each quality flag that holds for much of a slide's tissue."""
    tissue = sum(block.tissue_um2 for block in blocks)
    texts = []
    for flag in ("out of focus", "saturated", "weak counterstain", "fold", "pen"):
        share = sum(block.tissue_um2 for block in blocks if flag in block.flags) / tissue if tissue else 0
        if share >= WORTH_A_WARNING:
            texts.append(f"{flag}: blocks with {share:.0%} of the tissue (quality.csv)")
    return texts
