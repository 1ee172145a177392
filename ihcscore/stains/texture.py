"""Texture of a slide's DAB: how dense and how sharp it is, to distinguish weak membranes from the haze of strong ones.

Of small places of the tissue, it measures how dense DAB is, how strong its lines are, and how contrast falls from
coarse to fine: what blur, sharpening and compression did to a line can be read off that, not off the line itself.
"""

import itertools
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.stains.unmix import unmix_light
from ihcscore.stains.vectors import StainMatrix

PATCH_PX = 56
"""Side of a place."""
TOGETHER = 64
"""Places looked at in one go; OpenCV takes no more than 128 channels."""
MARGIN_PX = 4
"""Pixels along the sides of a place that are left out: beyond them nothing is known."""
LOWEST_OD, HIGHEST_OD = -0.2, 2.35
"""Denser stain lets next to no light through."""
DENSITIES, STRENGTHS = (50, 75, 90, 97, 99.5), (50, 80, 95, 99)
"""Percentiles of DAB OD and of its lines."""
ON_LINES = (0.35, 0.65)
"""Pixels are on a line from this share of the lines' 99th percentile on."""
LINE_PX, LINES_PX = 1.2, (0.5, 0.8, 1.8, 2.8)
"""Standard deviation of the Gaussian at whose scale lines are looked for, and others, compared to it."""
STRONGEST_LINES, STRONGEST_EDGES = (97, 99.5), 97
"""Percentiles from which lines and edges are compared at several scales."""
EDGE_PX, EDGES_PX = 2.0, (0.5, 0.8, 1.2, 3.5)
"""The same for edges."""
BANDS = (0.02, 0.05, 0.09, 0.14, 0.2, 0.27, 0.35, 0.43, 0.51)
"""Limits of the bands of spatial frequency, in cycles per pixel."""
FLOOR_OD, FLOOR_POWER = 0.005, 0.001
"""Added before logarithms are taken."""

STAINS = ("both", "dab", "hematoxylin")
"""Hematoxylin and DAB together, and each alone."""

TEXTURE = (
    *(f"dab p{percent:g}" for percent in DENSITIES),
    *(f"line p{percent}" for percent in STRENGTHS),
    *(f"{name} {level:g}" for level in ON_LINES for name in ("dab on lines", "share of lines")),
    *(
        f"{stain} lines p{percent:g} {px:g}/{LINE_PX:g} px"
        for stain in STAINS[:2]
        for percent in STRONGEST_LINES
        for px in LINES_PX
    ),
    *(f"{stain} edges {px:g}/{EDGE_PX:g} px" for stain in STAINS for px in EDGES_PX),
    *(f"{stain} power {k}" for stain in STAINS for k in range(len(BANDS) - 1)),
)
"""What each number of a texture is. All are natural logarithms: of OD, of a share, of a ratio between two scales, of
the power in the lowest band and of each band's relative to the one below."""

Patch = Mapping[str, NDArray[np.float32]]
"""What is known of a place, by name: a value for each pixel, shape (n,), or for each band."""


def describe(places: Sequence[NDArray[np.uint8]], background: ArrayLike, stains: StainMatrix) -> tuple[float, ...]:
    """Describe the stain of some places of the tissue.

    Parameters
    ----------
    places : sequence of ndarray of shape (M, N, 3), dtype uint8
        At 0.5 um per pixel, at least one, of at most 56 x 56 pixels; smaller ones are mirrored. Not modified.
    background : array_like of 3 float
        Light without tissue.

    Returns
    -------
    tuple of float
        One number for each of `TEXTURE`, to four digits after the point.
    """
    return summary(look_closely(places, background, stains))


def look_closely(places: Sequence[NDArray[np.uint8]], background: ArrayLike, stains: StainMatrix) -> list[Patch]:
    """Measure density, lines, edges and power of each place; see `describe`."""
    starts = range(0, len(places), TOGETHER)
    return [place for k in starts for place in _look(places[k : k + TOGETHER], background, stains)]


def _look(places: Sequence[NDArray[np.uint8]], background: ArrayLike, stains: StainMatrix) -> list[Patch]:
    beside = np.concatenate([_filled(place) for place in places], axis=1)
    amounts = np.clip(unmix_light(beside, background, stains), LOWEST_OD, HIGHEST_OD)
    # OpenCV filters all channels of an image at once: each place is one
    stacked = amounts.reshape(PATCH_PX, len(places), PATCH_PX, 3).transpose(3, 0, 2, 1)
    hematoxylin, dab = (np.ascontiguousarray(stacked[k], np.float32) for k in (0, 1))
    seen = {"density": dab}
    for stain, od in zip(STAINS, (dab + hematoxylin, dab, hematoxylin), strict=True):
        for px in (LINE_PX, *LINES_PX) if stain != "hematoxylin" else ():
            seen[f"{stain} lines {px}"] = _lines(od, px)
        for px in (EDGE_PX, *EDGES_PX):
            seen[f"{stain} edges {px}"] = _edges(od, px)
        seen[f"{stain} power"] = _power(od)
    inner = slice(MARGIN_PX, -MARGIN_PX)
    flat = {
        name: (values if values.ndim == 2 else values[inner, inner].reshape(-1, len(places))).T
        for name, values in seen.items()
    }
    return [{name: values[k] for name, values in flat.items()} for k in range(len(places))]


def _filled(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing = [(0, PATCH_PX - length) for length in rgb.shape[:2]]
    return np.pad(rgb, (*missing, (0, 0)), "symmetric")


def _lines(od: NDArray[np.float32], px: float) -> NDArray[np.float32]:
    """Compute the ridge strength of density: the negated lower eigenvalue of the Hessian."""
    smooth = _smooth(od, px)
    across = np.array([[1, -2, 1]], np.float32)
    xx, yy = cv2.filter2D(smooth, -1, across), cv2.filter2D(smooth, -1, across.T)
    xy = cv2.filter2D(smooth, -1, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32) / 4)
    lower = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.asarray(np.maximum(-lower, 0) * np.float32(px**2), np.float32).reshape(od.shape)


def _edges(od: NDArray[np.float32], px: float) -> NDArray[np.float32]:
    """Compute the gradient magnitude of density."""
    smooth = _smooth(od, px)
    across, down = (cv2.Sobel(smooth, -1, *way, ksize=3) for way in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down) * np.float32(px / 8), np.float32).reshape(od.shape)


def _smooth(od: NDArray[np.float32], px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(od, (0, 0), px), np.float32)


def _power(od: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the mean power in each frequency band; shape (bands, patches)."""
    window = np.outer(*[np.hanning(PATCH_PX)] * 2)[..., None]
    power = np.abs(np.fft.rfft2((od - od.mean(axis=(0, 1))) * window, axes=(0, 1))) ** 2
    frequency = np.hypot(np.fft.fftfreq(PATCH_PX)[:, None], np.fft.rfftfreq(PATCH_PX)[None])
    bands = itertools.pairwise(BANDS)
    return np.array([power[(frequency >= low) & (frequency < high)].mean(axis=0) for low, high in bands], np.float32)


def summary(places: Sequence[Patch]) -> tuple[float, ...]:
    """Put what was seen of some places into one number for each of `TEXTURE`; see `describe`."""
    pixels = {name: np.concatenate([p[name] for p in places]) for name in places[0] if not name.endswith("power")}
    line, density = pixels[f"dab lines {LINE_PX}"], pixels["density"]
    values = [_log(v) for v in (np.percentile(density, DENSITIES), np.percentile(line, STRENGTHS))]
    strong = np.percentile(line, 99)
    for level in ON_LINES:
        on = line >= level * strong
        values.append(_log(np.array([density[on].mean(), on.mean()])))
    for stain in STAINS[:2]:
        for percent in STRONGEST_LINES:
            values.append(_across_scales(pixels, f"{stain} lines", percent, LINE_PX, LINES_PX))
    values += [_across_scales(pixels, f"{stain} edges", STRONGEST_EDGES, EDGE_PX, EDGES_PX) for stain in STAINS]
    for stain in STAINS:
        power = np.log(np.mean([place[f"{stain} power"] for place in places], axis=0) + FLOOR_POWER)
        values.append(np.concatenate([power[:1], np.diff(power)]))
    return tuple(round(float(v), 4) for v in np.concatenate(values))


def _across_scales(pixels: Patch, name: str, percent: float, px: float, others: Sequence[float]) -> NDArray[np.float64]:
    """Compare lines or edges at several scales, where they are strongest at one."""
    values = pixels[f"{name} {px}"]
    strongest = values >= np.percentile(values, percent)
    means = [pixels[f"{name} {each}"][strongest].mean() for each in (px, *others)]
    return _log(np.array(means[1:])) - _log(means[0])


def _log(values: "NDArray[np.float64] | np.floating") -> NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(values, 0) + FLOOR_OD), np.float64)
