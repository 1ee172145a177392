"""Grow nuclei to cells and partition them into compartments."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import um_to_px
from ihcscore.kernels.compartments import choose_compartments, mark_near_border
from ihcscore.kernels.growth import grow_labels

Labels = NDArray[np.int32]

NUCLEUS, CYTOPLASM, MEMBRANE, EDGE = 0, 1, 2, 3
PARTS = 4
"""Parts of a cell; they do not overlap."""
MARGIN, SIDES = 1, (2, 4)
"""Bits of pixels near the border of a cell; of those near that of a nucleus, inside and outside of it."""
PARTS_OF_PX, FARTHEST_PX = 256, 110
"""Units of the distances in which cells grow; the farthest they do, since the kernel keeps places in bytes (grow.c)."""
ROUNDING_PX = 1e-3
"""Added to how far they grow: a whole number of pixels includes the last one."""


def expand(nuclei: Labels, distance_um: float, mpp: float) -> Labels:
    """Grow nuclei to cells, meeting their neighbors halfway.

    Raises ValueError if the distance is more than `FARTHEST_PX` pixels.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32
        Nucleus labels. Not modified.
    distance_um : float
        Farthest a cell reaches beyond its nucleus, in um; >= 0.
    mpp : float
        um per pixel.

    Returns
    -------
    ndarray of shape (M, N), dtype int32
        Cell labels, the same numbers; nucleus i lies inside cell i.

    Notes
    -----
    The distance is that of a 5 x 5 chamfer [1]_, within 2 % of the Euclidean one.

    References
    ----------
    .. [1] Borgefors, Comput. Vis. Graph. Image Process. 34(3), 344-371, 1986.

    Examples
    --------
    >>> expand(np.array([[1, 0, 0, 0, 2]], np.int32), 1.0, mpp=0.5)
    array([[1, 1, 1, 2, 2]], dtype=int32)
    """
    distance = max(0, um_to_px(distance_um, mpp))
    if distance > FARTHEST_PX:
        raise ValueError(f"cells grow by at most {FARTHEST_PX} pixels, found {distance_um} um at {mpp} um per pixel")
    return grow_labels(nuclei, int((distance + ROUNDING_PX) * PARTS_OF_PX))


def partition(
    nuclei: Labels,
    cells: Labels,
    mpp: float,
    *,
    membrane_um: float,
    nucleus_edge_um: float = 0,
    cytoplasm_edge_um: float = 0,
) -> NDArray[np.uint8]:
    """Partition cells into nucleus, nucleus edge, cytoplasm and membrane. Raises ValueError if the shapes differ.

    Parameters
    ----------
    nuclei, cells : ndarray of shape (M, N), dtype int32
        Labels with the same numbers, nucleus i inside cell i. Not modified.
    mpp : float
        um per pixel.
    membrane_um : float
        Width of the membrane band, in um; rounded to whole pixels, at least one.
    nucleus_edge_um, cytoplasm_edge_um : float, default 0
        Width of the edge of the nucleus, inside and outside of its outline, in um; rounded to whole pixels.

    Returns
    -------
    ndarray of shape (M, N), dtype uint8
        0 nucleus, 1 cytoplasm, 2 membrane, 3 edge of the nucleus; 1 outside of cells. They do not overlap: a nucleus
        that reaches the border of its cell has no membrane there, a membrane near a nucleus is membrane, and a nucleus
        or a cytoplasm that is all edge has none. An image's edge is neither a nucleus edge nor a cell border.

    Examples
    --------
    >>> cells = np.array([[1, 1, 1, 1, 1, 1, 1, 0]], np.int32)
    >>> nuclei = np.array([[0, 1, 1, 1, 0, 0, 0, 0]], np.int32)
    >>> partition(nuclei, cells, 0.5, membrane_um=0.5, nucleus_edge_um=0.5)
    array([[1, 3, 0, 3, 1, 1, 2, 1]], dtype=uint8)
    """
    if nuclei.shape != cells.shape:
        raise ValueError(f"expected nuclei and cells of one shape, found {nuclei.shape} and {cells.shape}")
    widths = [round(um_to_px(um, mpp)) for um in (nucleus_edge_um, cytoplasm_edge_um)]
    part = np.zeros(nuclei.shape, np.uint8)
    for width in {*widths} - {0}:
        _near_border(nuclei, width, sum(bit for bit, own in zip(SIDES, widths, strict=True) if own == width), part)
    _near_border(cells, max(1, round(um_to_px(membrane_um, mpp))), MARGIN, part)
    choose_compartments(nuclei, cells, part)
    return part


def _near_border(labels: Labels, width: int, bits: int, out: NDArray[np.uint8]) -> None:
    """Set bits of the pixels with another label no farther than `width` pixels away."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    sides = np.asarray(disc.sum(axis=1) // 2, np.int64)
    mark_near_border(labels, width, sides, bits, out)
