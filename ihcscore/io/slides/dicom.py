"""DICOM slides that OpenSlide does not read, through wsidicom (extra ``dicom``)."""

import hashlib
import importlib.metadata
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import IhcscoreError, MissingExtra, MissingPixelSize, UnreadableImage
from ihcscore.io.color_channels import over_white
from ihcscore.io.images import printable_name
from ihcscore.io.pixel_size import choose_pixel_size, square_pixels
from ihcscore.io.slides.tile_cache import Kept, whole_downsample
from ihcscore.io.slides.vendor import companions

CHUNK_PX = 1024
KEPT_BYTES = 64_000_000
UID_TAG = "SeriesInstanceUID"


def series_of(path: Path) -> str | None:
    """Return the series of a DICOM file; None where it is not known, or pydicom is not installed."""
    try:
        import pydicom

        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[UID_TAG])
        return str(head[UID_TAG].value)
    except Exception:  # a damaged header raises whatever it leads to
        return None


class DicomSlide:
    """A DICOM slide that wsidicom reads: labels and overviews are never opened.

    Raises MissingExtra if wsidicom is not installed; UnreadableImage if it cannot read the series;
    MissingPixelSize, PixelSizeError if there is no pixel size, or none that can be scored.

    Parameters
    ----------
    path : Path
        Any file of the series.
    mpp : float, optional
        um per level-0 pixel; wins over what the file says.
    notes : tuple of str
        What was decided before.
    """

    def __init__(self, path: Path, mpp: float | None = None, notes: tuple[str, ...] = ()) -> None:
        try:
            import wsidicom
            import wsidicom.errors
        except ImportError:
            raise MissingExtra("wsidicom", "dicom") from None
        self._path = path
        self.reader = f"wsidicom {importlib.metadata.version('wsidicom')}"
        files = self.files
        try:
            self._slide: Any = wsidicom.WsiDicom.open(files)
            self._levels = sorted(self._slide.pyramid, key=lambda level: int(level.level))
            spacing = self._slide.mpp
        except wsidicom.errors.WsiDicomNoResolutionError:
            raise MissingPixelSize(path, "states no pixel size, and wsidicom reads no DICOM without one") from None
        except Exception as error:  # wsidicom's and pydicom's errors share no root
            raise self._unreadable(error) from None
        try:
            found = square_pixels(path, float(spacing.width), float(spacing.height))
            self.mpp, self.mpp_origin, more = choose_pixel_size(path, mpp, found, "dicom metadata")
        except IhcscoreError:
            self._slide.close()
            raise
        self.name = printable_name(path.name)
        sizes = tuple((int(level.size.width), int(level.size.height)) for level in self._levels)
        self.dimensions: tuple[int, int] = sizes[0]
        self.level_dimensions: tuple[tuple[int, int], ...] = sizes
        self.level_downsamples = tuple(whole_downsample(self.dimensions, size) for size in sizes)
        self.notes = (*notes, *more)
        self._kept = Kept(KEPT_BYTES)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """All of it."""
        return 0, 0, *self.dimensions

    @cached_property
    def icc_sha256(self) -> str | None:
        """Of the color profile."""
        for path in self._slide.metadata.pyramid.optical_paths:
            if path.icc_profile:
                return hashlib.sha256(path.icc_profile).hexdigest()
        return None

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every file of the series."""
        series = series_of(self._path)
        if series is None:
            raise UnreadableImage(self._path, "cannot be read as DICOM (it names no series): copy it again")
        return self._path, *sorted(companions(self._path, series))

    def read_level(self, level: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Read pixels of a level; see `ihcscore.io.slides.base.Slide`."""
        return self._kept.window(level, window, (CHUNK_PX, CHUNK_PX), self._chunk)

    def close(self) -> None:
        """Close the files."""
        self._slide.close()

    def _chunk(self, level: int, row: int, col: int) -> NDArray[np.uint8]:
        width, height = self.level_dimensions[level]
        corner = col * CHUNK_PX, row * CHUNK_PX
        size = min(CHUNK_PX, width - corner[0]), min(CHUNK_PX, height - corner[1])
        try:
            pixels = self._slide.read_region(corner, int(self._levels[level].level), size, as_array=True)
        except Exception as error:  # as above
            raise self._unreadable(error) from None
        light = np.asarray(pixels)
        if light.dtype != np.uint8 or light.ndim != 3 or light.shape[2] not in (3, 4):
            raise UnreadableImage(
                self._path, f"is not 8-bit RGB (shape {light.shape}, {light.dtype}): export it as such"
            )
        return over_white(light)[0] if light.shape[2] == 4 else np.ascontiguousarray(light)

    def _unreadable(self, error: Exception) -> UnreadableImage:
        reason = str(error).replace(str(self._path.parent), "").splitlines()
        return UnreadableImage(
            self._path, f"cannot be read as DICOM ({reason[0] if reason else type(error).__name__}): copy it again"
        )
