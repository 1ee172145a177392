"""Percent positive cells."""

from ihcscore.scores.counts import ClassCounts
from ihcscore.scores.outcome import NO_CELLS, Unscorable


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
    counts = ClassCounts(negative, weak, moderate, strong)
    if counts.cells == 0:
        return NO_CELLS
    return 100 * counts.positive / counts.cells
