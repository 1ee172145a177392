"""Slides of scanner vendors, and DICOM, through OpenSlide."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from numpy.typing import NDArray

from ihcscore.errors import UnreadableImage
from ihcscore.io.color_channels import over_white
from ihcscore.io.images import printable_name
from ihcscore.io.pixel_size import DISAGREE, choose_pixel_size, square_pixels
from ihcscore.io.slides.tile_cache import Kept, whole_downsample

CHUNK_PX = 1024
"""Side of the pieces a level is read in: OpenSlide renders fractions of pixels, which must not depend on the window."""
KEPT_BYTES = 64_000_000
EXACT, COARSE = 1e-9, 8
"""OpenSlide takes the downsample of a level from its rounded size, and shifts and blurs its pixels by what it is off:
such levels are not used for cells, only for a look at the slide as a whole."""
UM_PER_UNIT = {"inch": 25400.0, "centimeter": 10000.0}


class VendorSlide:
    """A slide that OpenSlide reads.

    Raises UnreadableImage if OpenSlide cannot read it; MissingPixelSize, PixelSizeError if there is no pixel size,
    or none that can be scored.

    Parameters
    ----------
    mpp : float, optional
        um per level-0 pixel; wins over what the file says.
    """

    reader = f"openslide {openslide.__library_version__}"

    def __init__(self, path: Path, mpp: float | None = None) -> None:
        self._path = path
        try:
            self._slide: Any = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            raise self._unreadable(error) from None
        try:
            self._properties = dict(self._slide.properties)
            found = square_pixels(path, self._number("openslide.mpp-x"), self._number("openslide.mpp-y"))
            origin = f"{self._properties.get('openslide.vendor', 'vendor')} metadata"
            self.mpp, self.mpp_origin, notes = choose_pixel_size(path, mpp, found, origin)
        except Exception:
            self._slide.close()
            raise
        self.name = printable_name(path.name)
        self.dimensions: tuple[int, int] = self._slide.dimensions
        self.level_dimensions: tuple[tuple[int, int], ...] = self._slide.level_dimensions
        whole = [whole_downsample(self.dimensions, size) for size in self.level_dimensions]
        exact = [abs(a - b) < EXACT * b for a, b in zip(self._slide.level_downsamples, whole, strict=True)]
        self.level_downsamples = tuple(
            factor if fits or factor >= COARSE else float("inf") for factor, fits in zip(whole, exact, strict=True)
        )
        self.notes = (*notes, *self._disagreeing(found))
        self._kept = Kept(KEPT_BYTES)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """What was scanned, in level-0 pixels."""
        names = (f"openslide.bounds-{name}" for name in ("x", "y", "width", "height"))
        values = [self._number(name) for name in names]
        if any(value is None for value in values):
            return 0, 0, *self.dimensions
        x, y, width, height = (int(value or 0) for value in values)
        return x, y, width, height

    @cached_property
    def icc_sha256(self) -> str | None:
        """Of the color profile."""
        if not self._number("openslide.icc-size"):
            return None
        profile = self._slide.color_profile
        return None if profile is None else hashlib.sha256(profile.tobytes()).hexdigest()

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every file of the slide."""
        return self._path, *sorted(companions(self._path, self._properties.get("dicom.SeriesInstanceUID")))

    def read_level(self, level: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Read pixels of a level; see `ihcscore.io.slides.base.Slide`."""
        return self._kept.window(level, window, (CHUNK_PX, CHUNK_PX), self._chunk)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()

    def _chunk(self, level: int, row: int, col: int) -> NDArray[np.uint8]:
        width, height = self.level_dimensions[level]
        size = min(CHUNK_PX, width - col * CHUNK_PX), min(CHUNK_PX, height - row * CHUNK_PX)
        scale = self._slide.level_downsamples[level]
        location = round(col * CHUNK_PX * scale), round(row * CHUNK_PX * scale)
        try:
            rgba = np.asarray(self._slide.read_region(location, level, size))
        except (openslide.OpenSlideError, OSError, ValueError) as error:
            raise self._unreadable(error) from None
        return over_white(rgba)[0]

    def _unreadable(self, error: Exception) -> UnreadableImage:
        reason = str(error).replace(str(self._path), self._path.name).splitlines()
        return UnreadableImage(
            self._path, f"cannot be read as a slide ({reason[0] if reason else type(error).__name__}): copy it again"
        )

    def _number(self, name: str) -> float | None:
        try:
            value = float(self._properties[name])
        except (KeyError, ValueError):
            return None
        return value if np.isfinite(value) and value >= 0 else None

    def _disagreeing(self, found: float | None) -> list[str]:
        """Return a note where the file's own sources of the pixel size disagree."""
        pixels, unit = (
            self._number("tiff.XResolution"),
            UM_PER_UNIT.get(self._properties.get("tiff.ResolutionUnit", "")),
        )
        if not (found and pixels and unit) or abs(unit / pixels - found) <= DISAGREE * found or unit / pixels > 2:
            return []
        return [f"the file's TIFF resolution says {unit / pixels:g} um/px, its vendor metadata {found:g}"]


def companions(path: Path, series: str | None) -> list[Path]:
    """Find the other files of a slide that is stored in several."""
    suffix = path.suffix.lower()
    if series is not None:
        others = (p for p in path.parent.iterdir() if p.is_file() and p != path)
        return [other for other in others if _is_of_series(other, series.encode())]
    if suffix == ".mrxs":
        folder = path.with_suffix("")
        return [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    if suffix in (".vms", ".vmu"):
        return [p for p in path.parent.iterdir() if p.is_file() and p != path and p.name.startswith(path.stem)]
    return []


def _is_of_series(path: Path, series: bytes) -> bool:
    """Return whether a file is a DICOM instance of a series, by the identifier in its header."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    return head[128:132] == b"DICM" and series in head
