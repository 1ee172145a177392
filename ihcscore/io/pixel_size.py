"""The pixel size that a file states, and the choice between it and the one that is given."""

import math
from pathlib import Path
from typing import Any

import tifffile
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree

from ihcscore.errors import MissingPixelSize, PixelSizeError
from ihcscore.geometry import COARSEST_MPP, FINEST_MPP, check_mpp

UM_PER_UNIT = {"µm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
DISAGREE = 0.02
"""Relative difference from which two pixel sizes disagree."""


def choose_pixel_size(
    path: Path, given: float | None, found: float | None, found_origin: str
) -> tuple[float, str, list[str]]:
    """Choose between the pixel size that was given and the one that a file states.

    Raises MissingPixelSize if there is none; PixelSizeError if it cannot be scored.

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
    notes : list of str
        Where they disagree.
    """
    mpp = given if given is not None else found
    if mpp is None:
        raise MissingPixelSize(path, "states no pixel size in um; give it with --mpp (a dpi tag is not a pixel size)")
    check_file_mpp(path, mpp)
    if given is None or found is None:
        return mpp, "given" if given is not None else found_origin, []
    notes = []
    if abs(found - given) > DISAGREE * given:
        notes.append(f"pixel size {given:g} um was given; the file says {found:g} ({found_origin})")
    return mpp, "given", notes


def check_file_mpp(path: Path, mpp: float) -> None:
    """Raise PixelSizeError, naming the file, for a pixel size that cannot be scored."""
    try:
        check_mpp(mpp)
    except ValueError as error:
        raise PixelSizeError(path, str(error)) from None


def tiff_pixel_size(path: Path, tiff: tifffile.TiffFile, page: Any) -> tuple[float | None, str]:
    """Return the pixel size that a TIFF states in um, or None, and where it states it."""
    if tiff.ome_metadata:
        found = square_pixels(path, *_ome_pixel_sizes(tiff.ome_metadata))
        if found is not None:
            return found, "OME-XML PhysicalSizeX"
    across, down = _stated_by_tags(tiff, page)
    return (None, "") if across is None else (square_pixels(path, across, down), "TIFF XResolution")


def size_notes(tiff: tifffile.TiffFile, page: Any, found: float | None) -> list[str]:
    """Return a note where a TIFF's tags state another pixel size than its OME-XML, which is used."""
    across, _ = _stated_by_tags(tiff, page)
    if found is None or across is None or abs(across - found) <= DISAGREE * found:
        return []
    return [f"the file's TIFF resolution says {across:g} um/px, its OME-XML {found:g}"]


def _stated_by_tags(tiff: tifffile.TiffFile, page: Any) -> tuple[float | None, float | None]:
    """Return the pixel size in a TIFF's tags, across and down; None where no microscope has it."""
    um = _um_per_resolution_unit(tiff, page)
    across, down = (_per_pixel(page.tags.get(name), um) for name in ("XResolution", "YResolution"))
    return (None, None) if across is None or not FINEST_MPP <= across <= 2 * COARSEST_MPP else (across, down)


def square_pixels(path: Path, across: float | None, down: float | None) -> float | None:
    """Return the pixel size if it is the same across and down, None if there is none."""
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
