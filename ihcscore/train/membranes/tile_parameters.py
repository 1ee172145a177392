"""Parameters of the membrane network's training tiles."""

import dataclasses
from typing import Any

import numpy as np

from ihcscore.phantom import PhantomParameters, load_parameters
from ihcscore.train.tile_parameters import DAB, HEMATOXYLIN, source_mpp

SIDE_UM = 128.0
MARKERS = ("membranous", "cytoplasmic", "nuclear", "negative")
MARKER_SHARES = (0.68, 0.18, 0.08, 0.06)
TYPICAL_SHARE = 0.25
"""Of the tiles whose marker is as dense, and as spread over cells and their parts, as the presets say; of others it is
spread more widely. What a slide does not show is guessed from what is common."""
BLUR_UM, SHARPEN = (0.18, 0.65), (0.0, 0.7, 1.2)
"""Wider than the presets: how sharp a slide is decides how dense its membranes look. Most it is sharpened, one of
three."""


def tile_parameters(rng: np.random.Generator) -> PhantomParameters:
    """Draw the parameters of one tile: the presets, wider in what changes how a membrane looks."""
    marker = str(rng.choice(MARKERS, p=MARKER_SHARES))
    mpp = source_mpp(rng)
    side = int(np.ceil(SIDE_UM / mpp))
    drawn: dict[str, Any] = {
        "nucleus_radius_um": float(np.exp(rng.uniform(np.log(2.8), np.log(5.5)))),
        "hematoxylin_od": float(np.exp(rng.uniform(np.log(0.07), np.log(0.6)))),
        "hematoxylin_vector": HEMATOXYLIN[rng.integers(len(HEMATOXYLIN))],
        "dab_vector": DAB[rng.integers(len(DAB))],
        "stain_shift_deg": (0, 4),
        "membrane_um": (0.8, 1.6),
        "tumor_coverage": (0.15, 0.6),
        "elongation": (1.0, 2.4),
        "alignment": (0, 1),
        "background": (200, 255),
        "blur_um": BLUR_UM,
        "sharpen": (0, float(rng.choice(SHARPEN))),
        "noise_grey": (0.5, 3.5),
        "jpeg_quality": 0.0 if rng.random() < 0.15 else float(rng.uniform(65, 97)),
    }
    if rng.random() >= TYPICAL_SHARE:
        drawn |= _wide_marker(rng, marker)
    return dataclasses.replace(load_parameters(marker), size_px=(side, side), mpp=mpp, **drawn)


def _wide_marker(rng: np.random.Generator, marker: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "marker_od": float(np.exp(rng.uniform(np.log(0.2), np.log(2.2)))),
        "marker_spread": (0.1, 0.5),
        "positive_share": (1, 1) if rng.random() < 0.5 else (0.05, 1.1),
        "cytoplasm_um": (2.5, 12),
    }
    if marker == "membranous":
        leak = rng.uniform(0, 1, 2) ** 2
        drawn |= {"cytoplasm_leak": 0.65 * float(leak[0]), "nucleus_leak": 0.4 * float(leak[1])}
        drawn |= {"completeness": _completeness(rng)}
    return drawn


def _completeness(rng: np.random.Generator) -> float:
    """Whole membranes, hardly any, and all between."""
    kind = rng.random()
    if kind < 0.25:
        return 1.0
    return float(np.exp(rng.uniform(np.log(0.005), 0)) if kind < 0.6 else rng.uniform(0.05, 1))
