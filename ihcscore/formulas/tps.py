"""The tumor proportion score (TPS) of PD-L1."""

from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.percent import of_tallies
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies

MINIMUM_CELLS = 100


def tps(negative: int, weak: int, moderate: int, strong: int) -> float | Unscorable:
    """Compute the share of viable tumor cells with membrane staining of any intensity, in percent.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Viable tumor cells by membrane staining; >= 0.

    Returns
    -------
    float or Unscorable
        0 to 100; `Unscorable` below 100 cells.

    Raises
    ------
    ValueError
        If a count is negative.

    References
    ----------
    .. [1] PD-L1 IHC 22C3 pharmDx interpretation manual, NSCLC, Agilent, 2019.

    Examples
    --------
    >>> tps(50, 50, 0, 0), tps(50, 49, 0, 0)
    (50.0, Unscorable(reason='99 cells, at least 100 are needed'))
    """
    return outcome(of_tallies(tallies := Tallies.of_counts(negative, weak, moderate, strong)), tallies, MINIMUM_CELLS)


def category(score: float) -> str:
    """Name the result: below 1 %, 1 to 49 %, 50 % and more.

    Examples
    --------
    >>> category(0.99), category(1), category(49.9), category(50)
    ('< 1 %', '1-49 %', '1-49 %', '>= 50 %')
    """
    return "< 1 %" if score < 1 else "1-49 %" if score < 50 else ">= 50 %"


SCORES = (
    Score(
        "tps",
        "TPS",
        "percent positive, of the membrane",
        100,
        of_tallies,
        smooth=True,
        source="PD-L1 IHC 22C3 pharmDx interpretation manual, NSCLC, Agilent, 2019",
        category=category,
        categories="below 1 %, 1-49 %, 50 % and more",
        minimum_cells=MINIMUM_CELLS,
        compartment="membrane",
    ),
)
