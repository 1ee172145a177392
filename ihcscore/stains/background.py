"""The light without tissue, estimated from an image's glass."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.stains.density import ends

DARKEST_BACKGROUND = 100
"""No microscope records glass darker than this."""
FALLBACK = (255.0, 255.0, 255.0)
DARKEST_GLASS = 180
"""No channel of glass is darker than this: a scanner's white balance puts glass at 215 to 255."""
WIDEST_TINT_OD = 0.10
"""Glass is nearly neutral: the optical densities of its channels differ by no more than this."""
LEVEL_TOLERANCE_OD = 0.012
"""Glass is even: 3 % of the light at most between a glass pixel and the brightest glass."""
FLAT_RANGE_OD = 0.03
"""Glass is flat: 7 % of the light at most between the brightest and the darkest of 5 x 5 smoothed pixels."""
PADDING, JPEG_BLOCK = 255, 16
SMALLEST_SHARE = 0.01
SMALLEST_PIXELS = 200
LARGEST_SAMPLE = 1024


@dataclass(frozen=True)
class Glass:
    """Glass found in an image, or not.

    Parameters
    ----------
    background : tuple of 3 float or None
        Light without tissue per channel; None where no glass was found.
    share : float
        Part of the image that is glass.
    """

    background: tuple[float, float, float] | None
    share: float


def find_glass(rgb: NDArray[np.uint8]) -> Glass:
    """Find the glass of an image: bright, nearly neutral, flat and even.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Image or a representative part of it; reduced by area to at most 1024 pixels a side. Not modified.

    Returns
    -------
    Glass
        Median of the glass pixels per channel. Without at least 1 % (and 200 pixels) of glass, `background` is None:
        the palest tissue is not taken for glass only because it is the brightest thing there. Rows and columns along
        the sides that are pure white all over are padding, and count only where there is no other glass.

    Examples
    --------
    >>> image = np.full((64, 64, 3), (240, 238, 235), np.uint8)
    >>> image[:32] = (120, 90, 150)
    >>> find_glass(image)
    Glass(background=(240.0, 238.0, 235.0), share=0.453)
    """
    inner = _without_padding(rgb)
    if inner.size < rgb.size:
        found = _find(inner) if inner.size else Glass(None, 0.0)
        if found.background is not None:
            return Glass(found.background, round(found.share * inner.size / rgb.size, 3))
    return _find(rgb)


def _without_padding(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    top, bottom = _padded(rgb), _padded(rgb[::-1])
    inner = rgb[top : max(top, len(rgb) - bottom)].swapaxes(0, 1)
    left, right = (_padded(inner), _padded(inner[::-1])) if inner.size else (0, 0)
    return np.ascontiguousarray(inner[left : max(left, len(inner) - right)].swapaxes(0, 1))


def _padded(rgb: NDArray[np.uint8]) -> int:
    """Count the first rows that are pure white, and those that a JPEG's blocks mix with them."""
    first = next((k for k, row in enumerate(rgb) if row.min() < PADDING), len(rgb))
    return min(first + JPEG_BLOCK, len(rgb)) if first else 0


def _find(rgb: NDArray[np.uint8]) -> Glass:
    small = _reduced(rgb)
    lowest, highest = ends(small)
    cube = np.ones((5, 5), np.uint8)
    flat = _apart(cv2.dilate(lowest, cube), cv2.erode(lowest, cube)) <= FLAT_RANGE_OD
    neutral = _apart(highest, lowest) <= WIDEST_TINT_OD
    candidates = small[flat & neutral & (lowest >= DARKEST_GLASS)].astype(np.float32)
    least = max(SMALLEST_PIXELS, SMALLEST_SHARE * small.shape[0] * small.shape[1])
    if len(candidates) < least:
        return Glass(None, round(len(candidates) / max(1, small.shape[0] * small.shape[1]), 4))
    level = np.log10(candidates.mean(axis=1))
    even = candidates[level >= np.quantile(level, 0.99) - LEVEL_TOLERANCE_OD]
    share = round(len(even) / (small.shape[0] * small.shape[1]), 3)
    if len(even) < least:
        return Glass(None, share)
    red, green, blue = (round(float(v), 1) for v in np.median(even, axis=0))
    return Glass((red, green, blue), share)


def _apart(light: ArrayLike, dark: ArrayLike) -> NDArray[np.float32]:
    """Compute the optical density of one 8-bit image relative to another."""
    table = -np.log10(np.maximum(np.arange(256, dtype=np.float32), 1) / np.float32(255))
    over, under = (np.asarray(cv2.LUT(np.asarray(image, np.uint8), table), np.float32) for image in (light, dark))
    return under - over


def _reduced(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    step = max(1.0, max(rgb.shape[:2]) / LARGEST_SAMPLE)
    if step > 1:
        size = (max(1, round(rgb.shape[1] / step)), max(1, round(rgb.shape[0] / step)))
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.blur(rgb, (3, 3)), np.uint8)
