"""Sample rays out of nuclei, and bring the samples into the form that the membrane network takes."""

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run

PLANES, RAYS, SAMPLES = 2, 32, 24
"""As in ``kernels.h``."""
Samples = NDArray[np.uint8]


def sample_rays(
    levels: NDArray[np.uint8],
    labels: NDArray[np.int32],
    first_label: int,
    centers: NDArray[np.int32],
    steps: NDArray[np.int32],
) -> tuple[Samples, NDArray[np.bool_], NDArray[np.int32]]:
    """Sample planes along rays out of the centers of consecutive labels.

    Parameters
    ----------
    levels : ndarray of shape (2, M, N), dtype uint8
    labels : ndarray of shape (M, N), dtype int32
    first_label : int
        Label of the first center.
    centers : ndarray of shape (n, 2), dtype int32
        x, y in 1/32 px.
    steps : ndarray of shape (32, k, 2), dtype int32
        Offsets along each ray in 1/32 px.

    Returns
    -------
    level : ndarray of shape (2, n, 32, 24), dtype uint8
    other : ndarray of shape (n, 32, 24), dtype bool
        Whether another label lies at the sample.
    edge : ndarray of shape (n, 32), dtype int32
        Steps from the center to the label's edge.
    """
    check_shapes(levels=(levels.shape, (PLANES, *labels.shape)), centers=(centers.shape, (len(centers), 2)))
    count = len(centers)
    level, other = np.empty((PLANES, count, RAYS, SAMPLES), np.uint8), np.empty((count, RAYS, SAMPLES), np.bool_)
    edge = np.empty((count, RAYS), np.int32)
    into = level, other.view(np.uint8), edge
    run("read_profiles", count, *labels.shape, levels, labels, first_label, centers, steps, *into)
    return level, other, edge


def network_input(
    level: Samples, other: NDArray[np.bool_], scale: NDArray[np.float32], shift: NDArray[np.float32], padding: int
) -> NDArray[np.float32]:
    """Scale samples for the network and pad the rays circularly.

    Parameters
    ----------
    level : ndarray of shape (2, n, 32, 24), dtype uint8
    other : ndarray of shape (n, 32, 24), dtype bool
    scale, shift : ndarray of shape (2,), dtype float32
        Of each plane.
    padding : int
        Rays added at either end.

    Returns
    -------
    ndarray of shape (n, 3, 24, 32 + 2 * padding), dtype float32
    """
    count = len(other)
    check_shapes(level=(level.shape, (PLANES, count, RAYS, SAMPLES)), other=(other.shape, (count, RAYS, SAMPLES)))
    check_shapes(scale=(scale.shape, (PLANES,)), shift=(shift.shape, (PLANES,)))
    out = np.empty((count, PLANES + 1, SAMPLES, RAYS + 2 * padding), np.float32)
    run("seen_profiles", count, level, other.view(np.uint8), scale, shift, padding, out)
    return out
