"""From what the network proposes along rays to the borders of cells and their staining."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ihcscore.kernels.library import check_shapes, run
from ihcscore.kernels.membrane_profiles import RAYS, SAMPLES

Rays = NDArray[np.float32]


class StainedRays(NamedTuple):
    """Density, whether stained, radius, width and share of the perimeter of each ray; every array of shape (n, 32)."""

    od: Rays
    stained: NDArray[np.bool_]
    radius_um: Rays
    width_um: Rays
    share: Rays


def choose_proposals(proposals: NDArray[np.float32], prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the network's proposals along each ray, weighted by a softmax.

    Parameters
    ----------
    proposals : ndarray of shape (n, 24, 6, 8), dtype float32
    prior : ndarray of shape (12,), dtype float32

    Returns
    -------
    ndarray of shape (3, n, 32), dtype float32
        Density, probability of a line, and the sample at which the border lies.
    """
    check_shapes(proposals=(proposals.shape, (len(proposals), 24, SAMPLES // 4, RAYS // 4)))
    check_shapes(prior=(prior.shape, (SAMPLES // 2,)))
    out = np.empty((3, len(proposals), RAYS), np.float32)
    run("read_proposals", len(proposals), proposals, prior, *out)
    return out


def measure_lines(
    level: NDArray[np.uint8],
    other: NDArray[np.bool_],
    edge_um: Rays,
    line: Rays,
    radius_um: Rays,
    least: float,
    step_um: float,
) -> tuple[NDArray[np.bool_], Rays, Rays]:
    """Find which rays cross a stained line, its width, and the share of the perimeter of each ray.

    Parameters
    ----------
    level : ndarray of shape (n, 32, 24), dtype uint8
        DAB along each ray.
    other : ndarray of shape (n, 32, 24), dtype bool
    edge_um, line, radius_um : ndarray of shape (n, 32), dtype float32
        Edge of the nucleus, probability of a line, distance of the border.
    least : float
        Probability from which a border is a line.
    step_um : float
        Distance between samples.

    Returns
    -------
    stained : ndarray of shape (n, 32), dtype bool
    width_um, share : ndarray of shape (n, 32), dtype float32
    """
    shape = (len(level), RAYS)
    check_shapes(level=(level.shape, (*shape, SAMPLES)), other=(other.shape, (*shape, SAMPLES)))
    check_shapes(edge=(edge_um.shape, shape), line=(line.shape, shape), radius=(radius_um.shape, shape))
    stained, width, share = np.empty(shape, np.bool_), np.empty(shape, np.float32), np.empty(shape, np.float32)
    read = level, other.view(np.uint8), edge_um, line, radius_um
    run("find_borders", len(level), *read, least, step_um, stained.view(np.uint8), width, share)
    return stained, width, share


def sum_membranes(rays: StainedRays, bend_um: float, shares: NDArray[np.float64]) -> Rays:
    """Summarize the rays of each cell.

    Parameters
    ----------
    bend_um : float
        Neighboring rays' borders are one line if their radii differ by no more.
    shares : ndarray of shape (q,), dtype float64
        Quantiles of density to return.

    Returns
    -------
    ndarray of shape (n, 4 + q), dtype float32
        Mean density, completeness, linear share, thickness, quantiles.
    """
    out = np.empty((len(rays.od), 4 + len(shares)), np.float32)
    check_shapes(**{name: (each.shape, (len(out), RAYS)) for name, each in rays._asdict().items()})
    od, stained, *others = rays
    run("sum_up_borders", len(out), od, stained.view(np.uint8), *others, bend_um, len(shares), shares, out)
    return out
