"""What a segmenter says of each pixel, made once on canonical tiles, whatever window is asked for."""

from collections import OrderedDict
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.io.working import WorkingImage
from ihcscore.segment.base import MapSegmenter, PixelMaps

TILE_PX = 1024
"""Side of a tile, in working pixels: anchored at the image's origin, as the blocks are."""


@dataclass
class CanonicalMaps:
    """The maps of an image.

    Each pixel's maps are made in the tile that holds it, which is read with the segmenter's margin around it; beyond
    the image, the light is mirrored. They are kept for the next windows, so that the blocks, whose windows overlap,
    do not pay twice.

    Parameters
    ----------
    image : WorkingImage
    background : ndarray of shape (3,), dtype float64
        Light without tissue.
    segmenter : MapSegmenter
    keep : int, default 32
        Tiles that are kept, those used last; a tile takes `TILE_PX` ** 2 bytes for each plane.
    """

    image: WorkingImage
    background: NDArray[np.float64]
    segmenter: MapSegmenter
    keep: int = 32
    _tiles: OrderedDict[tuple[int, int], PixelMaps] = field(default_factory=OrderedDict, repr=False)

    def window(self, window: tuple[int, int, int, int]) -> PixelMaps:
        """Give the maps of a window.

        Parameters
        ----------
        window : tuple of int
            ``(y0, x0, y1, x1)`` in working pixels, half open, inside the image, with pixels.

        Returns
        -------
        ndarray of shape (y1 - y0, x1 - x0, planes), dtype uint8
        """
        y0, x0, y1, x1 = window
        rows = []
        for row in range(y0 // TILE_PX, -(-y1 // TILE_PX)):
            parts = []
            for col in range(x0 // TILE_PX, -(-x1 // TILE_PX)):
                top, left = row * TILE_PX, col * TILE_PX
                tile = self._tile(row, col)
                parts.append(tile[max(0, y0 - top) : y1 - top, max(0, x0 - left) : x1 - left])
            rows.append(np.concatenate(parts, axis=1))
        return np.concatenate(rows, axis=0)

    def _tile(self, row: int, col: int) -> PixelMaps:
        if (row, col) not in self._tiles:
            self._tiles[row, col] = self._make(row, col)
            while len(self._tiles) > self.keep:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end((row, col))
        return self._tiles[row, col]

    def _make(self, row: int, col: int) -> PixelMaps:
        height, width = self.image.frame.shape
        margin = self.segmenter.margin_px
        y0, x0 = row * TILE_PX, col * TILE_PX
        y1, x1 = min(y0 + TILE_PX, height), min(x0 + TILE_PX, width)
        top, left, bottom, right = y0 - margin, x0 - margin, y1 + margin, x1 + margin
        rgb = self.image.read((max(0, top), max(0, left), min(height, bottom), min(width, right)))
        beyond = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
        if any(beyond):
            rgb = np.asarray(cv2.copyMakeBorder(rgb, *beyond, cv2.BORDER_REFLECT), np.uint8)
        maps = self.segmenter.maps(rgb, self.background)
        return np.ascontiguousarray(maps[margin : margin + y1 - y0, margin : margin + x1 - x0])
