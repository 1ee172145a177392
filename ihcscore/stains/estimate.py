"""Stain vectors estimated from an image, and whether it looks like hematoxylin and DAB at all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.stains.density import SATURATED_OD, optical_density
from ihcscore.stains.vectors import RUIFROK_DAB, RUIFROK_HEMATOXYLIN, StainMatrix, angle_deg, unit

TISSUE_OD = 0.15
"""A pixel whose optical density is shorter than this is not stained [1]_."""
EXTREME = 0.01
"""Robust extreme of the angles [1]_."""
MIN_PIXELS = 500
MIN_SHARE = 0.01
"""A stain on less than this part of the stained pixels is nearly absent: its vector would be made of noise."""
CLEAR_HEMATOXYLIN_SHARE = 0.2
"""With less hematoxylin, hardly a pixel is free of DAB, and its vector is no better known than the default one."""
DOUBT = "its estimated vector may be far off"
MIN_SPREAD_DEG = 15.0
"""Stains closer together than this are one stain and its noise; hematoxylin and DAB are 37 degrees apart."""
SECOND_STAIN_SHARE = 0.05
"""A direction with this part of the optical density around it is a stain, not noise."""
GREY_DEG = 3.0
MAX_HEMATOXYLIN_DRIFT_DEG = 20.0
MAX_DAB_DRIFT_DEG = 15.0
BESIDE_DEG = (-2.5, 10.0)
"""How far beside the plane of the hematoxylin found and of DAB a mixture of the two lies; AEC lies farther to one side,
Fast Red much farther."""

HEMATOXYLIN = "hematoxylin"
DAB = "DAB"
KNOWN: dict[str, tuple[float, float, float]] = {
    HEMATOXYLIN: RUIFROK_HEMATOXYLIN,
    DAB: RUIFROK_DAB,
    "AEC": (0.2743, 0.6796, 0.6803),
    "Fast Red": (0.2139, 0.8511, 0.4779),
    "eosin": (0.07, 0.99, 0.11),
}
"""Directions of stains; those but the first two from G. Landini's ImageJ plugin Color Deconvolution."""

ESTIMATED, TOO_LITTLE, NO_COLOR = "estimated", "too little tissue", "no color"
NO_DAB, NO_HEMATOXYLIN, NOT_HDAB = "DAB nearly absent", "hematoxylin nearly absent", "not H-DAB"
MIXED = "DAB nowhere alone"


@dataclass(frozen=True)
class StainEstimate:
    """What the colors of an image say about its stains.

    Parameters
    ----------
    status : str
        "estimated", or why there is no estimate: "too little tissue", "no color", "DAB nearly absent", "DAB nowhere
        alone", "hematoxylin nearly absent", "not H-DAB".
    reason : str
        The same in a sentence with the numbers.
    stains : StainMatrix or None
        The estimate; None unless `status` is "estimated".
    found : tuple of two vectors, or None
        The extreme directions found, bluest first, whatever they were judged to be.
    pixels : int
        Stained pixels used.
    share_hematoxylin, share_dab : float
        Part of the stained optical density that lies nearer to one default vector than to the other.
    """

    status: str
    reason: str
    stains: StainMatrix | None
    found: tuple[tuple[float, ...], tuple[float, ...]] | None
    pixels: int
    share_hematoxylin: float
    share_dab: float

    @property
    def looks_like_hdab(self) -> bool:
        """False when the colors contradict H-DAB; a stain that is merely absent does not."""
        return self.status not in (NOT_HDAB, NO_COLOR)

    @property
    def doubt(self) -> str:
        """Why an estimate may be far off; empty if nothing says so."""
        if self.stains is None or self.share_hematoxylin >= CLEAR_HEMATOXYLIN_SHARE:
            return ""
        return f"{self.share_hematoxylin:.0%} of the stain is hematoxylin: {DOUBT}"


def estimate_stains(rgb: NDArray[np.uint8], background: ArrayLike = 255) -> StainEstimate:
    """Estimate the hematoxylin and DAB vectors of an image.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Image, or pixels sampled from one or several. Not modified.
    background : array_like of shape () or (3,), default 255
        Light without tissue, I0; positive.

    Returns
    -------
    StainEstimate
        With vectors, or with the reason why there are none: a stain that is nearly absent has no vector to be found,
        and another chromogen or counterstain is named rather than forced into H-DAB.

    Raises
    ------
    TypeError, ValueError
        As `optical_density`.

    Notes
    -----
    Macenko's method [1]_: the plane of the stained pixels' optical densities (second moments about the origin), angles
    in that plane, and the directions at the 1 % and 99 % quantiles, here weighted by optical density so that noise on
    pale pixels counts less. Saturated pixels are left out.

    References
    ----------
    .. [1] Macenko et al., ISBI 2009, 1107-1110.

    Examples
    --------
    >>> estimate_stains(np.full((50, 50, 3), 250, np.uint8)).status
    'too little tissue'
    """
    od = stained_densities(rgb, background)
    length = np.linalg.norm(od, axis=1)
    pixels = len(od)
    if pixels < MIN_PIXELS:
        reason = f"{pixels} stained pixels; {MIN_PIXELS} are needed"
        return StainEstimate(TOO_LITTLE, reason, None, None, pixels, 0.0, 0.0)
    share_h, share_d = _shares(od, length)
    bluest, brownest = _extremes(od.astype(np.float64), length)
    second_share = float(length[od @ brownest > od @ bluest].sum() / length.sum())
    status, reason = _judge(_Colors(bluest, brownest, share_h, share_d, second_share, _chroma(od, length)))
    stains = StainMatrix(_triple(bluest), _triple(brownest)) if status == ESTIMATED else None
    return StainEstimate(status, reason, stains, (_triple(bluest), _triple(brownest)), pixels, share_h, share_d)


def stained_densities(rgb: NDArray[np.uint8], background: ArrayLike) -> NDArray[np.float32]:
    """Return the optical densities of the stained pixels, shape (n, 3), without glass and saturated pixels."""
    od = optical_density(rgb, background, clip=False).reshape(-1, 3)
    stained = (np.linalg.norm(od, axis=1) >= TISSUE_OD) & (od.max(axis=1) < SATURATED_OD)
    return np.asarray(od[stained & (od.min(axis=1) > -TISSUE_OD)], np.float32)


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    r, g, b = (round(float(v), 4) for v in vector)
    return (r, g, b)


def _shares(od: NDArray[np.float32], length: NDArray[np.float32]) -> tuple[float, float]:
    """Parts of the optical density nearer to default hematoxylin, and clearly nearer to default DAB."""
    toward_h = od @ unit(RUIFROK_HEMATOXYLIN) / length
    toward_d = od @ unit(RUIFROK_DAB) / length
    total = float(length.sum())
    return (
        round(float(length[toward_h > toward_d].sum()) / total, 4),
        round(float(length[toward_d > toward_h].sum()) / total, 4),
    )


def _chroma(od: NDArray[np.float32], length: NDArray[np.float32]) -> float:
    """Median angle to gray in degrees."""
    cosine = od.sum(axis=1) / (length * np.sqrt(3))
    return float(np.degrees(np.arccos(np.clip(np.median(cosine), -1, 1))))


def _extremes(od: NDArray[np.float64], length: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _, axes = np.linalg.eigh(od.T @ od)
    first, second = axes[:, 2], axes[:, 1]
    first = first * np.sign(first.sum())
    second = second * np.sign(second @ (unit(RUIFROK_DAB) - unit(RUIFROK_HEMATOXYLIN)) or 1)
    angle = np.arctan2(od @ second, od @ first)
    order = np.argsort(angle, kind="stable")
    below = np.cumsum(length[order], dtype=np.float64)
    at = np.searchsorted(below, np.array([EXTREME, 1 - EXTREME]) * below[-1])
    low, high = angle[order][np.minimum(at, len(order) - 1)]
    return (
        unit(np.maximum(np.cos(low) * first + np.sin(low) * second, 0)),
        unit(np.maximum(np.cos(high) * first + np.sin(high) * second, 0)),
    )


def _nearest(vector: NDArray[np.float64]) -> str:
    return min(KNOWN, key=lambda name: angle_deg(vector, KNOWN[name]))


@dataclass(frozen=True)
class _Colors:
    """What is judged: the extreme directions and how the optical density lies between them."""

    bluest: NDArray[np.float64]
    brownest: NDArray[np.float64]
    share_h: float
    share_d: float
    second_share: float
    chroma: float


def _judge(colors: _Colors) -> tuple[str, str]:
    spread = angle_deg(colors.bluest, colors.brownest)
    drift_h = angle_deg(colors.bluest, RUIFROK_HEMATOXYLIN)
    drift_d = angle_deg(colors.brownest, RUIFROK_DAB)
    nearest = _nearest(colors.brownest)
    if spread < MIN_SPREAD_DEG:
        return _judge_single(colors, spread)
    mixed = _is_mixture(colors)
    if nearest not in (DAB, HEMATOXYLIN) and not mixed and colors.second_share >= SECOND_STAIN_SHARE:
        return NOT_HDAB, f"second stain is {drift_d:.0f} degrees from DAB, nearest to {nearest}"
    if min(colors.share_h, colors.share_d) < MIN_SHARE:
        return _judge_single(colors, spread)
    if mixed and drift_h <= MAX_HEMATOXYLIN_DRIFT_DEG and (nearest != DAB or drift_d > MAX_DAB_DRIFT_DEG):
        return MIXED, f"the brownest color is {drift_d:.0f} degrees from DAB, towards hematoxylin"
    if drift_d > MAX_DAB_DRIFT_DEG:
        known = f"and {MAX_DAB_DRIFT_DEG:g} is what DAB varies by" if nearest == DAB else f"nearest to {nearest}"
        return NOT_HDAB, f"second stain is {drift_d:.0f} degrees from DAB, {known}"
    if drift_h > MAX_HEMATOXYLIN_DRIFT_DEG:
        return NOT_HDAB, f"counterstain is {drift_h:.0f} degrees from hematoxylin"
    return ESTIMATED, f"hematoxylin {drift_h:.0f} and DAB {drift_d:.0f} degrees from the default vectors"


def _is_mixture(colors: _Colors) -> bool:
    """Return whether the brownest direction lies between hematoxylin and DAB, as where all DAB overlaps hematoxylin."""
    dab = unit(RUIFROK_DAB)
    if angle_deg(colors.bluest, colors.brownest) >= angle_deg(colors.bluest, dab):
        return False
    beside = 90 - angle_deg(colors.brownest, unit(np.cross(colors.bluest, dab)))
    return BESIDE_DEG[0] < beside < BESIDE_DEG[1]


def _judge_single(colors: _Colors, spread: float) -> tuple[str, str]:
    """Judge an image with one stain: which one, if it is one of the two."""
    if colors.chroma < GREY_DEG:
        return NO_COLOR, f"colors lie {colors.chroma:.1f} degrees from gray"
    status = NO_DAB if colors.share_h >= colors.share_d else NO_HEMATOXYLIN
    only, limit = (HEMATOXYLIN, MAX_HEMATOXYLIN_DRIFT_DEG) if status == NO_DAB else (DAB, MAX_DAB_DRIFT_DEG)
    away = angle_deg(colors.bluest + colors.brownest, KNOWN[only])
    if spread < MIN_SPREAD_DEG and away > limit:
        return NOT_HDAB, f"one stain, {away:.0f} degrees from {only}"
    return status, f"colors span {spread:.0f} degrees; {colors.share_h:.1%} hematoxylin, {colors.share_d:.1%} DAB"
