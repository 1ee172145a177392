"""What each parameter of a phantom may be set to."""

import math
from collections.abc import Mapping
from typing import Any

from ihcscore.stains.vectors import MIN_ANGLE_DEG, angle_deg

MARKERS = ("nuclear", "membranous", "cytoplasmic", "negative")
FIXED = ("size_px", "mpp", "marker", "hematoxylin_vector", "dab_vector")
"""Parameters that are a value, not a range."""

LIMITS: dict[str, tuple[float, float]] = {
    "nest_um": (10, 2000),
    "stroma_share": (0, 1),
    "lumen_share": (0, 1),
    "glass_share": (0, 1),
    "nucleus_radius_um": (1, 20),
    "radius_spread": (0, 0.6),
    "giant_share": (0, 1),
    "elongation": (1, 4),
    "irregularity": (0, 0.3),
    "dented_share": (0, 1),
    "alignment": (0, 1),
    "tumor_coverage": (0, 0.7),
    "stroma_coverage": (0, 0.7),
    "touching_share": (0, 1),
    "lymphocyte_share": (0, 1),
    "cytoplasm_um": (0, 30),
    "membrane_um": (0.1, 5),
    "hematoxylin_od": (0, 3),
    "hematoxylin_spread": (0, 1),
    "vesicular_share": (0, 1),
    "clearing": (0, 0.9),
    "chromatin": (0, 1),
    "chromatin_um": (0.2, 10),
    "nucleoli": (0, 4),
    "cytoplasm_hematoxylin_od": (0, 1),
    "stroma_hematoxylin_od": (0, 1),
    "positive_share": (-1, 2),
    "stroma_positive_share": (0, 2),
    "marker_od": (0, 3),
    "marker_spread": (0, 1.5),
    "patchiness": (0, 1),
    "patch_um": (5, 2000),
    "granularity": (0, 1),
    "grain_um": (0.2, 10),
    "completeness": (0, 1),
    "nucleus_leak": (0, 1),
    "cytoplasm_leak": (0, 1),
    "membrane_leak": (0, 1),
    "background_dab_od": (0, 1),
    "hematoxylin_in_positive": (0, 1),
    "ghosts_per_mm2": (0, 1e4),
    "pigment_per_mm2": (0, 1e4),
    "debris_per_mm2": (0, 1e4),
    "red_cells_per_mm2": (0, 1e4),
    "refractile_per_mm2": (0, 1e4),
    "deep_share": (0, 1),
    "deep_blur_um": (0, 10),
    "blur_um": (0, 10),
    "chromatic_shift_um": (0, 2),
    "stray_light": (0, 0.5),
    "background": (50, 255),
    "tint": (0, 50),
    "stain_shift_deg": (0, 15),
    "noise_grey": (0, 50),
    "sharpen": (0, 5),
    "jpeg_quality": (0, 100),
    "jpeg_color": (0, 1),
    "hole_share": (0, 0.9),
    "ragged_um": (0, 5),
    "edge_dab_od": (0, 3),
    "edge_um": (0.1, 20),
    "stroma_dab_od": (0, 2),
    "folds_per_mm2": (0, 5000),
    "gamma": (0.5, 2),
    "macrophage_share": (0, 1),
}
"""Smallest and largest value of each range of `PhantomParameters`, both included."""


def problems(values: Mapping[str, Any]) -> list[str]:
    """List everything that makes no sense.

    Parameters
    ----------
    values : mapping of str to object
        A value for each field of `PhantomParameters`.

    Returns
    -------
    list of str
        One sentence each, empty if all is well.
    """
    found = []
    size, mpp, marker = values["size_px"], values["mpp"], values["marker"]
    if not (_numbers(size, 2) and all(isinstance(n, int) and 16 <= n <= 32768 for n in size)):
        found.append(f"size_px must be two whole numbers from 16 to 32768, found {size!r}")
    if not (_numbers((mpp,), 1) and 0.05 <= mpp <= 4):
        found.append(f"mpp must lie in 0.05 to 4, found {mpp!r}")
    if marker not in MARKERS:
        found.append(f"marker must be one of {', '.join(MARKERS)}, found {marker!r}")
    for name, (minimum, maximum) in LIMITS.items():
        value = values[name]
        if not (_numbers(value, 2) and minimum <= value[0] <= value[1] <= maximum):
            found.append(f"{name} must be (low, high) within {minimum:g} to {maximum:g}, found {value!r}")
    return found + _vector_problems(values)


def _vector_problems(values: Mapping[str, Any]) -> list[str]:
    found = []
    for name in ("hematoxylin_vector", "dab_vector"):
        vector = values[name]
        if not (_numbers(vector, 3) and min(vector) >= 0 and max(vector) > 0):
            found.append(f"{name} must be three numbers >= 0, not all 0, found {vector!r}")
    shift = values["stain_shift_deg"]
    if not found and _numbers(shift, 2):
        apart = angle_deg(values["hematoxylin_vector"], values["dab_vector"])
        needed = MIN_ANGLE_DEG + 2 * shift[1]
        # turned towards each other, the two must still be distinguishable
        if apart <= needed:
            found.append(f"the stain vectors are {apart:.1f} degrees apart, more than {needed:.1f} are needed")
    return found


def _numbers(value: Any, count: int) -> bool:
    """Return whether a value is `count` finite numbers."""
    if not isinstance(value, tuple) or len(value) != count:
        return False
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < math.inf for v in value)
