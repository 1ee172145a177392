"""Refuse TIFF pages that would be decoded wrongly."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ihcscore.errors import UnreadableImage

LARGEST_PIXELS = 300_000_000
"""A plain image is decoded whole; beyond this it is refused (also a guard against decompression bombs)."""
TOO_LARGE = f"has more than the {LARGEST_PIXELS / 1e6:.0f} megapixels that are decoded whole: cut it into tiles"
TIFF_COLORS = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
"""Read as stored; gray is refused by its one channel."""
ORIENTATION_NOTE = "orientation tag left out: pixels as stored"


def check_size(path: Path, width: int, height: int) -> None:
    """Raise UnreadableImage for an image that is too large to be decoded whole."""
    if width * height > LARGEST_PIXELS:
        raise UnreadableImage(path, f"{width} x {height}: {TOO_LARGE}")


def check_tiff(path: Path, series: Any, page: Any, shape: dict[str, int]) -> None:
    """Refuse a TIFF that is not 8-bit RGB of one plane."""
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise UnreadableImage(path, "is CMYK, made for printing: export it from its source in RGB")
    if page.photometric not in TIFF_COLORS and not _decodes_to_rgb(page):
        raise UnreadableImage(path, f"is not RGB (photometric {page.photometric.name}): export it in 8-bit RGB")
    if shape.get("S", 1) not in (3, 4):
        raise UnreadableImage(path, f"is not RGB (axes {series.axes}, shape {series.shape}): export it in 8-bit RGB")
    if series.dtype != np.uint8:
        raise UnreadableImage(path, f"has pixels of type {series.dtype}: export it as 8-bit RGB")
    extra = {axis: size for axis, size in shape.items() if axis not in "YXS" and size > 1}
    if extra:
        raise UnreadableImage(path, f"holds a stack ({extra}): export one plane")
    check_size(path, shape["X"], shape["Y"])


def _decodes_to_rgb(page: Any) -> bool:
    return page.photometric == tifffile.PHOTOMETRIC.YCBCR and page.compression in (
        tifffile.COMPRESSION.JPEG,
        tifffile.COMPRESSION.OJPEG,
    )


def check_segments(path: Path, page: Any, size: int) -> None:
    """Refuse a page of which strips or tiles are missing; the decoder would fill them in."""
    expected = math.prod(page.chunked)
    ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if len(ends) < expected or not all(page.databytecounts) or max(ends, default=0) > size:
        raise UnreadableImage(path, "is truncated or damaged (strips or tiles are missing); write it again")


def orientation_notes(page: Any) -> list[str]:
    """Return a note where a TIFF page asks to be rotated, which is not done: outlines fit pixels as stored."""
    tag = page.tags.get("Orientation")
    return [ORIENTATION_NOTE] if tag is not None and tag.value not in (0, 1) else []
