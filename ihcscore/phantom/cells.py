"""Cells around nuclei, their membranes, and who touches whom."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid, smooth
from ihcscore.phantom.labels import depth

UNEVEN = 0.2
"""How far the reach of a cell varies along a free border, relative to it."""
UNEVEN_UM = 9.0


@dataclass(frozen=True)
class Cells:
    """Territories of the cells.

    Parameters
    ----------
    cells : ndarray of shape (M, N), dtype int32
        Numbered as the nuclei; nucleus i lies inside cell i.
    membranes : ndarray of shape (M, N), dtype int32
        The band along the border of each cell, without nucleus pixels, with the cell's number.
    """

    cells: NDArray[np.int32]
    membranes: NDArray[np.int32]


def grow(
    rng: np.random.Generator,
    nuclei: NDArray[np.int32],
    width_um: NDArray[np.float64],
    grid: Grid,
    membrane_um: float,
) -> Cells:
    """Expand nuclei to cells that meet halfway.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32
        Labels 1..n.
    width_um : ndarray of shape (n,), dtype float64
        How far each nucleus expands at most; >= 0.
    membrane_um : float
        Thickness of the membrane between two cells; each has half of it, at least one pixel.
    """
    reach = np.concatenate([[0.0], width_um]).astype(np.float32)
    if len(reach) == 1:
        return Cells(np.zeros_like(nuclei), np.zeros_like(nuclei))
    distance, nearest = cv2.distanceTransformWithLabels(
        (nuclei == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    name = np.zeros(int(nearest.max()) + 1, np.int32)
    inside = nuclei > 0
    name[nearest[inside]] = nuclei[inside]
    owner = name[nearest]
    # a free border is uneven, a shared one lies halfway
    uneven = np.clip(1 - UNEVEN * np.abs(smooth(rng, grid, UNEVEN_UM)), 0, 1)
    cells = np.where(distance * np.float32(grid.mpp) <= reach[owner] * uneven, owner, 0).astype(np.int32)
    cells = _one_piece(cells, inside)
    depth_um = depth(cells, grid)
    band = (cells > 0) & ~inside & (depth_um <= max(membrane_um / 2, grid.mpp))
    return Cells(cells, np.where(band, cells, 0).astype(np.int32))


def _one_piece(cells: NDArray[np.int32], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Drop pixels of a cell that are cut off from its nucleus."""
    rows, columns = cells.shape
    # pixels and, between them, the borders that do not part two cells: one pass finds the pieces of all cells
    links = np.zeros((2 * rows - 1, 2 * columns - 1), np.uint8)
    links[::2, ::2] = cells > 0
    links[1::2, ::2] = (cells[1:] > 0) & (cells[1:] == cells[:-1])
    links[::2, 1::2] = (cells[:, 1:] > 0) & (cells[:, 1:] == cells[:, :-1])
    count, pieces = cv2.connectedComponents(links, connectivity=4)
    piece = pieces[::2, ::2]
    kept = np.zeros(count, np.bool_)
    kept[piece[inside]] = True
    return np.where(kept[piece], cells, 0).astype(np.int32)
