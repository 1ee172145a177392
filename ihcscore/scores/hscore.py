"""The H-score."""

from ihcscore.scores.counts import ClassCounts
from ihcscore.scores.outcome import NO_CELLS, Unscorable


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
    counts = ClassCounts(negative, weak, moderate, strong)
    if counts.cells == 0:
        return NO_CELLS
    return 100 * (weak + 2 * moderate + 3 * strong) / counts.cells
