"""The H-score."""

from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, ratio


def h_score(negative: int, weak: int, moderate: int, strong: int) -> float | Unscorable:
    """Compute the H-score, ``1 x %1+ + 2 x %2+ + 3 x %3+``.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Cells of class 0, 1+, 2+ and 3+; >= 0.

    Returns
    -------
    float or Unscorable
        0 to 300; `Unscorable` without cells.

    Raises
    ------
    ValueError
        If a count is negative.

    References
    ----------
    .. [1] McCarty et al., Cancer Res. 46(8 Suppl), 4244s-4248s, 1986.

    Examples
    --------
    >>> h_score(25, 25, 25, 25)
    150.0
    >>> h_score(0, 0, 0, 0)
    Unscorable(reason='no scored cells')
    """
    return outcome(of_tallies(Tallies.of_counts(negative, weak, moderate, strong)))


def of_tallies(tallies: Tallies) -> Values:
    """Compute the H-score of many sets of cells; NaN without cells."""
    return ratio(100 * tallies.levels, tallies.cells)


SCORES = (
    Score(
        "h_score",
        "H-score",
        "1 x %1+ + 2 x %2+ + 3 x %3+",
        300,
        of_tallies,
        smooth=True,
        source="McCarty et al., Cancer Res. 46(8 Suppl), 4244s, 1986",
    ),
)
