"""Open a slide or image, whatever file it is in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tifffile

from ihcscore.errors import MissingExtra, UnreadableImage
from ihcscore.io.hashing import files_sha256
from ihcscore.io.images import TIFF_SIGNATURES, read_image
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide

SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".dcm")
CONVERTIBLE = (".czi", ".vsi", ".isyntax")
"""Formats of which no free package reads the pixels well."""
CZI_SIGNATURE = b"ZISRAWFILE"
GENERIC = (None, "generic-tiff")
"""What OpenSlide calls files that it knows no vendor of."""
DICOM_AT = 128
SMALL_PIXELS = 16_000_000
"""A TIFF in strips up to this size is decoded whole."""


def open_slide(path: str | Path, mpp: float | None = None) -> Slide:
    """Open a slide, told by its content.

    Parameters
    ----------
    path : str or Path
        What OpenSlide reads (SVS, NDPI, MRXS, SCN, BIF, VMS, Philips and Trestle TIFF, DICOM); OME-TIFF and plain TIFF,
        tiled or in strips; PNG and JPEG.
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
    if path.suffix.lower() in CONVERTIBLE or head.startswith(CZI_SIGNATURE):
        raise UnreadableImage(
            path,
            f"{path.suffix or 'CZI'} is not read: convert it to a pyramidal OME-TIFF, for instance with QuPath "
            "(File > Export images) or bfconvert",
        )
    if head[DICOM_AT : DICOM_AT + 4] == b"DICM":
        return _open_dicom(path, mpp)
    if _vendor(path) not in GENERIC:
        from ihcscore.io.slides.vendor import VendorSlide

        return VendorSlide(path, mpp)
    if head[:4] in TIFF_SIGNATURES and _is_large(path):
        from ihcscore.io.slides.tiff import TiffSlide

        return TiffSlide(path, mpp)
    if path.suffix.lower() in SLIDE_SUFFIXES and head[:4] not in TIFF_SIGNATURES:
        raise UnreadableImage(path, f"is not a slide of the kind its name says ({path.suffix}), or is damaged")
    source = read_image(path, mpp)
    return ArraySlide(source.rgb, source.mpp, source.mpp_origin, source.name, (path,), source.notes, "whole file")


def is_slide(path: Path) -> bool:
    """Tell whether a file is a slide, not an image that is read whole; what cannot be converted counts as one.

    Raises
    ------
    UnreadableImage
        If it cannot be read, or is damaged.
    """
    head = _head(path)
    if path.suffix.lower() in SLIDE_SUFFIXES + CONVERTIBLE or head[DICOM_AT : DICOM_AT + 4] == b"DICM":
        return True
    return head[:4] in TIFF_SIGNATURES and (_vendor(path) not in GENERIC or _is_large(path))


def _open_dicom(path: Path, mpp: float | None) -> Slide:
    """Open a DICOM slide by OpenSlide; what it refuses (JPEG-LS, for instance), by wsidicom, and say so."""
    from ihcscore.io.slides.dicom import DicomSlide
    from ihcscore.io.slides.vendor import VendorSlide

    try:
        return VendorSlide(path, mpp)
    except UnreadableImage as refusal:
        try:
            return DicomSlide(path, mpp, ("OpenSlide refuses this DICOM, wsidicom reads it",))
        except MissingExtra as missing:
            raise UnreadableImage(path, f"{refusal.problem}; or let wsidicom try: {missing}") from None


def slide_sha256(slide: Slide) -> str:
    """Give the SHA-256 of everything a slide is stored in, whichever of its files was named; of one, that of its bytes.

    Raises
    ------
    UnreadableImage
        If it cannot be read.
    """
    return files_sha256(tuple(sorted(slide.files, key=lambda path: path.name)))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(DICOM_AT + 4)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read: {error.strerror or error}") from error


def _vendor(path: Path) -> str | None:
    """Ask OpenSlide what the file is; None where it does not know it, or its beginning is damaged."""
    if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
        return None
    import openslide

    try:
        found = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError as error:
        raise UnreadableImage(path, f"is truncated or damaged ({str(error).splitlines()[0]}): copy it again") from None
    return None if found is None else str(found)


def one_per_series(paths: Iterable[Path]) -> list[Path]:
    """Leave out DICOM files of a slide that another one among them belongs to; what cannot be opened stays."""
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


def _is_large(path: Path) -> bool:
    """Tell whether a TIFF is to be read piece by piece: tiled, a pyramid, or large."""
    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.series[0].levels[0].pages[0]
            large = page.imagewidth * page.imagelength > SMALL_PIXELS
            return bool(large or len(tiff.series[0].levels) > 1 or (page.is_tiled and len(tiff.pages) > 1))
    except Exception:  # `read_image` says what is wrong with it
        return False
