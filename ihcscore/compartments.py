"""Nuclei to cells: cytoplasm and membrane around each nucleus."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import um_to_px

Labels = NDArray[np.integer]

NUCLEUS, CYTOPLASM, MEMBRANE, EDGE = 0, 1, 2, 3
PARTS = 4
"""Parts of a cell; they do not overlap."""

BAND_ROWS = 64
"""Rows worked on at once, so that they stay in the processor's cache."""


def expand(nuclei: Labels, distance_um: float, mpp: float) -> Labels:
    """Grow nuclei to cells, meeting their neighbours halfway.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32 or uint16
        Nucleus labels. Not modified.
    distance_um : float
        Farthest a cell reaches beyond its nucleus, in um; >= 0.
    mpp : float
        um per pixel.

    Returns
    -------
    ndarray of shape (M, N), dtype of `nuclei`
        Cell labels, the same numbers; nucleus i lies inside cell i.

    Notes
    -----
    The distance is OpenCV's 5 x 5 chamfer, within 2 % of the Euclidean one.

    Examples
    --------
    >>> expand(np.array([[1, 0, 0, 0, 2]], np.int32), 1.0, mpp=0.5)
    array([[1, 1, 1, 2, 2]], dtype=int32)
    """
    if distance_um <= 0 or not nuclei.any():
        return nuclei.copy()
    outside = (nuclei == 0).view(np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    at = np.flatnonzero(nuclei)
    label_of = np.zeros(len(at) + 1, nuclei.dtype)
    label_of[nearest.ravel()[at]] = nuclei.ravel()[at]
    cells = np.empty_like(nuclei)
    for top in range(0, len(cells), BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        within = distance[rows] <= um_to_px(distance_um, mpp) + 1e-3
        np.multiply(label_of.take(nearest[rows]), within, out=cells[rows])
    return cells


def partition(
    nuclei: Labels,
    cells: Labels,
    mpp: float,
    *,
    membrane_um: float,
    nucleus_edge_um: float = 0,
    cytoplasm_edge_um: float = 0,
) -> NDArray[np.uint8]:
    """Tell nucleus, nucleus edge, cytoplasm and membrane apart inside the cells.

    Parameters
    ----------
    nuclei, cells : ndarray of shape (M, N), dtype int32 or uint16
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
    margin, inside = _near_border(cells, max(1, round(um_to_px(membrane_um, mpp)))), nuclei > 0
    widths = [round(um_to_px(um, mpp)) for um in (nucleus_edge_um, cytoplasm_edge_um)]
    near = {width: _near_border(nuclei, width) for width in {*widths} if width > 0}
    nowhere = np.zeros_like(inside)
    within, around = (near.get(width, nowhere) for width in widths)
    edge = _left_where_it_is_not_all(within & inside, inside, nuclei)
    edge |= _left_where_it_is_not_all(around & ~inside, (cells > 0) & ~(inside | margin), cells)
    # 8 for nuclei, 4 for their edge, 2 near a border, 1 in cells
    state = inside.view(np.uint8) << np.uint8(3)
    for bit, is_so in ((2, edge), (1, margin), (0, cells > 0)):
        state |= is_so.view(np.uint8) << np.uint8(bit)
    return np.asarray(cv2.LUT(state, _PART_OF_STATE), np.uint8)


def _part_of_state() -> NDArray[np.uint8]:
    part = np.full(256, CYTOPLASM, np.uint8)
    part[[3, 7]] = MEMBRANE
    part[5] = EDGE
    part[8:12], part[12:16] = NUCLEUS, EDGE
    return part


_PART_OF_STATE = _part_of_state()


def _left_where_it_is_not_all(edge: NDArray[np.bool_], of: NDArray[np.bool_], labels: Labels) -> NDArray[np.bool_]:
    """Take the edge away from labels that would have nothing else."""
    bare = np.ones(int(labels.max(initial=0)) + 1, bool)
    bare[labels[of & ~edge]] = False
    return edge & ~bare[labels] if bare[1:].any() else edge


def _near_border(labels: Labels, width: int) -> NDArray[np.bool_]:
    """Pixels with another label no farther than `width` pixels away."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    values = _sixteen_bits(labels)
    return np.asarray(cv2.dilate(values, disc) != cv2.erode(values, disc))


def _sixteen_bits(labels: Labels) -> NDArray[np.uint16] | NDArray[np.float32]:
    """Give labels in a type that OpenCV erodes; float32 is exact up to 2**24 labels."""
    return labels.astype(np.uint16, copy=False) if labels.max(initial=0) < 2**16 else labels.astype(np.float32)
