"""Per-pixel maps of a segmenter for a window, independent of the window."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.base import MapSegmenter, PixelMaps

STRIP_ROWS = 832
"""Rows whose maps are made at once, so that memory stays small; a multiple of every stride."""

Window = tuple[int, int, int, int]


def read_window(window: Window, shape: tuple[int, int], segmenter: MapSegmenter) -> Window:
    """Return the window to read for the maps of a window: a margin around it, aligned to the stride.

    Parameters
    ----------
    window : tuple of int
        ``(y0, x0, y1, x1)`` in working pixels, half open.
    shape : tuple of int
        Rows and columns of the image.

    Returns
    -------
    tuple of int
        Inside the image.
    """
    top, left, bottom, right = _around(window, segmenter)
    return max(0, top), max(0, left), min(shape[0], bottom), min(shape[1], right)


def compute_maps(
    rgb: NDArray[np.uint8],
    read: Window,
    window: Window,
    background: NDArray[np.float64],
    segmenter: MapSegmenter,
) -> PixelMaps:
    """Compute the maps of a window.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Light of `read`. Not modified.
    read : tuple of int
        Result of `read_window`; beyond the image, pixels are mirrored.
    window : tuple of int
        ``(y0, x0, y1, x1)`` in working pixels, half open, with pixels.
    background : ndarray of shape (3,), dtype float64
        Light without tissue.

    Returns
    -------
    ndarray of shape (y1 - y0, x1 - x0, planes), dtype uint8
        A pixel's maps do not depend on the window.
    """
    top, left, bottom, right = _around(window, segmenter)
    y0, x0, y1, x1 = window
    beyond = (read[0] - top, bottom - read[2], read[1] - left, right - read[3])
    if any(beyond):
        rgb = np.asarray(cv2.copyMakeBorder(rgb, *beyond, cv2.BORDER_REFLECT), np.uint8)
    strips = []
    for start in range(0, y1 - y0, STRIP_ROWS):
        stop = min(start + STRIP_ROWS, y1 - y0)
        first = y0 - top  # of the window in `rgb`
        part = rgb[start : first + stop + segmenter.margin_px]
        strips.append(segmenter.maps(part, background)[first : first + stop - start, x0 - left : x1 - left])
    return np.ascontiguousarray(np.concatenate(strips) if len(strips) > 1 else strips[0])


def _around(window: Window, segmenter: MapSegmenter) -> Window:
    margin, stride = segmenter.margin_px, segmenter.stride
    y0, x0, y1, x1 = window
    return (y0 - margin) // stride * stride, (x0 - margin) // stride * stride, y1 + margin, x1 + margin
