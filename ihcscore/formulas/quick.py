"""Quick scores: two incompatible definitions of one name, so each has its range in its name."""

from functools import partial

from ihcscore.formulas import allred
from ihcscore.formulas.intensity import intensity
from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, steps

SUM, PRODUCT = "0-8", "0-18"


def quick_score(negative: int, weak: int, moderate: int, strong: int, variant: str) -> float | Unscorable:
    """Compute a Quick score.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Cells of class 0, 1+, 2+ and 3+; >= 0.
    variant : "0-8" or "0-18"
        The sum of Allred's steps, or Detre's product of a step of the proportion (1-6) and the intensity (0-3).

    Returns
    -------
    float or Unscorable
        `Unscorable` without cells.

    Raises
    ------
    ValueError
        If a count is negative or there is no such variant.

    References
    ----------
    .. [1] Detre, Saclani Jotti & Dowsett, J. Clin. Pathol. 48(9), 876-878, 1995.

    Examples
    --------
    >>> quick_score(25, 25, 25, 25, "0-18"), quick_score(25, 25, 25, 25, "0-8")
    (10.0, 7.0)
    """
    return outcome(of_tallies(Tallies.of_counts(negative, weak, moderate, strong), variant))


def of_tallies(tallies: Tallies, variant: str) -> Values:
    """Compute the Quick score of many sets of cells; NaN without cells."""
    if variant == SUM:
        return allred.of_tallies(tallies)
    if variant != PRODUCT:
        raise ValueError(f"a Quick score is {SUM} or {PRODUCT}, found {variant!r}")
    positive, cells = tallies.positive, tallies.cells
    above = [100 * positive >= percent * cells for percent in (5, 20, 40, 60, 80)]
    return (1 + steps(cells, *above)) * intensity(tallies)


SCORES = (
    Score(
        "quick_0_8",
        "Quick (0-8)",
        "Quick score as a sum: Allred's",
        8,
        partial(of_tallies, variant=SUM),
        smooth=False,
        source=allred.SOURCE,
    ),
    Score(
        "quick_0_18",
        "Quick (0-18)",
        "Quick score as a product: proportion (< 5 %; 20; 40; 60; 80: 1 to 6) x intensity",
        18,
        partial(of_tallies, variant=PRODUCT),
        smooth=False,
        source="Detre, Saclani Jotti & Dowsett, J. Clin. Pathol. 48(9), 876-878, 1995",
    ),
)
