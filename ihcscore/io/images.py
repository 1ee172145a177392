"""Read a PNG, JPEG or TIFF as 8-bit RGB with its pixel size, and refuse what would be scored wrongly."""

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ihcscore.errors import EmptyImage, PixelSizeError, UnreadableImage
from ihcscore.io.color_channels import TRANSPARENT_NOTE, over_white, rgb_of
from ihcscore.io.pixel_size import check_file_mpp, choose_pixel_size, size_notes, tiff_pixel_size
from ihcscore.io.tiff_checks import (
    ORIENTATION_NOTE,
    TOO_LARGE,
    check_segments,
    check_size,
    check_tiff,
    orientation_notes,
)

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class SourceImage:
    """An image file's pixels and what is known of it.

    Parameters
    ----------
    name : str
        File name without folders.
    sha256 : str
        Of the file's bytes.
    rgb : ndarray of shape (M, N, 3), dtype uint8
        The pixels, level 0.
    mpp : float
        um per pixel.
    mpp_origin : str
        Where the pixel size comes from.
    notes : tuple of str
        What was decided while reading, for the result.
    """

    name: str
    sha256: str
    rgb: NDArray[np.uint8]
    mpp: float
    mpp_origin: str
    notes: tuple[str, ...] = ()


@dataclass
class _Decoded:
    rgb: NDArray[np.uint8]
    mpp: float | None = None
    mpp_origin: str = ""
    notes: list[str] = field(default_factory=list)


def read_image(path: str | Path, mpp: float | None = None) -> SourceImage:
    """Read an image for scoring.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG, flat TIFF or OME-TIFF, 8-bit color.
    mpp : float, optional
        um per pixel; wins over what the file says. Needed where the file says nothing: the dpi tags of PNG and JPEG,
        and resolutions a printer would have in TIFF, are never taken as a pixel size.

    Returns
    -------
    SourceImage

    Raises
    ------
    UnreadableImage
        If it is missing, no image, truncated, too large, 16-bit, gray or CMYK.
    MissingPixelSize
        If neither `mpp` nor the file gives a pixel size.
    PixelSizeError
        If the pixel size is not positive or coarser than 1.0 um.
    EmptyImage
        If it has no pixels.
    """
    path = Path(path)
    if mpp is not None:
        check_file_mpp(path, mpp)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from error
    decoded = _decode_tiff(path, data) if data[:4] in TIFF_SIGNATURES else _decode_flat(path, data)
    if decoded.rgb.size == 0:
        raise EmptyImage(path, "has no pixels")
    chosen, origin, notes = choose_pixel_size(path, mpp, decoded.mpp, decoded.mpp_origin)
    return SourceImage(
        printable_name(path.name),
        hashlib.sha256(data).hexdigest(),
        decoded.rgb,
        chosen,
        origin,
        (*decoded.notes, *notes),
    )


def printable_name(name: str) -> str:
    """Replace what is not text, as in file names that are not UTF-8."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _decode_flat(path: Path, data: bytes) -> _Decoded:
    """Decode PNG and JPEG; anything else that Pillow knows is refused, not guessed at."""
    if data[:4] == b"\x89PNG" and data[24:25] == b"\x10":  # Pillow drops the lower 8 bits without a word
        raise UnreadableImage(path, "has 16 bits per channel: export it as 8-bit RGB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                check_size(path, image.width, image.height)
                _check_mode(path, image)
                return _to_rgb(image, data)
    except Image.DecompressionBombError:
        raise UnreadableImage(path, TOO_LARGE) from None
    except UnidentifiedImageError:
        raise UnreadableImage(path, "is not a PNG, JPEG or TIFF image") from None
    except (OSError, SyntaxError, ValueError, imagecodecs.PngError) as error:
        raise UnreadableImage(path, f"is truncated or damaged ({error}); write it again from its source") from None


def _check_mode(path: Path, image: Image.Image) -> None:
    if image.mode in ("RGB", "RGBA", "P"):
        return
    problem = {
        "L": "is gray: stains cannot be separated without color; export it in RGB",
        "LA": "is gray: stains cannot be separated without color; export it in RGB",
        "1": "is black and white: stains cannot be separated without color; export it in RGB",
        "CMYK": "is CMYK, made for printing: export it from its source in RGB",
    }.get(image.mode, f"has pixels of type {image.mode}: export it as 8-bit RGB")
    raise UnreadableImage(path, problem)


def _to_rgb(image: Image.Image, data: bytes) -> _Decoded:
    """Decode a file that Pillow has opened."""
    notes = ["palette colors expanded"] if image.mode == "P" else []
    # Pillow decodes a PNG to look for EXIF data behind its pixels
    if "exif" in image.info and image.getexif().get(EXIF_ORIENTATION, 1) != 1:
        notes.append(ORIENTATION_NOTE)
    if image.mode == "RGB" and "transparency" not in image.info:
        plain = image.format == "PNG"  # imagecodecs reads the same pixels in half the time
        return _Decoded(imagecodecs.png_decode(data) if plain else np.asarray(image), notes=notes)
    rgba = np.asarray(image.convert("RGBA"))
    rgb, opaque = over_white(rgba)
    return _Decoded(rgb, notes=notes + ([] if opaque else [TRANSPARENT_NOTE]))


def _decode_tiff(path: Path, data: bytes) -> _Decoded:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            series = tiff.series[0]
            page = series.pages[0]
            shape = dict(zip(series.axes, series.shape, strict=True))
            check_tiff(path, series, page, shape)
            for each in series.pages:
                check_segments(path, each, len(data))
            pixels = series.asarray()
            axes = [axis for axis in series.axes if shape[axis] > 1 or axis in "YXS"]
            pixels = pixels.reshape([shape[axis] for axis in axes])
            if axes.index("S") == 0:
                pixels = np.moveaxis(pixels, 0, -1)
            mpp, origin = tiff_pixel_size(path, tiff, page)
            notes = [*orientation_notes(page), *size_notes(tiff, page, mpp)]
    except (UnreadableImage, PixelSizeError):
        raise
    except Exception as error:  # damaged tags and tiles raise whatever they lead to
        raise UnreadableImage(path, f"is truncated or damaged ({error}); write it again from its source") from None
    pixels, more = rgb_of(page, pixels)
    notes += more
    if len(tiff.series) > 1:
        notes.append(f"first of {len(tiff.series)} images in the file")
    return _Decoded(pixels, mpp, origin, notes)
