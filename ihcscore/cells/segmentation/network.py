"""The nucleus network: maps per pixel, and nuclei from the maps."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.onnx_session import open_session, run_and_release
from ihcscore.cells.segmentation.base import PixelMaps, TilePixels, check_ranges
from ihcscore.cells.segmentation.shapes import Sizes, diagonals, nuclei_of
from ihcscore.cells.segmentation.signal import disc
from ihcscore.cells.segmentation.split import Stained, split
from ihcscore.errors import WeightsError
from ihcscore.kernels.split import highest_values
from ihcscore.stains.levels import STEPS_PER_OD, dab_levels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = "ihcscore-nuclei-1"
"""What a weights file must say of itself: inputs and outputs as `Network.maps` uses them."""

INSIDE, HEIGHT = 0, 1
"""Planes of the maps."""

LEVEL = 1 / 255
"""One step of the maps."""

LIMITS = {
    "largest_object_um": (1, 200),
    "influence_um": (1, 200),
    "inside": (LEVEL, 1),
    "peak": (LEVEL, 1),
    "depth": (LEVEL, 1),
    "stained_depth": (LEVEL, 1),
    "stained_od": (0, 2),
    "smooth_um": (0.1, 10),
    "grow_um": (0, 10),
    "smallest_um2": (0.25, 1000),
}
"""Smallest and largest value of each parameter of `Network`, both included."""

PACKAGED = "the packaged weights"

STRIDES = (1, 2, 4, 8, 16, 32, 64)

MPP_TOLERANCE = 0.05
"""Relative difference of pixel size that is taken."""


@dataclass(frozen=True)
class Network:
    """Detects nuclei with the packaged network, or another one of its format.

    Parameters
    ----------
    name, version : str
        Recorded in every result.
    weights : Path, optional
        File of another network in ONNX; the packaged one unless given.
    largest_object_um : float
        What has a box with a longer diagonal is dropped: no nucleus returned is longer.
    influence_um : float
        How far from a nucleus a change of the *maps* or of DAB can change it; the maps of a pixel depend on the light
        no farther than `margin_px` away, and are made on canonical tiles, whatever the window.
    inside : float
        Least probability of a pixel of a nucleus.
    peak : float
        Least height of a nucleus's summit, 0 to 1.
    depth : float
        A waist that is lower than the lower of two summits by this much separates two nuclei.
    stained_depth, stained_od : float
        So does one that is lower by the former, if DAB along it is denser than on both summits by the latter: that is
        stained cytoplasm between two nuclei, where the network is less sure than between nuclei that are stained.
    smooth_um : float
        Standard deviation of the Gaussian over the height, and over DAB.
    grow_um : float
        Outlines are moved outwards by this, to where annotators draw them.
    smallest_um2 : float
        Least area of a nucleus.

    Attributes
    ----------
    mpp : float
        Pixel size the network was trained for, in um.
    margin_px, stride : int
        How far it looks around a pixel; what the sides of its input are multiples of.
    weights_sha256 : str
        Of the weights file.

    Raises
    ------
    WeightsError
        If the weights are missing, are not what the package was built with, or are not of this format.
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from ihcscore.stains.vectors import StainMatrix
    >>> blank = TilePixels(np.full((9, 9, 3), 240, np.uint8), StainMatrix(), np.full(3, 240.0), 0.5)
    >>> Network().segment(blank).max()
    np.int32(0)
    """

    name: str = "network"
    version: str = "4"
    weights: Path | None = None
    largest_object_um: float = 40.0
    influence_um: float = 20.0
    inside: float = 0.5
    peak: float = 0.35
    depth: float = 0.15
    stained_depth: float = 0.02
    stained_od: float = 0.04
    smooth_um: float = 0.75
    grow_um: float = 0.5
    smallest_um2: float = 10.0
    mpp: float = field(init=False)
    margin_px: int = field(init=False)
    stride: int = field(init=False)
    weights_sha256: str = field(init=False)

    def __post_init__(self) -> None:
        check_ranges(self, LIMITS)
        found = _card(self.weights)
        object.__setattr__(self, "weights_sha256", found.sha256)
        for key in ("mpp", "margin_px", "stride"):
            object.__setattr__(self, key, getattr(found, key))

    def maps(self, rgb: NDArray[np.uint8], background: NDArray[np.float64]) -> PixelMaps:
        """Predict for each pixel the probability of lying in a nucleus and the height of the nucleus's distance map.

        Parameters
        ----------
        rgb : ndarray of shape (M, N, 3), dtype uint8
            Light at `mpp`. Not modified.
        background : ndarray of shape (3,), dtype float64
            Light without tissue, the slide's own; what is brighter counts as this.

        Returns
        -------
        ndarray of shape (M, N, 2), dtype uint8
            Probability and height, 0 to 255. Along the sides, as far as `margin_px`, they know nothing of what lies
            beyond: read that much more than is wanted.
        """
        rows, columns = rgb.shape[:2]
        light = np.clip(np.rint(np.arange(256)[:, None] * (255 / np.asarray(background))), 0, 255).astype(np.uint8)
        normal = np.asarray(cv2.LUT(np.ascontiguousarray(rgb), light.reshape(1, 256, 3)), np.uint8)
        bottom, right = -rows % self.stride, -columns % self.stride
        padded = np.asarray(cv2.copyMakeBorder(normal, 0, bottom, 0, right, cv2.BORDER_REFLECT), np.uint8)
        (out,) = run_and_release(_session(self.weights, self.weights_sha256), {"light": padded[None]})
        return np.ascontiguousarray(np.asarray(out, np.uint8)[0, :rows, :columns])

    def segment(self, block: TilePixels) -> NDArray[np.int32]:
        """Label the nuclei of a tile. Raises ValueError if the block has another pixel size.

        Parameters
        ----------
        block : TilePixels
            Its `rgb` and `background`; beyond it, the light is mirrored. Not modified.

        Returns
        -------
        ndarray of shape (M, N), dtype int32
            0 is background, nuclei are 1..n without gaps, each 4-connected and without holes. An empty block gives an
            empty array.
        """
        if abs(block.mpp / self.mpp - 1) > MPP_TOLERANCE:
            raise ValueError(f"expected pixels of {self.mpp} um, found {block.mpp} um: resample the block first")
        shape = block.rgb.shape[:2]
        if shape[0] * shape[1] * self.mpp**2 < self.smallest_um2:
            return np.zeros(shape, np.int32)
        margin = self.margin_px
        rgb = np.asarray(cv2.copyMakeBorder(block.rgb, margin, margin, margin, margin, cv2.BORDER_REFLECT), np.uint8)
        return self.nuclei(self.maps(rgb, block.background)[margin:-margin, margin:-margin], block)

    def nuclei(self, maps: PixelMaps, block: TilePixels) -> NDArray[np.int32]:
        """Label the nuclei in the maps of a tile; see `segment`."""
        height = self._smooth(np.ascontiguousarray(maps[..., HEIGHT]))
        dab = self._smooth(dab_levels(block.rgb, block.background, block.stains))
        mask = (maps[..., INSIDE] >= round(255 * self.inside)).view(np.uint8)
        if self.grow_um > 0:
            mask = np.asarray(cv2.dilate(mask, disc(round(self.grow_um / self.mpp))), np.uint8)
        stained = Stained(dab, max(1, round(255 * self.stained_depth)), round(STEPS_PER_OD * self.stained_od))
        labels = split(height, mask.view(np.bool_), max(1, round(255 * self.depth)), stained)
        sizes = Sizes.of(labels)
        highest = highest_values(labels, height, len(sizes.areas))
        wanted = sizes.areas * self.mpp**2 >= self.smallest_um2
        wanted &= diagonals(sizes.boxes) * self.mpp <= self.largest_object_um
        wanted &= highest >= round(255 * self.peak)
        return nuclei_of(labels, sizes, wanted)

    def _smooth(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), self.smooth_um / self.mpp), np.uint8)


@dataclass(frozen=True)
class Card:
    """Metadata of a weights file."""

    sha256: str
    mpp: float
    margin_px: int
    stride: int


def _card(weights: Path | None) -> Card:
    sha256 = hashlib.sha256(_bytes(weights)).hexdigest()
    if weights is None:
        expected = json.loads((files("ihcscore.cells.segmentation") / "weights" / "nuclei.json").read_text("utf-8"))[
            "sha256"
        ]
        if sha256 != expected:
            raise WeightsError(f"{PACKAGED}: sha256 {sha256[:12]}... is not {expected[:12]}...: install ihcscore again")
    about = _session(weights, sha256).get_modelmeta().custom_metadata_map
    if about.get("format") != FORMAT:
        found = about.get("format") or "no format"
        raise WeightsError(f"{_name(weights)}: expected a network of format {FORMAT}, found {found}")
    try:
        card = Card(sha256, float(about["mpp"]), int(about["margin_px"]), int(about["stride"]))
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{_name(weights)}: its metadata lack what is needed or hold no numbers ({error})") from None
    if not (0.02 <= card.mpp <= 1 and 1 <= card.margin_px <= 1024 and card.stride in STRIDES):
        raise WeightsError(
            f"{_name(weights)}: its metadata make no sense: mpp {card.mpp:g}, margin_px {card.margin_px}, "
            f"stride {card.stride}"
        )
    return card


def _name(weights: Path | None) -> str:
    return weights.name if weights else PACKAGED


def _bytes(weights: Path | None) -> bytes:
    try:
        if weights is not None:
            return weights.read_bytes()
        return (files("ihcscore.cells.segmentation") / "weights" / "nuclei.onnx").read_bytes()
    except OSError as error:
        raise WeightsError(f"{_name(weights)}: cannot be read ({error.strerror or error})") from error


@lru_cache(maxsize=4)
def _session(weights: Path | None, sha256: str) -> "InferenceSession":
    data = _bytes(weights)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{_name(weights)}: has changed since it was first read")
    return open_session(data, _name(weights))
