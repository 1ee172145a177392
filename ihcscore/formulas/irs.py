"""The immunoreactive score (IRS) of Remmele and Stegner."""

from functools import partial

from ihcscore.formulas.intensity import intensity
from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, steps

REMMELE, QUARTILES = "remmele", "quartiles"


def irs(negative: int, weak: int, moderate: int, strong: int, proportions: str = REMMELE) -> float | Unscorable:
    """Compute the immunoreactive score, intensity (0-3) times a step of the proportion (0-4).

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Cells of class 0, 1+, 2+ and 3+; >= 0.
    proportions : "remmele" or "quartiles"
        Edges: below 10 %, to 50 %, to 80 %, above; or to 25 %, 50 %, 75 %, above.

    Returns
    -------
    float or Unscorable
        0 to 12; `Unscorable` without cells.

    Raises
    ------
    ValueError
        If a count is negative or there are no such `proportions`.

    References
    ----------
    .. [1] Remmele & Stegner, Pathologe 8(3), 138-140, 1987.

    Examples
    --------
    >>> irs(25, 25, 25, 25), irs(0, 0, 0, 10), irs(10, 0, 0, 0)
    (6.0, 12.0, 0.0)
    """
    return outcome(of_tallies(Tallies.of_counts(negative, weak, moderate, strong), proportions))


def of_tallies(tallies: Tallies, proportions: str = REMMELE) -> Values:
    """Compute the immunoreactive score of many sets of cells; NaN without cells."""
    positive, cells = tallies.positive, tallies.cells
    if proportions == REMMELE:
        above = (10 * positive >= cells, 2 * positive > cells, 5 * positive > 4 * cells)
    elif proportions == QUARTILES:
        above = (4 * positive > cells, 2 * positive > cells, 4 * positive > 3 * cells)
    else:
        raise ValueError(f"proportions: choose {REMMELE} or {QUARTILES}, found {proportions!r}")
    return steps(cells, positive > 0, *above) * intensity(tallies)


def category(score: float) -> str:
    """Name the result: 0-2 negative, 3-4 weak, 6-8 moderate, 9-12 strong.

    Examples
    --------
    >>> [category(score) for score in (2, 3, 4, 6, 8, 9)]
    ['negative', 'weak', 'weak', 'moderate', 'moderate', 'strong']
    """
    return "negative" if score < 3 else "weak" if score < 6 else "moderate" if score < 9 else "strong"


SOURCE = "Remmele & Stegner, Pathologe 8(3), 138-140, 1987"
CATEGORIES = "0-2 negative, 3-4 weak, 6-8 moderate, 9-12 strong"
SCORES = (
    Score(
        "irs",
        "IRS",
        "intensity as above x proportion (0; < 10 %; to 50 %; to 80 %; above: 0 to 4)",
        12,
        of_tallies,
        smooth=False,
        source=SOURCE,
        category=category,
        categories=CATEGORIES,
    ),
    Score(
        "irs_quartiles",
        "IRS (quartiles)",
        "the same with steps at 25, 50 and 75 %",
        12,
        partial(of_tallies, proportions=QUARTILES),
        smooth=False,
        source=f"{SOURCE}; steps at 25, 50 and 75 %",
        category=category,
        categories=CATEGORIES,
    ),
)
