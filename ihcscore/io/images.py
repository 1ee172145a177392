"""Read a PNG, JPEG or TIFF as 8-bit RGB with its pixel size, and refuse what would be scored wrongly."""

import hashlib
import io
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ihcscore.errors import EmptyImage, MissingPixelSize, PixelSizeError, UnreadableImage
from ihcscore.geometry import COARSEST_MPP, FINEST_MPP, check_mpp

LARGEST_PIXELS = 300_000_000
"""A plain image is decoded whole; beyond this it is refused (also a guard against decompression bombs)."""

TOO_LARGE = f"has more than the {LARGEST_PIXELS / 1e6:.0f} megapixels that are decoded whole: cut it into tiles"

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
TIFF_COLORS = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
"""Read as stored; grey is refused by its one channel."""
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UM_PER_UNIT = {"µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
DISAGREE = 0.02
"""Relative difference from which two pixel sizes disagree."""
EXIF_ORIENTATION = 0x0112
TRANSPARENT_NOTE = "transparent pixels laid over white"
UNSTATED_NOTE = "a fourth channel that is not stated to be transparency left out"
UNSPECIFIED, PREMULTIPLIED = 0, 1
"""What TIFF's ExtraSamples says of a fourth channel."""
ORIENTATION_NOTE = "orientation tag left out: pixels as stored"


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
        PNG, JPEG, flat TIFF or OME-TIFF, 8-bit colour.
    mpp : float, optional
        um per pixel; wins over what the file says. Needed where the file says nothing: the dpi tags of PNG and JPEG,
        and resolutions a printer would have in TIFF, are never taken as a pixel size.

    Returns
    -------
    SourceImage

    Raises
    ------
    UnreadableImage
        If it is missing, no image, truncated, too large, 16-bit, grey or CMYK.
    MissingPixelSize
        If neither `mpp` nor the file gives a pixel size.
    PixelSizeError
        If the pixel size is not positive or coarser than 1.0 um.
    EmptyImage
        If it has no pixels.
    """
    path = Path(path)
    if mpp is not None:
        _check_mpp(path, mpp)
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


def choose_pixel_size(
    path: Path, given: float | None, found: float | None, found_origin: str
) -> tuple[float, str, list[str]]:
    """Choose between the pixel size that was given and the one that a file states.

    Parameters
    ----------
    path : Path
        The file.
    given, found : float or None
        um per pixel; what was given wins.
    found_origin : str
        Where the file states it.

    Returns
    -------
    mpp : float
    origin : str
    notes : list of str
        Where they disagree.

    Raises
    ------
    MissingPixelSize
        If there is none.
    PixelSizeError
        If it cannot be scored.
    """
    mpp = given if given is not None else found
    if mpp is None:
        raise MissingPixelSize(path, "states no pixel size in um; give it with --mpp (a dpi tag is not a pixel size)")
    _check_mpp(path, mpp)
    if given is None or found is None:
        return mpp, "given" if given is not None else found_origin, []
    notes = []
    if abs(found - given) > DISAGREE * given:
        notes.append(f"pixel size {given:g} um was given; the file says {found:g} ({found_origin})")
    return mpp, "given", notes


def _check_mpp(path: Path, mpp: float) -> None:
    try:
        check_mpp(mpp)
    except ValueError as error:
        raise PixelSizeError(path, str(error)) from None


def _decode_flat(path: Path, data: bytes) -> _Decoded:
    """Decode PNG and JPEG; anything else that Pillow knows is refused, not guessed at."""
    if data[:4] == b"\x89PNG" and data[24:25] == b"\x10":  # Pillow drops the lower 8 bits without a word
        raise UnreadableImage(path, "has 16 bits per channel: export it as 8-bit RGB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                _check_size(path, image.width, image.height)
                _check_mode(path, image)
                return _to_rgb(image, data)
    except Image.DecompressionBombError:
        raise UnreadableImage(path, TOO_LARGE) from None
    except UnidentifiedImageError:
        raise UnreadableImage(path, "is not a PNG, JPEG or TIFF image") from None
    except (OSError, SyntaxError, ValueError, imagecodecs.PngError) as error:
        raise UnreadableImage(path, f"is truncated or damaged ({error}); write it again from its source") from None


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST_PIXELS:
        raise UnreadableImage(path, f"{width} x {height}: {TOO_LARGE}")


def _check_mode(path: Path, image: Image.Image) -> None:
    if image.mode in ("RGB", "RGBA", "P"):
        return
    problem = {
        "L": "is grey: stains cannot be told apart without color; export it in RGB",
        "LA": "is grey: stains cannot be told apart without color; export it in RGB",
        "1": "is black and white: stains cannot be told apart without color; export it in RGB",
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


def over_white(rgba: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Lay transparent pixels over white; tell whether all were opaque."""
    alpha = rgba[..., 3:]
    if (alpha == 255).all():
        return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8), True
    share = alpha.astype(np.float32) / 255
    blended = rgba[..., :3] * share + 255 * (1 - share)
    return np.rint(blended).astype(np.uint8), False


def rgb_of(page: Any, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[str]]:
    """Give the colours of a TIFF's pixels, shape (M, N, 3 or 4), and what was done with a fourth channel."""
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
    """Say what is done with a fourth channel of a TIFF that is read piece by piece."""
    if page.samplesperpixel == 3:
        return []
    return [UNSTATED_NOTE if _fourth_channel(page) == UNSPECIFIED else f"{TRANSPARENT_NOTE}, if there are any"]


def _fourth_channel(page: Any) -> int:
    return int(page.extrasamples[0]) if page.extrasamples else UNSPECIFIED


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
    _check_size(path, shape["X"], shape["Y"])


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
    """Say that a TIFF page asks to be turned or mirrored, which nobody does here: outlines lie on pixels as stored."""
    tag = page.tags.get("Orientation")
    return [ORIENTATION_NOTE] if tag is not None and tag.value not in (0, 1) else []


def tiff_pixel_size(path: Path, tiff: tifffile.TiffFile, page: Any) -> tuple[float | None, str]:
    """Give the pixel size that a TIFF states in um, or None, and where it states it."""
    if tiff.ome_metadata:
        found = square_pixels(path, *_ome_pixel_sizes(tiff.ome_metadata))
        if found is not None:
            return found, "OME-XML PhysicalSizeX"
    across, down = _stated_by_tags(tiff, page)
    return (None, "") if across is None else (square_pixels(path, across, down), "TIFF XResolution")


def size_notes(tiff: tifffile.TiffFile, page: Any, found: float | None) -> list[str]:
    """Say so where a TIFF's tags state another pixel size than its OME-XML, which counts."""
    across, _ = _stated_by_tags(tiff, page)
    if found is None or across is None or abs(across - found) <= DISAGREE * found:
        return []
    return [f"the file's TIFF resolution says {across:g} um/px, its OME-XML {found:g}"]


def _stated_by_tags(tiff: tifffile.TiffFile, page: Any) -> tuple[float | None, float | None]:
    """Give the pixel size in TIFF's tags, across and down; None where it is none of a microscope."""
    um = _um_per_resolution_unit(tiff, page)
    across, down = (_per_pixel(page.tags.get(name), um) for name in ("XResolution", "YResolution"))
    return (None, None) if across is None or not FINEST_MPP <= across <= 2 * COARSEST_MPP else (across, down)


def square_pixels(path: Path, across: float | None, down: float | None) -> float | None:
    """Give the pixel size if it is the same across and down, None if there is none."""
    if across is not None and down is not None and abs(across - down) > DISAGREE * across:
        raise PixelSizeError(path, f"has pixels of {across:g} x {down:g} um: resample it to square ones")
    return across


def _per_pixel(resolution: Any, um: float | None) -> float | None:
    if resolution is None or um is None:
        return None
    numerator, denominator = resolution.value
    return um * denominator / numerator if numerator and denominator else None


def _um_per_resolution_unit(tiff: tifffile.TiffFile, page: Any) -> float | None:
    unit = (tiff.imagej_metadata or {}).get("unit")
    if unit is not None:
        return _um_per(str(unit).replace("\\u00B5", "µ"))
    tag = page.tags.get("ResolutionUnit")
    return {2: 25400.0, 3: 10000.0}.get(int(tag.value)) if tag is not None else None


def _um_per(unit: str) -> float | None:
    return UM_PER_UNIT.get(unit.strip().lower().replace("\u03bc", "µ"))  # Greek mu is not the micro sign


def _ome_pixel_sizes(xml: str) -> tuple[float | None, float | None]:
    """Read the pixel size of the first image across and down; nothing else of the metadata is kept."""
    try:
        pixels = next(element for element in SafeTree.fromstring(xml).iter() if element.tag.endswith("}Pixels"))
    except (SafeTree.ParseError, DefusedXmlException, StopIteration):
        return None, None
    return _ome_length(pixels, "PhysicalSizeX"), _ome_length(pixels, "PhysicalSizeY")


def _ome_length(pixels: Any, name: str) -> float | None:
    um = _um_per(pixels.get(f"{name}Unit", "µm"))
    try:
        value = float(pixels.get(name, "")) * (um or math.nan)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
