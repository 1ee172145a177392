"""DAB along rays out of a nucleus: what a cell's membrane is looked for in."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.geometry import um_to_px

RAYS = 32
"""Directions in which the membrane is looked for."""
STEP_UM = 0.5
"""Distance between two samples of a ray."""
LONGEST = 28
"""Steps from its centroid after which a nucleus is left at the latest."""
BEFORE = 2
"""Samples inside the nucleus: outlines are not exact."""
SAMPLES = 24
"""Samples of a ray, from 1 um inside the nucleus to 11 um outside."""
REACH_UM = (SAMPLES - BEFORE) * STEP_UM + 1.0
"""How far from the nucleus something can matter."""
PARTS = 32
"""Positions are whole 1/32 pixels, as OpenCV reads them: the same wherever a window begins."""


@dataclass(frozen=True)
class Profiles:
    """DAB along the rays of some cells, aligned at the edge of each nucleus.

    Parameters
    ----------
    od : ndarray of shape (n, 32, 24), dtype float32
        DAB OD.
    other : ndarray of shape (n, 32, 24), dtype bool
        Where another nucleus lies.
    edge_um : ndarray of shape (n, 32), dtype float32
        Distance from the centroid at which the ray leaves the nucleus; the sample `BEFORE` is the first outside.
    """

    od: NDArray[np.float32]
    other: NDArray[np.bool_]
    edge_um: NDArray[np.float32]

    def away_um(self) -> NDArray[np.float32]:
        """Distance of each sample from the centroid, um; shape (n, 32, 24)."""
        return np.asarray(self.edge_um[..., None] + STEP_UM * (np.arange(SAMPLES) - BEFORE), np.float32)


def read_profiles(
    dab: NDArray[np.float32], nuclei: NDArray[np.integer], xy: NDArray[np.float64], cells: range, mpp: float
) -> Profiles:
    """Read the DAB around some cells.

    Parameters
    ----------
    dab : ndarray of shape (M, N), dtype float32
        DAB OD, not clipped. Not modified.
    nuclei : ndarray of shape (M, N), integer
        Labels; nucleus i at row i - 1 of `xy`, and higher labels of others.
    xy : ndarray of shape (n, 2)
        Centroids, px.
    cells : range
        Rows of `xy`.
    mpp : float
        um per pixel.

    Returns
    -------
    Profiles
    """
    steps = _steps(mpp)
    length = steps.shape[2]
    own = np.arange(cells.start, cells.stop, dtype=nuclei.dtype)[:, None, None] + 1
    middle = np.rint((xy[cells.start : cells.stop] - 0.5) * PARTS).astype(np.int32)
    around, places = _pixels(nuclei, middle, steps)
    outwards = around.take(places.reshape(-1, RAYS, length)[..., BEFORE : BEFORE + LONGEST])
    edge = (outwards == own).sum(axis=2, dtype=np.int32)
    at = np.arange(RAYS, dtype=np.int32)[:, None] * length + edge[..., None] + np.arange(SAMPLES, dtype=np.int32)
    first = np.arange(0, places.size, RAYS * length, dtype=np.int32)[:, None, None]
    labels = around.take(places.ravel().take(at + first))
    x, y = (middle[:, k, None, None] + steps[k].ravel().take(at) for k in (0, 1))
    return Profiles(_along(dab, x, y), (labels != 0) & (labels != own), np.asarray(edge * STEP_UM, np.float32))


def _steps(mpp: float) -> NDArray[np.int32]:
    """Give where each ray is, from `BEFORE` steps before its centre on, in 1/32 px."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    length = np.arange(-BEFORE, LONGEST + SAMPLES) * um_to_px(STEP_UM, mpp)
    way = np.stack([np.cos(angle), np.sin(angle)])[..., None]
    return np.asarray(np.rint(PARTS * way * length), np.int32)


def _pixels(
    labels: NDArray[np.integer], middle: NDArray[np.int32], steps: NDArray[np.int32]
) -> tuple[NDArray[np.integer], NDArray[np.int32]]:
    """Cut out the labels around some places, and give the pixel nearest to each step of each place's rays.

    Only a place's 1/32 of a pixel decides which pixels, counted from its own, its steps fall on: they are looked up.

    Parameters
    ----------
    labels : ndarray of shape (M, N), integer
        Beyond its edges, they go on as they are there.
    middle : ndarray of shape (n, 2), dtype int32
        x and y of the places, 1/32 px.
    steps : ndarray of shape (2, rays, length), dtype int32
        As `_steps` gives them.

    Returns
    -------
    around : ndarray of shape (k,), integer
    places : ndarray of shape (n, rays * length), dtype int32
        Where each step is in `around`.
    """
    reach = int(np.abs(steps).max()) // PARTS + 2
    whole, part = middle >> 5, middle & (PARTS - 1)
    top, bottom = int(whole[:, 1].min()) - reach, int(whole[:, 1].max()) + reach + 1
    inside = labels[max(0, top) : max(0, bottom)]
    margins = max(0, -top), max(0, bottom - len(labels)), reach, reach
    around = np.asarray(cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REPLICATE), labels.dtype)
    fractions = np.arange(PARTS)[:, None]
    across, down = ((fractions + way.ravel() + PARTS // 2 >> 5).astype(np.int32) for way in steps)
    columns = np.int32(around.shape[1])
    first = (whole[:, 1] - np.int32(top)) * columns + whole[:, 0] + np.int32(reach)
    places = across[part[:, 0]]
    places += (down * columns)[part[:, 1]]
    places += first[:, None]
    return around.ravel(), np.asarray(places, np.int32)


def _along(image: NDArray[np.float32], x: NDArray[np.int32], y: NDArray[np.int32]) -> NDArray[np.float32]:
    """Read an image at positions in 1/32 px, between pixels linearly."""
    left, top = (np.multiply(v, np.float32(1 / PARTS), dtype=np.float32).reshape(-1, v.shape[2]) for v in (x, y))
    read = cv2.remap(image, left, top, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read.reshape(x.shape), np.float32)
