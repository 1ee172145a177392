"""The membrane network: what it says of each ray out of a nucleus."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import WeightsError
from ihcscore.inference import open_session
from ihcscore.membrane.profiles import BEFORE, STEP_UM, Profiles

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PACKAGED = "the packaged membrane weights"
STEPS_PER_OD = 100
"""Densities are rounded to this before the network sees them."""
MIDDLE_OD, SCALE_OD = 0.1, 0.2
LOWEST_OD, HIGHEST_OD = -0.2, 2.35
"""Of what the network sees; denser DAB lets next to no light through."""


@dataclass(frozen=True)
class Reading:
    """What the network says; every array of shape (n, 32), dtype float32.

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


def seen(profiles: Profiles) -> NDArray[np.float32]:
    """Give what the network sees: density where no other nucleus lies, and where one does.

    Parameters
    ----------
    profiles : Profiles
        Not modified.

    Returns
    -------
    ndarray of shape (n, 2, 32, 24), dtype float32
    """
    rounded = np.rint(np.clip(profiles.od, LOWEST_OD, HIGHEST_OD) * STEPS_PER_OD) / STEPS_PER_OD
    scaled = np.where(profiles.other, 0, (rounded - MIDDLE_OD) / SCALE_OD)
    return np.stack([scaled, profiles.other], axis=1).astype(np.float32)


def read_membranes(profiles: Profiles, texture: Sequence[float]) -> Reading:
    """Ask the packaged network.

    Parameters
    ----------
    profiles : Profiles
    texture : sequence of float
        Of the slide, see `ihcscore.stains.texture`.

    Returns
    -------
    Reading

    Raises
    ------
    WeightsError
        If the packaged weights are missing or not those the package was built with.
    """
    given = {"profiles": seen(profiles), "texture": np.array(texture, np.float32)[None]}
    od, line, step = _session().run(None, given)
    radius = profiles.edge_um + STEP_UM * (np.asarray(step) - BEFORE)
    return Reading(*(np.asarray(v, np.float32) for v in (od, line, np.maximum(radius, STEP_UM))))


def packaged_sha256() -> str:
    """Give the SHA-256 of the packaged network, which every result records.

    Raises
    ------
    WeightsError
        As `read_membranes`.
    """
    return hashlib.sha256(_packaged()).hexdigest()


@lru_cache(maxsize=1)
def _packaged() -> bytes:
    folder = files("ihcscore.membrane") / "weights"
    try:
        data = (folder / "membranes.onnx").read_bytes()
        expected = json.loads((folder / "membranes.json").read_text("utf-8"))["sha256"]
    except OSError as error:
        raise WeightsError(f"{PACKAGED}: cannot be read ({error.strerror or error}): install ihcscore again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise WeightsError(f"{PACKAGED}: sha256 {found[:12]}... is not {expected[:12]}...: install ihcscore again")
    return data


@lru_cache(maxsize=1)
def _session() -> "InferenceSession":
    return open_session(_packaged(), PACKAGED)
