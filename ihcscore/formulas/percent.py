"""Percent positive cells."""

from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, ratio


def percent_positive(negative: int, weak: int, moderate: int, strong: int) -> float | Unscorable:
    """Compute the share of cells of any positive class, in percent.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Cells of class 0, 1+, 2+ and 3+; >= 0.

    Returns
    -------
    float or Unscorable
        0 to 100; `Unscorable` without cells.

    Raises
    ------
    ValueError
        If a count is negative.

    References
    ----------
    .. [1] Allison et al. (ASCO/CAP), J. Clin. Oncol. 38(12), 1346-1366, 2020.

    Examples
    --------
    >>> percent_positive(25, 25, 25, 25)
    75.0
    """
    return outcome(of_tallies(Tallies.of_counts(negative, weak, moderate, strong)))


def of_tallies(tallies: Tallies) -> Values:
    """Compute percent positive of many sets of cells; NaN without cells."""
    return ratio(100 * tallies.positive, tallies.cells)


SOURCE = "Allison et al. (ASCO/CAP), J. Clin. Oncol. 38(12), 1346-1366, 2020"
SCORES = (
    Score("percent_positive", "% pos", "(1+ + 2+ + 3+) / cells, in %", 100, of_tallies, smooth=True, source=SOURCE),
)
