"""Regions that pathologists drew, in the formats of the tools they draw in."""

from ihcscore.io.regions.base import Region, RegionFile
from ihcscore.io.regions.finding import REGION_ENDINGS, TilePlace, regions_for, tile_place
from ihcscore.io.regions.reading import read_regions, write_regions

__all__ = [
    "REGION_ENDINGS",
    "Region",
    "RegionFile",
    "TilePlace",
    "read_regions",
    "regions_for",
    "tile_place",
    "write_regions",
]
