"""Parameters of the training tiles: ranges wide enough to contain real sections."""

from typing import Any

import numpy as np

from ihcscore.phantom import PhantomParameters

SIDE = 256
"""Side of a training tile, in pixels of 0.5 um."""
WORKING_MPP = 0.5

HEMATOXYLIN = ((0.65, 0.70, 0.29), (0.75, 0.59, 0.30), (0.80, 0.52, 0.28), (0.60, 0.70, 0.38), (0.72, 0.66, 0.22))
DAB = ((0.27, 0.57, 0.78), (0.30, 0.55, 0.78), (0.35, 0.56, 0.75), (0.24, 0.48, 0.84), (0.40, 0.58, 0.71))
"""Vectors around which a tile's own are drawn: published ones, and bluer, redder and greyer ones."""

MARKERS = ("nuclear", "membranous", "cytoplasmic", "negative")
MARKER_SHARES = (0.4, 0.22, 0.3, 0.08)

HIDING_LEAK, HIDING_OD, HIDDEN_HEMATOXYLIN = 0.35, 0.6, 0.5
"""Where more than the first of a cytoplasm's or membrane's stain leaks into nuclei, and it is denser than the second or
leaves them less of their hematoxylin than the third, a nucleus is a dark core in brown: a network that has to find
those takes the cores of brown nuclei for nuclei. Nor does anybody see them."""
DENSE_OD, DENSE_WEIGHT = 0.7, 3
"""Tiles of nuclei stained as densely as this are drawn so many times as often as others: what lies in a black nucleus
is hard to distinguish from a nucleus in brown cytoplasm."""

WIDE: dict[str, Any] = {
    "nest_um": (40, 220),
    "stroma_share": (0, 0.9),
    "lumen_share": (0, 0.15),
    "glass_share": (0, 0.25),
    "radius_spread": (0.08, 0.3),
    "giant_share": (0, 0.1),
    "elongation": (1.0, 2.8),
    "irregularity": (0.02, 0.12),
    "dented_share": (0, 0.4),
    "alignment": (0, 1),
    "tumor_coverage": (0.05, 0.62),
    "stroma_coverage": (0.03, 0.35),
    "touching_share": (0.05, 0.7),
    "lymphocyte_share": (0, 0.8),
    "cytoplasm_um": (1.5, 12),
    "membrane_um": (0.8, 2.0),
    "hematoxylin_spread": (0.1, 0.5),
    "vesicular_share": (0, 0.9),
    "clearing": (0.3, 0.9),
    "chromatin": (0.05, 0.5),
    "chromatin_um": (0.7, 2.2),
    "nucleoli": (0, 2),
    "cytoplasm_hematoxylin_od": (0, 0.16),
    "stroma_hematoxylin_od": (0.02, 0.18),
    "stroma_positive_share": (0, 0.8),
    "marker_spread": (0.2, 0.7),
    "patchiness": (0, 0.9),
    "patch_um": (15, 120),
    "granularity": (0, 1.0),
    "grain_um": (0.8, 3.5),
    "completeness": (0.3, 1),
    "ghosts_per_mm2": (0, 1200),
    "debris_per_mm2": (0, 250),
    "refractile_per_mm2": (0, 400),
    "deep_share": (0, 0.5),
    "deep_blur_um": (0.6, 1.6),
    "chromatic_shift_um": (0, 0.3),
    "stray_light": (0, 0.03),
    "background": (200, 255),
    "tint": (0, 18),
    "stain_shift_deg": (0, 6),
    "noise_grey": (0.3, 4.5),
    "jpeg_color": (0, 1),
    "edge_um": (0.5, 3),
    "gamma": (0.85, 1.18),
}
"""Knobs that are drawn evenly from a wide range."""


def training_parameters(rng: np.random.Generator) -> PhantomParameters:
    """Draw the parameters of one training tile; they cover 128 um x 128 um at some scanner's pixel size.

    Returns
    -------
    PhantomParameters
        Its ranges are still ranges: `ihcscore.phantom.render` draws from them. Nuclei can be seen in all of them.
    """
    marker = str(rng.choice(MARKERS, p=MARKER_SHARES))
    while True:
        drawn = _drawn(rng, marker)
        if marker in ("nuclear", "negative") or not _hidden(drawn):
            return drawn


def weight(parameters: PhantomParameters) -> int:
    """Return the relative frequency with which a tile is drawn in training."""
    dense = parameters.marker == "nuclear" and _middle(parameters.marker_od) > DENSE_OD
    return DENSE_WEIGHT if dense else 1


def _hidden(drawn: PhantomParameters) -> bool:
    dense, left = _middle(drawn.marker_od) > HIDING_OD, _middle(drawn.hematoxylin_in_positive)
    return _middle(drawn.nucleus_leak) > HIDING_LEAK and (dense or left < HIDDEN_HEMATOXYLIN)


def _middle(drawn: tuple[float, float]) -> float:
    return sum(drawn) / 2


def _drawn(rng: np.random.Generator, marker: str) -> PhantomParameters:
    mpp = source_mpp(rng)
    side = int(np.ceil(SIDE * WORKING_MPP / mpp))
    stains = {
        "hematoxylin_vector": HEMATOXYLIN[rng.integers(len(HEMATOXYLIN))],
        "dab_vector": DAB[rng.integers(len(DAB))],
    }
    knobs = {**WIDE, **_sizes(rng), **_marker(rng, marker), **_faults(rng, mpp, marker), **stains}
    return PhantomParameters(size_px=(side, side), mpp=mpp, marker=marker, **knobs)


def source_mpp(rng: np.random.Generator) -> float:
    """Pixel size of the scanner: mostly 0.5 um, the rest as found in the field."""
    kind = rng.random()
    if kind < 0.55:
        return 0.5
    if kind < 0.75:
        return 0.25
    return float(rng.uniform(0.3, 0.6))


def _sizes(rng: np.random.Generator) -> dict[str, Any]:
    """Nuclei of lymphoma, of most carcinomas, and giant ones; pale ones more often than an even draw gives."""
    radius = float(np.exp(rng.uniform(np.log(2.5), np.log(6.5))))
    hematoxylin = float(np.exp(rng.uniform(np.log(0.07), np.log(0.9))))
    return {"nucleus_radius_um": radius, "hematoxylin_od": hematoxylin}


def _marker(rng: np.random.Generator, marker: str) -> dict[str, Any]:
    """How strong, how common, how clean the marker is."""
    leak = rng.uniform(0, 1, 3) ** 2
    return {
        "marker_od": float(np.exp(rng.uniform(np.log(0.1), np.log(2.5)))),
        "positive_share": (-0.3, 1.3),
        "hematoxylin_in_positive": max(0.0, float(rng.uniform(-0.6, 1))),
        "nucleus_leak": 0.85 * float(leak[0]),
        "cytoplasm_leak": (0.15 if marker == "nuclear" else 0.9) * float(leak[1]),
        "membrane_leak": (0.1 if marker == "nuclear" else 1.0) * float(leak[2]),
    }


def _faults(rng: np.random.Generator, mpp: float, marker: str) -> dict[str, Any]:
    """Faults that most tiles lack and some have badly."""

    def some(share: float, high: float) -> float:
        return float(rng.uniform(0, high)) if rng.random() < share else 0.0

    sharp_um = max(0.15, 0.4 * mpp)
    return {
        "background_dab_od": 0.3 * float(rng.uniform(0, 1) ** 3),
        "hole_share": some(0.35, 0.35),
        "ragged_um": some(0.4, 0.5),
        "edge_dab_od": some(0.15, 1.2),
        "stroma_dab_od": some(0.2, 0.5),
        "folds_per_mm2": some(0.15, 100.0),
        "pigment_per_mm2": some(0.25, 25.0),
        "red_cells_per_mm2": some(0.4, 800.0),
        "blur_um": float(rng.uniform(sharp_um, 0.6) if rng.random() < 0.75 else rng.uniform(0.6, 1.1)),
        "sharpen": some(0.5, 1.5),
        "jpeg_quality": 0.0 if rng.random() < 0.15 else float(rng.uniform(35, 97)),
        # where cytoplasm is brown, a macrophage differs from a cell by its nucleus alone, and shows none
        "macrophage_share": some(0.5, 0.35) if marker in ("nuclear", "negative") else 0.0,
    }
