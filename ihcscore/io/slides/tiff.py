"""TIFF pyramids and large TIFFs: only the tiles or strips that a window touches are decoded."""

import hashlib
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from ihcscore.errors import UnreadableImage
from ihcscore.io.color_channels import alpha_notes, rgb_of
from ihcscore.io.images import printable_name
from ihcscore.io.pixel_size import choose_pixel_size, size_notes, tiff_pixel_size
from ihcscore.io.slides.tile_cache import Kept, whole_downsample
from ihcscore.io.tiff_checks import LARGEST_PIXELS, check_segments, check_tiff, orientation_notes

KEPT_BYTES = 64_000_000
LIKE_PX, LARGEST_STEP, ALIKE, PLAIN = 128, 16, 0.7, 4.0
"""Side of the pieces in which a page is compared with a smaller one; how much smaller it may be, to be compared; how
much they must correlate; gray levels by which a piece must vary for that, and the means of others may differ."""
SEPARATE = 2
ICC_TAG = "InterColorProfile"
SMALLEST_LEVEL = 16


class TiffSlide:
    """A TIFF that is read piece by piece.

    Raises UnreadableImage if it is damaged, or not 8-bit RGB; MissingPixelSize, PixelSizeError if there is no pixel
    size, or none that can be scored.

    Parameters
    ----------
    mpp : float, optional
        um per level-0 pixel; wins over what the file says.
    """

    reader = f"tifffile {tifffile.__version__}"

    def __init__(self, path: Path, mpp: float | None = None) -> None:
        self._path = path
        try:
            self._tiff: Any = tifffile.TiffFile(path)
        except Exception as error:  # damaged tags raise whatever they lead to
            raise self._damaged(error) from None
        try:
            series = self._tiff.series[0]
            shape = dict(zip(series.axes, series.shape, strict=True))
            page = series.levels[0].pages[0]
            check_tiff(path, series, page, {**shape, "X": 1, "Y": 1})
            self._pages, notes = self._levels(page)
            found, origin = tiff_pixel_size(path, self._tiff, page)
            self.mpp, self.mpp_origin, more = choose_pixel_size(path, mpp, found, origin)
            more += [*orientation_notes(page), *alpha_notes(page), *size_notes(self._tiff, page, found)]
        except UnreadableImage:
            self._tiff.close()
            raise
        except Exception as error:
            self._tiff.close()
            if isinstance(error, ValueError) or hasattr(error, "problem"):
                raise
            raise self._damaged(error) from None
        self.name = printable_name(path.name)
        self.level_dimensions = tuple((int(p.imagewidth), int(p.imagelength)) for p in self._pages)
        self.dimensions = self.level_dimensions[0]
        self.level_downsamples = tuple(whole_downsample(self.dimensions, size) for size in self.level_dimensions)
        self.bounds = (0, 0, *self.dimensions)
        self.files = (path,)
        self.notes = (*notes, *more)
        self._kept = Kept(KEPT_BYTES)

    @cached_property
    def icc_sha256(self) -> str | None:
        """Of the color profile."""
        tag = self._pages[0].tags.get(ICC_TAG)
        return None if tag is None else hashlib.sha256(bytes(tag.value)).hexdigest()

    def read_level(self, level: int, window: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Read pixels of a level; see `ihcscore.io.slides.base.Slide`."""
        page = self._pages[level]
        return self._kept.window(level, window, _segment_size(page), self._piece)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()

    def _levels(self, page: Any) -> tuple[list[Any], list[str]]:
        """Return the pages of the pyramid, from fine to coarse: the series' own, else reduced pages."""
        series = self._tiff.series[0]
        candidates = [level.pages[0] for level in series.levels[1:]]
        if not candidates:
            candidates = [other for other in self._tiff.pages if other.index != page.index]
        self._check(page)
        chosen, left = [page], max(0, len(self._tiff.series) - 1) if candidates and len(series.levels) > 1 else 0
        for other in candidates:
            smaller = other.is_tiled and _is_reduced(page, other) and other.imagewidth < chosen[-1].imagewidth
            if smaller and self._shows(chosen[-1], other):
                chosen.append(other)
            else:
                left += 1
        for each in chosen[1:]:
            self._check(each)
        return chosen, [f"{left} other images in the file are left out"] if left else []

    def _check(self, page: Any) -> None:
        check_segments(self._path, page, self._path.stat().st_size)
        height, width = _segment_size(page)
        if height * width > LARGEST_PIXELS:
            raise UnreadableImage(self._path, "is one strip of pixels: write it in tiles (a pyramidal OME-TIFF)")

    def _shows(self, page: Any, other: Any) -> bool:
        """Return whether a page shows the same picture as another: it says so, or center and quarters correlate."""
        if other.is_reduced:
            return True
        scale, side = page.imagewidth / other.imagewidth, LIKE_PX
        if scale > LARGEST_STEP:
            return False
        own, small = (Kept(KEPT_BYTES) for _ in range(2))
        for share in (0.25, 0.5, 0.75):
            y, x = (max(0, int(share * length) - side // 2) for length in (other.imagelength, other.imagewidth))
            bottom, right = min(y + side, other.imagelength), min(x + side, other.imagewidth)
            last, end = min(int(bottom * scale), page.imagelength), min(int(right * scale), page.imagewidth)
            window = int(y * scale), int(x * scale), last, end
            there = small.window(0, (y, x, bottom, right), _segment_size(other), partial(self._piece_of, other))
            here = own.window(0, window, _segment_size(page), partial(self._piece_of, page))
            mean = np.asarray(cv2.resize(here, there.shape[1::-1], interpolation=cv2.INTER_AREA), np.float64)
            plain = [piece.std() <= PLAIN for piece in (mean, there)]
            if all(plain) and abs(mean.mean() - there.mean()) <= PLAIN:
                continue
            if any(plain) or np.corrcoef(mean.ravel(), there.ravel())[0, 1] < ALIKE:
                return False
        return True

    def _piece(self, level: int, row: int, col: int) -> NDArray[np.uint8]:
        return self._piece_of(self._pages[level], 0, row, col)

    def _piece_of(self, page: Any, _level: int, row: int, col: int) -> NDArray[np.uint8]:
        height, width = _segment_size(page)
        across, down = -(-page.imagewidth // width), -(-page.imagelength // height)
        index = row * across + col
        try:
            if page.planarconfig == SEPARATE:
                planes = [self._decoded(page, k * across * down + index) for k in range(page.samplesperpixel)]
                pixels = np.concatenate(planes, axis=-1)
            else:
                pixels = self._decoded(page, index)
        except Exception as error:  # codecs raise errors of their own
            raise self._damaged(error) from None
        pixels = pixels[: page.imagelength - row * height, : page.imagewidth - col * width]
        return rgb_of(page, pixels)[0]

    def _decoded(self, page: Any, index: int) -> NDArray[np.uint8]:
        handle = self._tiff.filehandle
        handle.seek(page.dataoffsets[index])
        data = handle.read(page.databytecounts[index])
        if len(data) < page.databytecounts[index]:
            raise ValueError("it ends too early")
        pixels, _, _ = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        if pixels is None:
            raise ValueError("a tile is missing")
        return np.asarray(pixels[0], np.uint8)

    def _damaged(self, error: Exception) -> UnreadableImage:
        reason = str(error).replace(str(self._path), self._path.name).splitlines()
        return UnreadableImage(
            self._path,
            f"is truncated or damaged ({reason[0] if reason else type(error).__name__}); write it again",
        )


def _segment_size(page: Any) -> tuple[int, int]:
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)), int(page.imagewidth)


def _is_reduced(page: Any, other: Any) -> bool:
    """Return whether a page can be a reduced version of another: same pixel type, same aspect but for rounding."""
    same = (other.samplesperpixel, other.dtype, other.planarconfig) == (
        page.samplesperpixel,
        page.dtype,
        page.planarconfig,
    )
    if not same or min(other.imagewidth, other.imagelength) < SMALLEST_LEVEL:
        return False
    across, down = page.imagewidth / other.imagewidth, page.imagelength / other.imagelength
    return bool(across >= 1.5 and abs(across / down - 1) < 2 / min(other.imagewidth, other.imagelength))
