"""The average threshold measure (ATM)."""

import numpy as np
from numpy.typing import ArrayLike

from ihcscore.formulas.outcome import NO_CELLS, Unscorable
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, ratio


def atm(od: ArrayLike, max_od: float) -> float | Unscorable:
    """Average, over all thresholds from 0 to `max_od`, the share of cells above the threshold.

    Parameters
    ----------
    od : array_like of shape (n,)
        DAB optical density of each scored cell; no NaN.
    max_od : float
        Highest threshold, OD; positive. It sets the scale: a score without it means nothing.

    Returns
    -------
    float or Unscorable
        0 to 1; `Unscorable` without cells. With three thresholds in place of all, it would be the H-score / 300.

    Raises
    ------
    ValueError
        If `max_od` is not positive or `od` holds a NaN.

    Notes
    -----
    The average over uniform thresholds equals the mean of ``clip(od, 0, max_od) / max_od``.

    References
    ----------
    .. [1] Choudhury et al., J. Histochem. Cytochem. 58(2), 95-107, 2010.

    Examples
    --------
    >>> atm([0.0, 0.5, 2.0], max_od=1.0)
    0.5
    """
    values = np.asarray(od, np.float64)
    if not max_od > 0:
        raise ValueError(f"max_od must be positive, found {max_od}")
    if np.isnan(values).any():
        raise ValueError("od holds NaN: leave unmeasurable cells out and count them")
    if values.size == 0:
        return NO_CELLS
    return float(np.mean(np.clip(values, 0, max_od)) / max_od)


def of_tallies(tallies: Tallies) -> Values:
    """Compute the ATM of many sets of cells; NaN without cells."""
    return ratio(tallies["clipped_od"], tallies.cells)


SCORES = (
    Score(
        "atm",
        "ATM",
        "average, over all thresholds from 0 to `atm_max_od` (1.5 OD), of the share of cells above; equals the mean of "
        "the clipped and scaled OD",
        1,
        of_tallies,
        smooth=True,
        source="Choudhury et al., J. Histochem. Cytochem. 58(2), 95-107, 2010",
    ),
)
