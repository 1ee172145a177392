"""Decoded pieces of a slide that are kept for the next windows."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

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
        """Give a piece, made if it is not there."""
        if key not in self._pieces:
            piece = make()
            self._bytes += piece.nbytes
            self._pieces[key] = piece
            while self._bytes > self.limit and len(self._pieces) > 1:
                _, old = self._pieces.popitem(last=False)
                self._bytes -= old.nbytes
        self._pieces.move_to_end(key)
        return self._pieces[key]


def whole_downsample(dimensions: tuple[int, int], level: tuple[int, int]) -> float:
    """Give the downsample of a level: a whole number where its size is that of level 0 divided by one and rounded.

    Examples
    --------
    >>> whole_downsample((2220, 2967), (555, 741)), whole_downsample((1000, 1000), (400, 400))
    (4.0, 2.5)
    """
    across, down = dimensions[0] / level[0], dimensions[1] / level[1]
    whole = round((across + down) / 2)
    fits = all(abs(part * whole - full) < whole for full, part in zip(dimensions, level, strict=True))
    return float(whole) if whole and fits else (across + down) / 2
