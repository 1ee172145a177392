"""The interface of nucleus segmenters: implement `Segmenter` to add one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ihcscore.stains.vectors import StainMatrix

PixelMaps: TypeAlias = NDArray[np.uint8]
"""What a segmenter says of each pixel before it looks for nuclei; shape (M, N, planes)."""


@dataclass(frozen=True)
class TilePixels:
    """The pixels of one tile with its halo, at the working pixel size.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        The light as recorded.
    stains : StainMatrix
        Stain vectors of the slide; `ihcscore.stains.unmix` splits the light by them.
    background : ndarray of shape (3,), dtype float64
        Light without tissue, the slide's own.
    mpp : float
        Micrometres per pixel of these pixels.
    origin : tuple of int, default (0, 0)
        Row and column of the first pixel in the working image; what is found must not depend on it.
    """

    rgb: NDArray[np.uint8]
    stains: StainMatrix
    background: NDArray[np.float64]
    mpp: float
    origin: tuple[int, int] = (0, 0)


@runtime_checkable
class Segmenter(Protocol):
    """Detects the nuclei of a tile.

    Attributes
    ----------
    name, version : str
        Recorded in every result.
    mpp : float
        Pixel size it works at, in um.
    largest_object_um : float
        No nucleus it returns is longer than this.
    influence_um : float
        A pixel farther than this from a pixel of a nucleus cannot change that nucleus. The halo of a block is at least
        `influence_um` plus `largest_object_um`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def mpp(self) -> float: ...  # noqa: D102
    @property
    def largest_object_um(self) -> float: ...  # noqa: D102
    @property
    def influence_um(self) -> float: ...  # noqa: D102

    def segment(self, block: TilePixels) -> NDArray[np.int32]:
        """Label the nuclei of a tile.

        Parameters
        ----------
        block : TilePixels
            Not modified.

        Returns
        -------
        ndarray of shape (M, N), dtype int32
            0 is background, nuclei are 1..n without gaps, each one connected and without holes.
        """
        ...


@runtime_checkable
class MapSegmenter(Segmenter, Protocol):
    """A segmenter whose costly part is a map of each pixel and its surroundings, computed once per pixel.

    Attributes
    ----------
    margin_px : int
        `maps` of a pixel do not depend on light farther away than this.
    stride : int
        Windows that begin at multiples of this have the same maps where they overlap, but for their margins; 1 to 64, a
        divisor of 64.
    """

    @property
    def margin_px(self) -> int: ...  # noqa: D102
    @property
    def stride(self) -> int: ...  # noqa: D102

    def maps(self, rgb: NDArray[np.uint8], background: NDArray[np.float64]) -> PixelMaps:
        """Compute the maps of an image at `mpp`.

        Parameters
        ----------
        rgb : ndarray of shape (M, N, 3), dtype uint8
            Not modified.
        background : ndarray of shape (3,), dtype float64
            Light without tissue, the slide's own.

        Returns
        -------
        ndarray of shape (M, N, planes), dtype uint8
        """
        ...

    def nuclei(self, maps: PixelMaps, block: TilePixels) -> NDArray[np.int32]:
        """Label the nuclei in the maps of a tile; otherwise as `segment`.

        A pixel of either farther than `influence_um` from a nucleus does not change it.
        """
        ...


def check_ranges(segmenter: object, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse parameters that are out of range, or no numbers, by a ValueError that lists all."""
    wrong = [
        f"{name}={getattr(segmenter, name)} ({low:g} to {high:g})"
        for name, (low, high) in limits.items()
        if not low <= getattr(segmenter, name) <= high
    ]
    if wrong:
        raise ValueError(f"out of range: {', '.join(wrong)}")
