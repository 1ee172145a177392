"""What a score is when there is none."""

from dataclasses import dataclass


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


def value(outcome: float | Unscorable) -> float | None:
    """Give a score as a table holds it: None where there is none.

    Examples
    --------
    >>> value(12.5), value(NO_CELLS)
    (12.5, None)
    """
    return None if isinstance(outcome, Unscorable) else outcome
