"""Selections of ImageJ: one .roi, or a .zip of them."""

import io
import zipfile
from typing import Any

import numpy as np
import shapely

from ihcscore.io.regions.base import Drawn, NotARegionFile, areas_of, polygon

MOST_SELECTIONS = 100_000
LARGEST_BYTES = 200_000_000
"""Of a zip, unpacked."""


def read_imagej(data: bytes) -> Drawn:
    """Read selections; ImageJ's area selections follow the corners of pixels, as the regions here.

    Raises NotARegionFile if it is neither a selection nor a zip of them.
    """
    import roifile

    drawn = Drawn()
    for name, content in _contents(data):
        try:
            selection: Any = roifile.ImagejRoi.frombytes(content)
            rings = selection.coordinates(multi=True)
            kind = selection.roitype.name
        except Exception as error:  # a damaged selection raises whatever it leads to
            raise NotARegionFile(f"holds a selection that cannot be read ({type(error).__name__})") from None
        if kind not in ("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED"):
            drawn.skip("line or point")
            continue
        drawn.shapes.append((selection.name or name, "", _area(rings, drawn)))
    return drawn


def _contents(data: bytes) -> list[tuple[str, bytes]]:
    if data[:4] == b"Iout":
        return [("", data)]
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".roi")]
            if len(entries) > MOST_SELECTIONS or sum(entry.file_size for entry in entries) > LARGEST_BYTES:
                raise NotARegionFile("unpacks to more than a set of selections holds")
            return [(entry.filename.rsplit("/")[-1][:-4], archive.read(entry)) for entry in entries]
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        if isinstance(error, NotARegionFile):
            raise
        raise NotARegionFile("is neither an ImageJ selection nor a zip of them") from None


def _area(rings: Any, drawn: Drawn) -> Any:
    """Put the rings of a selection together: inside an odd number of them is inside."""
    whole = shapely.Polygon()
    for each in rings:
        if len(np.unique(np.asarray(each), axis=0)) > 2:
            whole = shapely.symmetric_difference(whole, drawn.mend(polygon(each)))
    return areas_of(whole)
