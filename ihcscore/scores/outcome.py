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
