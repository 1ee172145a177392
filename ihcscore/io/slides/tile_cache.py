"""Decoded pieces of a slide that are kept for the next windows."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray


@dataclass
class Kept:
    """The pieces that were used last.

    Parameters
    ----------
    limit : int
        Bytes that they take together at most; the last one is always kept.
    """

    limit: int
    _pieces: OrderedDict[Hashable, NDArray[np.uint8]] = field(default_factory=OrderedDict, repr=False)
    _bytes: int = 0

    def get(self, key: Hashable, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return a tile, decoding it if it is not in the cache."""
        if key not in self._pieces:
            piece = make()
            self._bytes += piece.nbytes
            self._pieces[key] = piece
            while self._bytes > self.limit and len(self._pieces) > 1:
                _, old = self._pieces.popitem(last=False)
                self._bytes -= old.nbytes
        self._pieces.move_to_end(key)
        return self._pieces[key]

    def window(
        self,
        level: int,
        window: tuple[int, int, int, int],
        size: tuple[int, int],
        make: Callable[[int, int, int], NDArray[np.uint8]],
    ) -> NDArray[np.uint8]:
        """Put a window of a level together from its pieces.

        Parameters
        ----------
        window : tuple of int
            ``(y0, x0, y1, x1)`` in pixels of the level, half open, inside it.
        size : tuple of int
            Height and width of a piece; those at the far edges can be smaller.
        make : callable
            Decodes the piece of a level, row and column.

        Returns
        -------
        ndarray of shape (y1 - y0, x1 - x0, 3), dtype uint8
        """
        y0, x0, y1, x1 = window
        height, width = size
        out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        for row in range(y0 // height, -(-y1 // height)):
            for col in range(x0 // width, -(-x1 // width)):
                piece = self.get((level, row, col), partial(make, level, row, col))
                top, left = row * height, col * width
                bottom, right = top + piece.shape[0], left + piece.shape[1]
                a, b, c, d = max(y0, top), max(x0, left), min(y1, bottom), min(x1, right)
                out[a - y0 : c - y0, b - x0 : d - x0] = piece[a - top : c - top, b - left : d - left]
        return out


def whole_downsample(dimensions: tuple[int, int], level: tuple[int, int]) -> float:
    """Return the downsample of a level; a whole number where its size is that of level 0 divided by it and rounded.

    Examples
    --------
    >>> whole_downsample((2220, 2967), (555, 741)), whole_downsample((1000, 1000), (400, 400))
    (4.0, 2.5)
    """
    across, down = dimensions[0] / level[0], dimensions[1] / level[1]
    whole = round((across + down) / 2)
    fits = all(abs(part * whole - full) < whole for full, part in zip(dimensions, level, strict=True))
    return float(whole) if whole and fits else (across + down) / 2
