"""Base class of the adapters: pixels in, labels out that keep the contract of `Segmenter`."""

import importlib
import importlib.metadata
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.base import TilePixels
from ihcscore.cells.segmentation.shapes import Sizes, diagonals, nuclei_of
from ihcscore.cells.segmentation.weights import weights_sha256
from ihcscore.errors import IhcscoreError, MissingExtra, WeightsError

FOLDERS = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^/\\'\"\n]+[/\\])*")
"""The beginning of an absolute path: reasons are recorded in results."""
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

    Attributes
    ----------
    weights_sha256 : str
        Of the model's file or folder; a model that changes later is refused.

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
    weights_sha256: str = field(init=False)

    def __post_init__(self) -> None:
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(f.default, float)}
        wrong = [f"{name}={value}" for name, value in numbers.items() if not 0 < value < math.inf]
        if wrong:
            raise ValueError(f"parameters must be positive, found {', '.join(wrong)}")
        if not self.weights.exists():
            raise WeightsError(f"{self.weights.name}: there is no such file or folder: give the path of a model")
        required(self.package)
        object.__setattr__(self, "weights_sha256", weights_sha256(self.weights))

    @property
    def name(self) -> str:
        """Name of the segmenter."""
        return type(self).__name__.lower()

    @property
    def version(self) -> str:
        """Version of the package as installed, else the one it states."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return str(getattr(required(self.package), "__version__", "unknown"))

    @staticmethod
    @abstractmethod
    def load(weights: Path) -> Any:
        """Load the package's model; any exception means that it is not one."""

    @abstractmethod
    def find(self, model: Any, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei in an image of shape (M, N, 3), 0 to 1, white at 1; any labels, any shapes."""

    def segment(self, block: TilePixels) -> NDArray[np.int32]:
        """Label the nuclei of a tile; see `Segmenter.segment`.

        The light is divided by the slide's background, and by nothing that depends on the block: these packages' own
        normalisation by percentiles would give other cells for another window.

        Raises ValueError if the block has another pixel size; WeightsError if the weights are no model of the
        package, have changed, or give no labels of the block; IhcscoreError if the package fails.
        """
        if abs(block.mpp / self.mpp - 1) > MPP_TOLERANCE:
            raise ValueError(f"expected pixels of {self.mpp} um, found {block.mpp} um: resample the block first")
        if not block.rgb.size:
            return np.zeros(block.rgb.shape[:2], np.int32)
        light = np.clip(block.rgb / np.asarray(block.background, np.float32), 0, 1).astype(np.float32)
        labels = self._labels(light)
        if labels.shape != light.shape[:2] or not np.issubdtype(labels.dtype, np.integer):
            found = f"{labels.dtype} of shape {labels.shape}"
            raise WeightsError(f"{self.weights.name}: gives {found} as labels of {light.shape[:2]} pixels")
        return tidy(labels, self.largest_object_um / self.mpp)

    def _labels(self, light: NDArray[np.float32]) -> NDArray[np.integer]:
        model = _model(type(self), self.weights, self.weights_sha256)
        try:
            return np.asarray(self.find(model, light))
        except Exception as error:  # the packages raise anything
            raise IhcscoreError(f"{self.name} failed with {self.weights.name}: {_cause(error)}") from error


@lru_cache(maxsize=2)
def _model(kind: type[Adapter], weights: Path, sha256: str) -> Any:
    if weights_sha256(weights) != sha256:
        raise WeightsError(f"{weights.name}: has changed since it was first read")
    try:
        return kind.load(weights)
    except IhcscoreError:
        raise
    except Exception as error:  # the packages raise anything
        raise WeightsError(f"{weights.name}: is not a {kind.__name__} model ({_cause(error)})") from error


def _cause(error: Exception) -> str:
    """Return the text of an error without folders, preceded by its type."""
    lines = FOLDERS.sub("", str(error)).strip().splitlines()
    if not lines:
        return type(error).__name__
    return f"{type(error).__name__}: {lines[-1] if 'TorchScript interpreter' in lines[0] else lines[0]}"


def required(package: str) -> ModuleType:
    """Import a package of the extra ``engines``. Raises MissingExtra if it is not installed."""
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
