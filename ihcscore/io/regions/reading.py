"""Read a file of regions, whatever its format, and check that they fit the slide."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ihcscore.errors import InputError
from ihcscore.io.atomic import write_bytes
from ihcscore.io.regions.base import Drawn, NotARegionFile, Region, RegionFile, areas_of, named, repaired
from ihcscore.io.regions.geojson import read_geojson
from ihcscore.io.regions.imagej import read_imagej
from ihcscore.io.regions.masks import read_mask
from ihcscore.io.regions.xml import read_xml

LARGEST_BYTES = 2_000_000_000
NAMED = 3
"""Regions that a message names."""

Move = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def read_regions(path: str | Path, dimensions: tuple[int, int], mpp: float, move: Move | None = None) -> RegionFile:
    """Read the regions of a slide.

    Parameters
    ----------
    path : str or Path
        QuPath GeoJSON, ImageScope or ASAP XML, ImageJ .roi or .zip, or a mask as PNG or TIFF; detected by content.
    dimensions : tuple of int
        Width and height of the slide, level 0.
    mpp : float
        um per level-0 pixel.
    move : callable, optional
        Converts positions in the file, shape (n, 2), to level-0 pixels; those of a mask are so already.

    Returns
    -------
    RegionFile
        Its notes say what was left out, repaired or clipped.

    Raises
    ------
    InputError
        If it cannot be read, holds no regions, or regions outside the slide.
    """
    path = Path(path)
    data = _bytes(path)
    try:
        drawn, is_mask = _drawn(data, dimensions)
        if not drawn.shapes:
            kinds = ", ".join(f"{count} of kind {kind}" for kind, count in drawn.left_out.items())
            raise NotARegionFile(f"holds no regions{f', only {kinds}' if kinds else ''}")
        shapes = drawn.shapes if move is None or is_mask else [(n, c, _moved(g, move)) for n, c, g in drawn.shapes]
        regions, notes = _fitted(named(shapes), dimensions)
    except NotARegionFile as error:
        raise InputError(path, str(error)) from None
    notes += [f"{count} of kind {kind} left out" for kind, count in drawn.left_out.items()]
    notes += [f"{drawn.mended} outlines that cross themselves were repaired"] if drawn.mended else []
    texts = tuple(f"{path.name}: {note}" for note in notes)
    return RegionFile(path.name, hashlib.sha256(data).hexdigest(), tuple(regions), texts)


def write_regions(path: Path, regions: Sequence[Region]) -> None:
    """Write regions as GeoJSON, which QuPath opens and `read_regions` reads back.

    Raises OutputError if it cannot be written.
    """
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(region.geometry)),
            "properties": {
                "objectType": "annotation",
                "name": region.name,
                **({"classification": {"name": region.classification}} if region.classification else {}),
            },
        }
        for region in regions
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    write_bytes(path, text.encode())


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(path, "is too large for a file of regions")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise InputError(path, "is empty")
    return data


def _drawn(data: bytes, dimensions: tuple[int, int]) -> tuple[Drawn, bool]:
    """Read a file by its content; return also whether it was a mask."""
    text = data[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return read_geojson(data.removeprefix(b"\xef\xbb\xbf")), False
    if text[:1] == b"<":
        return read_xml(data), False
    if data[:4] in (b"Iout", b"PK\x03\x04", b"PK\x05\x06"):
        return read_imagej(data), False
    if data[:4] in (b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return read_mask(data, dimensions), True
    raise NotARegionFile("is no QuPath GeoJSON, ImageScope or ASAP XML, ImageJ selection, or mask")


def _moved(geometry: Any, move: Move) -> Any:
    return shapely.transform(geometry, move)


def _fitted(regions: Sequence[Region], dimensions: tuple[int, int]) -> tuple[list[Region], list[str]]:
    """Repair what crosses itself, clip what reaches beyond the slide, refuse what lies outside of it."""
    slide = shapely.box(0, 0, *dimensions)
    given = np.array([region.geometry for region in regions], object)
    valid = shapely.is_valid(given)
    fixed = given.copy()
    fixed[~valid] = [repaired(shape) for shape in given[~valid]]
    beyond = ~shapely.covers(slide, fixed)
    fixed[beyond] = [areas_of(shape) for shape in shapely.intersection(fixed[beyond], slide)]
    empty = shapely.area(fixed) == 0
    if empty.any():
        names = [region.name for region, out in zip(regions, empty, strict=True) if out]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise NotARegionFile(
            f"{', '.join(names[:NAMED])}{more}: outside the slide of {dimensions[0]} x {dimensions[1]} pixels, or "
            "without area; is it of another slide or another --origin, or drawn on a tile whose name states a place?"
        )
    mended = ", ".join(region.name for region, is_valid in zip(regions, valid, strict=True) if not is_valid)
    notes = [f"{(~valid).sum()} outlines that cross themselves were repaired: {mended}"] if mended else []
    notes += [f"{beyond.sum()} regions reach beyond the slide and were clipped"] if beyond.any() else []
    return [Region(r.name, r.classification, shape) for r, shape in zip(regions, fixed.tolist(), strict=True)], notes
