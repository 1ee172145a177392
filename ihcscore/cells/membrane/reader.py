"""Run the packaged membrane network on profiles."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.membrane.profiles import BEFORE, STEP_UM, Profiles
from ihcscore.cells.onnx_session import open_session
from ihcscore.errors import WeightsError
from ihcscore.kernels.membrane_borders import choose_proposals
from ihcscore.kernels.membrane_profiles import network_input
from ihcscore.stains.levels import LOWEST_LUMA_OD, LOWEST_OD, LUMA_STEPS_PER_OD, STEPS_PER_OD

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PACKAGED = "the packaged membrane weights"
MIDDLE_OD, SCALE_OD = np.array([0.1, 0.06]), np.array([0.2, 0.12])
"""What the network sees of DAB and luma is how far they lie from the former, in units of the latter."""
PLANES = 3
"""What it sees: DAB where no other nucleus lies, luma, and where another nucleus lies."""
AROUND = 2
"""Rays that are repeated at either end of what the network sees, for its convolutions."""
RAYS_FILE, SLIDE_FILE, CARD_FILE = "membranes.onnx", "slide.onnx", "membranes.json"
"""The network that reads rays; the one that gives what it needs to know of a slide by its texture; what they are."""
BIASES = ("net.first.bias", "net.second.bias")
"""Weights of the former: what the latter gives first, before the `prior` of `settled`. As weights, not as inputs:
onnxruntime is 1.7 times as fast."""


@dataclass(frozen=True)
class Reading:
    """Predictions of the network; arrays of shape (n, 32), dtype float32.

    Parameters
    ----------
    od : ndarray
        DAB OD of the cell's membrane, as it is and not as blur shows it.
    line : ndarray
        Probability that the border shows as a stained line, whichever of the two cells is stained.
    radius_um : ndarray
        Distance of the border from the centroid, um.
    """

    od: NDArray[np.float32]
    line: NDArray[np.float32]
    radius_um: NDArray[np.float32]


def encode_profiles(profiles: Profiles) -> NDArray[np.float32]:
    """Return the input of the network: DAB outside other nuclei, luma, and the mask of other nuclei.

    Parameters
    ----------
    profiles : Profiles
        Not modified.

    Returns
    -------
    ndarray of shape (n, 3, 24, 36), dtype float32
        The rays are padded circularly: two from the other end before the first and after the last.
    """
    step, lowest = 1 / np.array([STEPS_PER_OD, LUMA_STEPS_PER_OD]), np.array([LOWEST_OD, LOWEST_LUMA_OD])
    shown = (step / SCALE_OD).astype(np.float32), ((lowest - MIDDLE_OD) / SCALE_OD).astype(np.float32)
    return network_input(profiles.level, profiles.other, *shown, AROUND)


def read_membranes(profiles: Profiles, texture: Sequence[float]) -> Reading:
    """Predict the membranes of some cells with the packaged network.

    Raises WeightsError if the packaged weights are missing or not those the package was built with.

    Parameters
    ----------
    texture : sequence of float
        Of the slide, see `ihcscore.stains.texture`.
    """
    session, prior = _session(tuple(texture))
    (proposals,) = session.run(None, {"profiles": encode_profiles(profiles)})
    od, line, step = decode_proposals(np.asarray(proposals, np.float32), prior)
    radius = profiles.edge_um + np.float32(STEP_UM) * (step - BEFORE)
    return Reading(od, line, np.maximum(radius, np.float32(STEP_UM)))


def decode_proposals(proposals: NDArray[np.float32], prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the network's proposals along each ray.

    Parameters
    ----------
    proposals : ndarray of shape (n, 24, 6, 8), dtype float32
        Logits of the place, densities and logits of the line; of each, those for the first of two places; of these,
        those of the first to fourth ray of a group. By pairs of places, every second sample, and groups of rays.
    prior : ndarray of shape (12,), dtype float32
        What is added to the logits of each place.

    Returns
    -------
    ndarray of shape (3, n, 32), dtype float32
        Density, probability of a line, and the sample at which the border lies: means weighted by a softmax of places.
    """
    return choose_proposals(proposals, prior)


def packaged_sha256() -> str:
    """Return the SHA-256 of the packaged network's two files together; every result records it.

    Raises WeightsError as `read_membranes` does.
    """
    return hashlib.sha256(b"".join(_packaged())).hexdigest()


@lru_cache(maxsize=1)
def _packaged() -> tuple[bytes, bytes]:
    folder = files("ihcscore.cells.membrane") / "weights"
    try:
        rays, slide = ((folder / name).read_bytes() for name in (RAYS_FILE, SLIDE_FILE))
        expected = json.loads((folder / CARD_FILE).read_text("utf-8"))["sha256"]
    except OSError as error:
        raise WeightsError(f"{PACKAGED}: cannot be read ({error.strerror or error}): install ihcscore again") from error
    found = hashlib.sha256(rays + slide).hexdigest()
    if found != expected:
        raise WeightsError(f"{PACKAGED}: sha256 {found[:12]}... is not {expected[:12]}...: install ihcscore again")
    return rays, slide


@lru_cache(maxsize=1)
def _session(texture: tuple[float, ...]) -> tuple["InferenceSession", NDArray[np.float32]]:
    rays, slide = _packaged()
    *biases, prior = map(
        np.asarray, open_session(slide, PACKAGED).run(None, {"texture": np.array([texture], np.float32)})
    )
    return open_session(rays, PACKAGED, dict(zip(BIASES, biases, strict=True))), prior
