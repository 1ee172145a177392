"""Partition cells into compartments."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run

Labels = NDArray[np.int32]


def mark_near_border(labels: Labels, width: int, sides: NDArray[np.int64], bits: int, out: NDArray[np.uint8]) -> None:
    """Set bits of the pixels within a disc of another label.

    Parameters
    ----------
    labels : ndarray of shape (M, N), dtype int32
    width : int
        Radius of the disc, px.
    sides : ndarray of shape (2 * width + 1,), dtype int64
        Half width of each row of the disc.
    out : ndarray of shape (M, N), dtype uint8
        Modified.
    """
    check_shapes(sides=(sides.shape, (2 * width + 1,)), out=(out.shape, labels.shape))
    if labels.size:
        run("near_border", *labels.shape, labels, width, sides, bits, out)


def choose_compartments(nuclei: Labels, cells: Labels, part: NDArray[np.uint8]) -> None:
    """Replace the bits of `mark_near_border` by each pixel's compartment.

    Parameters
    ----------
    nuclei, cells : ndarray of shape (M, N), dtype int32
    part : ndarray of shape (M, N), dtype uint8
        Modified.
    """
    check_shapes(cells=(cells.shape, nuclei.shape), part=(part.shape, nuclei.shape))
    highest = max(int(labels.max(initial=0)) for labels in (nuclei, cells))
    run("partition", nuclei.size, nuclei, cells, np.zeros((highest + 1, 2), np.uint8), part)
