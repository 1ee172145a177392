"""The pixel H-score: the H-score's weights over pixels, where cells cannot be separated."""

import numpy as np
from numpy.typing import ArrayLike

from ihcscore.formulas.hscore import h_score
from ihcscore.formulas.outcome import Unscorable

NO_PIXELS = Unscorable("no pixels of tissue")


def pixel_h_score(dab_od: ArrayLike, thresholds: tuple[float, float, float]) -> float | Unscorable:
    """Compute ``1 x %1+ + 2 x %2+ + 3 x %3+`` over pixels of tissue.

    Parameters
    ----------
    dab_od : array_like
        DAB optical density of each pixel of tissue; no NaN. Which pixels are tissue decides the score.
    thresholds : tuple of 3 float
        Lowest optical density of 1+, 2+ and 3+; rising.

    Returns
    -------
    float or Unscorable
        0 to 300; `Unscorable` without pixels. It is not an H-score of cells, and never in its column.

    Raises
    ------
    ValueError
        If the thresholds do not rise or there is a NaN.

    References
    ----------
    .. [1] Ram et al., PLoS ONE 16(9), e0245638, 2021.

    Examples
    --------
    >>> pixel_h_score([0.1, 0.3, 0.5, 0.9], (0.2, 0.4, 0.6))
    150.0
    """
    values = np.asarray(dab_od, np.float64).ravel()
    if not thresholds[0] < thresholds[1] < thresholds[2]:
        raise ValueError(f"thresholds must rise, found {thresholds}")
    if np.isnan(values).any():
        raise ValueError("dab_od holds NaN")
    if not values.size:
        return NO_PIXELS
    counts = np.bincount(np.searchsorted(thresholds, values, side="right"), minlength=4)
    return h_score(*(int(n) for n in counts))
