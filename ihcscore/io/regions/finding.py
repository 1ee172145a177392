"""Which file holds an image's regions, and where a tile lies on its slide."""

import re
from dataclasses import dataclass
from pathlib import Path

from ihcscore.io.sidecars import file_for, names_of

REGION_SUFFIXES = (".geojson", ".json", ".xml", ".roi", ".zip", ".png", ".tif", ".tiff")
REGION_ENDINGS = ("", "_regions", "_annotations", "_mask")
"""What may follow an image's stem before the suffix."""


@dataclass(frozen=True)
class TilePlace:
    """Where a tile lies on its slide.

    Parameters
    ----------
    slide : str
        Name of the slide, as the tile's name has it.
    x, y : float
        Level-0 pixels of the slide.
    width, height : float
        In level-0 pixels of the slide.
    downsample : float
        Level-0 pixels of the slide per pixel of the tile.
    """

    slide: str
    x: float
    y: float
    width: float
    height: float
    downsample: float = 1.0


_PLACE = re.compile(r"^(?P<slide>.*?)\s*\[(?P<fields>[^\[\]]*)\][^\[\]]*$")


def tile_place(name: str) -> TilePlace | None:
    """Read the place that QuPath writes into the name of an exported tile.

    Parameters
    ----------
    name : str
        File name.

    Returns
    -------
    TilePlace or None
        None where the name holds no place.

    Examples
    --------
    >>> tile_place("case 7 [d=2,x=100,y=50,w=512,h=256].png")
    TilePlace(slide='case 7', x=100.0, y=50.0, width=512.0, height=256.0, downsample=2.0)
    >>> tile_place("case 7 [red].png")
    """
    match = _PLACE.match(name)
    if match is None:
        return None
    try:
        fields = {key.strip(): float(value) for key, value in (part.split("=") for part in match["fields"].split(","))}
    except ValueError:
        return None
    needed = [fields.get(key, -1.0) for key in ("x", "y", "w", "h")]
    downsample = fields.get("d", 1.0)
    if min(needed[:2]) < 0 or min(needed[2:]) <= 0 or downsample <= 0:
        return None
    x, y, width, height = needed
    return TilePlace(match["slide"], x, y, width, height, downsample)


def regions_for(image: Path, given: Path) -> Path:
    """Find an image's file of regions. Raises InputError if the folder holds no such file, or several.

    Parameters
    ----------
    image : Path
        The image.
    given : Path
        A file, or a folder that holds one of `names_of` plus one of `REGION_ENDINGS` and `REGION_SUFFIXES`.
    """
    names = [f"{name}{e}{s}" for name in names_of(image) for e in REGION_ENDINGS for s in REGION_SUFFIXES]
    return file_for(image, given, names, "regions")
