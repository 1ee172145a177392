"""The Allred score."""

from functools import partial

from ihcscore.formulas.intensity import intensity
from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, steps

HARVEY, QUPATH = "harvey", "qupath"


def allred(negative: int, weak: int, moderate: int, strong: int, proportions: str = HARVEY) -> float | Unscorable:
    """Compute the Allred score, a step of the proportion of positive cells plus one of their intensity.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Cells of class 0, 1+, 2+ and 3+; >= 0.
    proportions : "harvey" or "qupath"
        Edges of the steps: the published table (0; < 1 %; to 10 %; to 1/3; < 2/3; from 2/3), or QuPath's, where
        exactly 10 % and 1/3 are one step higher.

    Returns
    -------
    float or Unscorable
        0, or 2 to 8; `Unscorable` without cells.

    Raises
    ------
    ValueError
        If a count is negative or there are no such `proportions`.

    References
    ----------
    .. [1] Harvey et al., J. Clin. Oncol. 17(5), 1474-1481, 1999.

    Examples
    --------
    >>> allred(25, 25, 25, 25), allred(100, 0, 0, 1), allred(100, 0, 0, 0)
    (7.0, 4.0, 0.0)
    """
    return outcome(of_tallies(Tallies.of_counts(negative, weak, moderate, strong), proportions))


def of_tallies(tallies: Tallies, proportions: str = HARVEY) -> Values:
    """Compute the Allred score of many sets of cells; NaN without cells."""
    return proportion(tallies, proportions) + intensity(tallies)


def proportion(tallies: Tallies, proportions: str = HARVEY) -> Values:
    """Return the proportion step, 0 to 5."""
    positive, cells = tallies.positive, tallies.cells
    if proportions == HARVEY:
        above = (10 * positive > cells, 3 * positive > cells)
    elif proportions == QUPATH:
        above = (10 * positive >= cells, 3 * positive >= cells)
    else:
        raise ValueError(f"proportions: choose {HARVEY} or {QUPATH}, found {proportions!r}")
    return steps(cells, positive > 0, 100 * positive >= cells, *above, 3 * positive >= 2 * cells)


def category(score: float) -> str:
    """Name the result: positive from 3 on.

    Examples
    --------
    >>> category(2), category(3)
    ('negative', 'positive')
    """
    return "positive" if score >= 3 else "negative"


SOURCE = "Harvey et al., J. Clin. Oncol. 17(5), 1474-1481, 1999"
SCORES = (
    Score(
        "allred",
        "Allred",
        "proportion (0; < 1 %; to 10 %; to 1/3; < 2/3; from 2/3: 0 to 5) + intensity (mean class of the positives: "
        "above 7/3 is 3, above 5/3 is 2, else 1)",
        8,
        of_tallies,
        smooth=False,
        source=SOURCE,
        category=category,
        categories="positive from 3",
    ),
    Score(
        "allred_qupath",
        "Allred (QuPath)",
        "the same with QuPath's edges: exactly 10 % and 1/3 are one step higher",
        8,
        partial(of_tallies, proportions=QUPATH),
        smooth=False,
        source="QuPath's edges of the proportion",
        category=category,
        categories="positive from 3",
    ),
)
