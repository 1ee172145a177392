"""Outlines of nuclei as polygons."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS = 36
STROMA_STRETCH = 1.9
STROMA_SCALE = 0.85
LYMPHOCYTE_RADIUS_UM = 3.1
MACROPHAGE_RADIUS_UM = 5.5
MACROPHAGE_UNEVEN = 0.3
"""Spread of the radius of macrophages (standard deviation of the logarithm)."""
MACROPHAGE_BENDS = 2.5
"""How much more than others they are bent."""
MIN_HALF_WIDTH_UM = 1.1


@dataclass(frozen=True)
class Shapes:
    """Parameters of the outlines of n nuclei.

    Parameters
    ----------
    stroma, lymphocyte, macrophage : ndarray of shape (n,), dtype bool
        Whether it lies in stroma; whether it is a lymphocyte; whether it is a macrophage.
    across : ndarray of shape (n,), dtype float32
        Angle of the way into the nest at its place, in radians.
    """

    stroma: NDArray[np.bool_]
    lymphocyte: NDArray[np.bool_]
    macrophage: NDArray[np.bool_]
    across: NDArray[np.float32]


def outlines(rng: np.random.Generator, shapes: Shapes, drawn: Mapping[str, float]) -> NDArray[np.float64]:
    """Draw an ellipse for each nucleus and bend it by a few harmonics and a dent.

    Parameters
    ----------
    shapes : Shapes
    drawn : mapping of str to float
        Uses `nucleus_radius_um`, `radius_spread`, `giant_share`, `elongation`, `irregularity`, `dented_share` and
        `alignment`.

    Returns
    -------
    ndarray of shape (n, POINTS, 2), dtype float64
        x, y in um from the center of the ellipse.
    """
    long, short = _axes(rng, shapes, drawn)
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    bends = drawn["irregularity"] * np.where(shapes.macrophage, MACROPHAGE_BENDS, 1.0)
    radius = 1 + _harmonics(rng, bends, angle) - _dents(rng, len(long), angle, drawn)
    u, v = long[:, None] * radius * np.cos(angle), short[:, None] * radius * np.sin(angle)
    turn = _directions(rng, shapes, drawn["alignment"])[:, None]
    return np.stack([np.cos(turn) * u - np.sin(turn) * v, np.sin(turn) * u + np.cos(turn) * v], axis=-1)


def contact_steps(rng: np.random.Generator, outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the step from each nucleus's predecessor, in a random direction, that makes the two just touch.

    Parameters
    ----------
    outline : ndarray of shape (n, POINTS, 2), dtype float64

    Returns
    -------
    ndarray of shape (n, 2), dtype float64
        x, y in um; the first row has no predecessor and means nothing.
    """
    angle = rng.uniform(0, 2 * np.pi, len(outline))
    way = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    before = np.max(np.einsum("npk,nk->np", np.roll(outline, 1, axis=0), way), axis=1)
    after = np.max(np.einsum("npk,nk->np", outline, -way), axis=1)
    # the widest points rarely face each other: a little less than their sum makes contact, not overlap
    return np.asarray(way * ((before + after) * rng.uniform(0.82, 0.95, len(outline)))[:, None])


def _axes(
    rng: np.random.Generator, shapes: Shapes, drawn: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = len(shapes.stroma)
    radius = drawn["nucleus_radius_um"] * np.exp(drawn["radius_spread"] * rng.standard_normal(n))
    giant = rng.random(n) < drawn["giant_share"]
    radius = np.where(giant, radius * rng.uniform(1.4, 2.0, n), radius)
    stretch = drawn["elongation"] * np.exp(0.15 * rng.standard_normal(n))
    spindle = STROMA_STRETCH * rng.uniform(0.7, 1.8, n)
    small = LYMPHOCYTE_RADIUS_UM * np.exp(0.1 * rng.standard_normal(n))
    radius = np.where(shapes.stroma, radius * STROMA_SCALE, radius)
    radius = np.where(shapes.lymphocyte, small, radius)
    stretch = np.where(shapes.stroma, stretch * spindle, stretch)
    stretch = np.where(shapes.lymphocyte, 1 + 0.08 * spindle, np.maximum(stretch, 1))
    if shapes.macrophage.any():
        body = MACROPHAGE_RADIUS_UM * np.exp(MACROPHAGE_UNEVEN * rng.standard_normal(n))
        radius = np.where(shapes.macrophage, body, radius)
        stretch = np.where(shapes.macrophage, 1 + 0.5 * spindle * rng.random(n) ** 2, stretch)
    root = np.sqrt(stretch)
    return radius * root, np.maximum(radius / root, MIN_HALF_WIDTH_UM)


def _harmonics(
    rng: np.random.Generator, irregularity: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    n = len(irregularity)
    total = np.zeros((n, len(angle)))
    for order in range(2, 7):
        size = irregularity[:, None] * 4 / order**2 * rng.standard_normal((n, 1))
        total += size * np.cos(order * angle + rng.uniform(0, 2 * np.pi, (n, 1)))
    return np.clip(total, -0.35, 0.5)


def _dents(
    rng: np.random.Generator, n: int, angle: NDArray[np.float64], drawn: Mapping[str, float]
) -> NDArray[np.float64]:
    dented = rng.random((n, 1)) < drawn["dented_share"]
    away = np.angle(np.exp(1j * (angle - rng.uniform(0, 2 * np.pi, (n, 1)))))
    dent = rng.uniform(0.1, 0.3, (n, 1)) * np.exp(-((away / rng.uniform(0.3, 0.6, (n, 1))) ** 2))
    return np.asarray(np.where(dented, dent, 0.0))


def _directions(rng: np.random.Generator, shapes: Shapes, alignment: float) -> NDArray[np.float64]:
    """Lay tumor nuclei along the way into the nest as far as `alignment` asks, stroma nuclei across it."""
    n = len(shapes.across)
    tumor = shapes.across + (1 - alignment) * rng.uniform(-np.pi / 2, np.pi / 2, n)
    stroma = shapes.across + np.pi / 2 + 0.35 * rng.standard_normal(n)
    return np.where(shapes.stroma, stroma, tumor)
