"""Open a slide or image, whatever file it is in.

To add a format: a reader with the methods of `ihcscore.io.slides.base.Slide`, and an entry in `FORMATS`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from ihcscore.errors import MissingExtra, UnreadableImage
from ihcscore.io.hashing import files_sha256
from ihcscore.io.images import TIFF_SIGNATURES, read_image
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide

NO_READER = (".czi", ".vsi", ".isyntax")
"""Formats whose pixels no free package reads well."""
CZI_SIGNATURE = b"ZISRAWFILE"
GENERIC = (None, "generic-tiff")
"""What OpenSlide calls files of no vendor that it knows."""
DICOM_AT = 128
SMALL_PIXELS = 16_000_000
"""A TIFF in strips up to this size is decoded whole."""


@dataclass(frozen=True)
class Format:
    """A kind of file that can be opened.

    Parameters
    ----------
    suffixes : tuple of str
        By which such files are found in folders, in lower case.
    is_slide : bool
        Whether it is read tile by tile, not as a whole.
    detects : callable
        Returns whether a file is of this kind, by its path and first bytes.
    open : callable
        Opens it, at a given pixel size or the one that it states.
    """

    name: str
    suffixes: tuple[str, ...]
    is_slide: bool
    detects: Callable[[Path, bytes], bool]
    open: Callable[[Path, float | None], Slide]


def open_slide(path: str | Path, mpp: float | None = None) -> Slide:
    """Open a slide or image, by its content.

    Parameters
    ----------
    path : str or Path
        What OpenSlide reads (SVS, NDPI, MRXS, SCN, BIF, VMS, Philips and Trestle TIFF, DICOM); OME-TIFF, QPTIFF and
        plain TIFF, tiled or in strips; PNG and JPEG.
    mpp : float, optional
        um per level-0 pixel; wins over what the file says.

    Returns
    -------
    Slide

    Raises
    ------
    UnreadableImage
        If it is none of these, or damaged.
    MissingPixelSize
        If neither `mpp` nor the file gives a pixel size.
    PixelSizeError
        If the pixel size cannot be scored.
    """
    path = Path(path)
    head = _head(path)
    if path.suffix.lower() in NO_READER or head.startswith(CZI_SIGNATURE):
        raise UnreadableImage(
            path,
            f"{path.suffix or 'CZI'} is not read: convert it to a pyramidal OME-TIFF, for instance with QuPath "
            "(File > Export images) or bfconvert",
        )
    found = next(each for each in FORMATS if each.detects(path, head))
    if not found.is_slide and path.suffix.lower() in VENDOR_SUFFIXES and head[:4] not in TIFF_SIGNATURES:
        raise UnreadableImage(path, f"is not a slide of the kind its name says ({path.suffix}), or is damaged")
    return found.open(path, mpp)


def is_slide(path: Path) -> bool:
    """Return whether a file is a slide, not an image that is read whole; one without reader counts as a slide.

    Raises UnreadableImage if it cannot be read, or is damaged.
    """
    head = _head(path)
    if path.suffix.lower() in VENDOR_SUFFIXES + NO_READER:
        return True
    return next(each for each in FORMATS if each.detects(path, head)).is_slide


def _is_dicom(path: Path, head: bytes) -> bool:
    return head[DICOM_AT : DICOM_AT + 4] == b"DICM"


def _open_dicom(path: Path, mpp: float | None) -> Slide:
    """Open a DICOM slide by OpenSlide; what it refuses (JPEG-LS, for instance), by wsidicom, with a note."""
    from ihcscore.io.slides.dicom import DicomSlide
    from ihcscore.io.slides.vendor import VendorSlide

    try:
        return VendorSlide(path, mpp)
    except UnreadableImage as refusal:
        try:
            return DicomSlide(path, mpp, ("OpenSlide refuses this DICOM, wsidicom reads it",))
        except MissingExtra as missing:
            raise UnreadableImage(path, f"{refusal.problem}; or let wsidicom try: {missing}") from None


def _has_vendor(path: Path, head: bytes) -> bool:
    """Ask OpenSlide whether it knows the file."""
    if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
        return False
    import openslide

    try:
        return openslide.OpenSlide.detect_format(path) not in GENERIC
    except openslide.OpenSlideError as error:
        raise UnreadableImage(path, f"is truncated or damaged ({str(error).splitlines()[0]}): copy it again") from None


def _open_vendor(path: Path, mpp: float | None) -> Slide:
    from ihcscore.io.slides.vendor import VendorSlide

    return VendorSlide(path, mpp)


def _is_large_tiff(path: Path, head: bytes) -> bool:
    """Return whether a file is a TIFF to be read piece by piece: tiled, a pyramid, or large."""
    if head[:4] not in TIFF_SIGNATURES:
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.series[0].levels[0].pages[0]
            large = page.imagewidth * page.imagelength > SMALL_PIXELS
            return bool(large or len(tiff.series[0].levels) > 1 or (page.is_tiled and len(tiff.pages) > 1))
    except Exception:  # `read_image` reports what is wrong with it
        return False


def _open_tiff(path: Path, mpp: float | None) -> Slide:
    from ihcscore.io.slides.tiff import TiffSlide

    return TiffSlide(path, mpp)


def _open_image(path: Path, mpp: float | None) -> Slide:
    source = read_image(path, mpp)
    return ArraySlide(source.rgb, source.mpp, source.mpp_origin, source.name, (path,), source.notes, "whole file")


VENDOR_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".dcm")
"""Of files that are slides or damaged."""
FORMATS = (
    Format("DICOM", (".dcm",), True, _is_dicom, _open_dicom),
    Format("slide of a scanner, by OpenSlide", VENDOR_SUFFIXES, True, _has_vendor, _open_vendor),
    Format("TIFF, pyramid or large", (".tif", ".tiff", ".qptiff", ".btf", ".tf8"), True, _is_large_tiff, _open_tiff),
    Format("image", (".png", ".jpg", ".jpeg", ".tif", ".tiff"), False, lambda path, head: True, _open_image),
)
"""Every kind of file that can be opened; the first that detects a file opens it."""
SUFFIXES = tuple(sorted({suffix for each in FORMATS for suffix in each.suffixes}))
"""Suffixes of the files that are taken of a folder."""


def slide_sha256(slide: Slide) -> str:
    """Return the SHA-256 of everything that a slide is stored in, whichever of its files was named.

    Raises UnreadableImage if it cannot be read.
    """
    return files_sha256(sorted(slide.files, key=lambda path: path.name))


def one_per_series(paths: Iterable[Path]) -> list[Path]:
    """Return one DICOM file of each slide, and all other files; what cannot be opened is kept."""
    kept, known = [], set[str]()
    for path in paths:
        series = _series(path) if path.suffix.lower() == ".dcm" else None
        if series is None or series not in known:
            kept.append(path)
        if series is not None:
            known.add(series)
    return kept


def _series(path: Path) -> str | None:
    import openslide

    from ihcscore.io.slides.dicom import series_of

    try:
        with openslide.OpenSlide(path) as opened:
            return opened.properties.get("dicom.SeriesInstanceUID")
    except (openslide.OpenSlideError, OSError):
        return series_of(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(DICOM_AT + 4)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from error
