"""What all adapters share: light in, labels out that keep the contract of `Segmenter`."""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import MissingExtra, WeightsError
from ihcscore.segment.base import BlockPixels
from ihcscore.segment.shapes import Sizes, diagonals, nuclei_of

MPP_TOLERANCE = 0.05
"""Relative difference of pixel size that is taken."""


@dataclass(frozen=True)
class Adapter(ABC):
    """A segmenter of another package.

    Parameters
    ----------
    weights : Path
        File or folder of its model.
    mpp : float
        Pixel size the model was trained for, in um.
    largest_object_um : float
        What has a box with a longer diagonal is dropped.
    influence_um : float
        How far the model looks, as declared here; these packages do not state it, so it is not proved.

    Raises
    ------
    MissingExtra
        If the package is not installed.
    WeightsError
        If there is nothing at `weights`.
    """

    package: ClassVar[str]

    weights: Path
    mpp: float = 0.5
    largest_object_um: float = 40.0
    influence_um: float = 64.0

    def __post_init__(self) -> None:
        if not min(self.mpp, self.largest_object_um, self.influence_um) > 0:
            raise ValueError("mpp, largest_object_um and influence_um must be positive")
        if not self.weights.exists():
            raise WeightsError(f"{self.weights.name}: there is no such file or folder: give the path of a model")
        required(self.package)

    @property
    def name(self) -> str:
        """Name of the segmenter."""
        return type(self).__name__.lower()

    @property
    def version(self) -> str:
        """Version of the package."""
        return str(getattr(required(self.package), "__version__", "unknown"))

    @abstractmethod
    def find(self, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei in light of shape (M, N, 3), 0 to 1, white at 1; any labels, any shapes."""

    def segment(self, block: BlockPixels) -> NDArray[np.int32]:
        """Label the nuclei of a block; see `Segmenter.segment`.

        The light is divided by the slide's background, and by nothing that depends on the block: these packages' own
        normalisation by percentiles would give other cells for another window.
        """
        if abs(block.mpp / self.mpp - 1) > MPP_TOLERANCE:
            raise ValueError(f"expected pixels of {self.mpp} um, found {block.mpp} um: resample the block first")
        if not block.rgb.size:
            return np.zeros(block.rgb.shape[:2], np.int32)
        light = np.clip(block.rgb / np.asarray(block.background, np.float32), 0, 1).astype(np.float32)
        labels = np.asarray(self.find(light))
        if labels.shape != block.rgb.shape[:2]:
            raise WeightsError(f"{self.weights.name}: gives labels of shape {labels.shape} for {block.rgb.shape[:2]}")
        return tidy(labels, self.largest_object_um / self.mpp)


def required(package: str) -> ModuleType:
    """Import a package of the extra ``engines``.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(package, "engines") from error


def tidy(labels: NDArray[np.integer], longest_px: float) -> NDArray[np.int32]:
    """Make labels 1..n, each in one piece, without holes, none too long.

    Parameters
    ----------
    labels : ndarray of shape (M, N), integer
        0 or less is background. Not modified.
    longest_px : float
        Longest diagonal of a nucleus's box.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        Of a label in several pieces, the largest stays.

    Examples
    --------
    >>> tidy(np.array([[7, 7, 0, 7], [0, 0, 0, 9]]), 3)
    array([[1, 1, 0, 0],
           [0, 0, 0, 2]], dtype=int32)
    """
    from skimage.measure import label  # slow to load

    found = label(np.maximum(labels, 0), connectivity=1, background=0)  # type: ignore[no-untyped-call]
    pieces = np.asarray(found, np.int32)
    sizes = Sizes.of(pieces)
    count = len(sizes.areas)
    owner = np.zeros(count, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    order = np.lexsort((np.arange(count), -sizes.areas, owner))
    first = np.ones(count, bool)
    first[1:] = owner[order][1:] != owner[order][:-1]
    wanted = np.zeros(count, bool)
    wanted[order[first]] = True
    wanted &= diagonals(sizes.boxes) <= longest_px
    return nuclei_of(pieces, sizes, wanted)
