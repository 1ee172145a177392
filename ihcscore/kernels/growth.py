"""Grow cells from nuclei."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import run

Labels = NDArray[np.int32]


def grow_labels(nuclei: Labels, reach: int) -> Labels:
    """Grow labels into the background, each pixel to the nearest one within reach.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32
    reach : int
        In parts of a pixel, as `ihcscore.cells.compartments.PARTS_OF_PX` has them.
    """
    cells = np.empty_like(nuclei)
    run("grow", *nuclei.shape, nuclei, reach, cells)
    return cells
