"""The colors of pixels with a fourth channel."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TRANSPARENT_NOTE = "transparent pixels laid over white"
UNSTATED_NOTE = "a fourth channel that is not stated to be transparency left out"
UNSPECIFIED, PREMULTIPLIED = 0, 1
"""What TIFF's ExtraSamples says of a fourth channel."""


def over_white(rgba: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Blend transparent pixels with white; return also whether all were opaque."""
    alpha = rgba[..., 3:]
    if (alpha == 255).all():
        return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8), True
    share = alpha.astype(np.float32) / 255
    blended = rgba[..., :3] * share + 255 * (1 - share)
    return np.rint(blended).astype(np.uint8), False


def rgb_of(page: Any, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the colors of a TIFF's pixels, shape (M, N, 3 or 4), and notes about a fourth channel."""
    if pixels.shape[-1] == 3:
        return np.ascontiguousarray(pixels), []
    kind = _fourth_channel(page)
    if kind == UNSPECIFIED:
        return np.ascontiguousarray(pixels[..., :3]), [UNSTATED_NOTE]
    if kind == PREMULTIPLIED:
        light = pixels[..., :3].astype(np.int16) + (255 - pixels[..., 3:].astype(np.int16))
        rgb, opaque = np.minimum(light, 255).astype(np.uint8), bool((pixels[..., 3] == 255).all())
    else:
        rgb, opaque = over_white(pixels)
    return rgb, [] if opaque else [TRANSPARENT_NOTE]


def alpha_notes(page: Any) -> list[str]:
    """Return notes about the fourth channel of a TIFF that is read piece by piece."""
    if page.samplesperpixel == 3:
        return []
    return [UNSTATED_NOTE if _fourth_channel(page) == UNSPECIFIED else f"{TRANSPARENT_NOTE}, if there are any"]


def _fourth_channel(page: Any) -> int:
    return int(page.extrasamples[0]) if page.extrasamples else UNSPECIFIED
