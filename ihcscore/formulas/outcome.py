"""What a score is when there is none."""

from dataclasses import dataclass

import numpy as np

from ihcscore.formulas.tallies import Tallies, Values


@dataclass(frozen=True)
class Unscorable:
    """No score, and why; never 0 or NaN.

    Parameters
    ----------
    reason : str
        What was missing.

    Examples
    --------
    >>> Unscorable("no cells")
    Unscorable(reason='no cells')
    """

    reason: str


NO_CELLS = Unscorable("no scored cells")


def value(scored: float | Unscorable) -> float | None:
    """Convert a score for a table: None where there is none.

    Examples
    --------
    >>> value(12.5), value(NO_CELLS)
    (12.5, None)
    """
    return None if isinstance(scored, Unscorable) else scored


def outcome(score: Values, tallies: Tallies | None = None, minimum_cells: int = 1) -> float | Unscorable:
    """Return the score of one set of cells, or the reason why there is none.

    Parameters
    ----------
    score : ndarray of shape ()
        NaN without cells.
    tallies : Tallies, optional
        What it was made of, where it needs more than one cell.
    minimum_cells : int
        Fewest cells that it may be made of.
    """
    if np.isnan(score):
        return NO_CELLS
    if tallies is not None and tallies.cells < minimum_cells:
        return Unscorable(f"{int(tallies.cells)} cells, at least {minimum_cells} are needed")
    return float(score)
