"""HER2 by completeness and intensity of the membrane, as ASCO/CAP reads breast cancer."""

from collections.abc import Mapping

from ihcscore.formulas.outcome import NO_CELLS, Unscorable
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import PATTERNS, Tallies, Values, ratio, steps
from ihcscore.table.schema import PATTERN_COLUMN

ENOUGH = 0.1
"""Share of the cells that a pattern must exceed."""
NOISE = 0.01
"""Share of complete intense membranes from which 10 % or less of them make 2+. The guideline names no lower limit; of
thousands of measured cells a few are always wrong."""

ROUNDED = 1e-9


def her2(none: int, faint: int, complete: int, intense: int, other: int = 0) -> float | Unscorable:
    """Compute the HER2 score, 0 to 3.

    Parameters
    ----------
    none, faint, complete, intense, other : int
        Cells without membrane staining; with incomplete and faint; with complete and weak to moderate; with complete
        and intense; with another pattern, such as moderate to intense but incomplete. >= 0.

    Returns
    -------
    float or Unscorable
        3 if complete and intense in more than 10 % of the cells; 2 if complete in more than 10 %, or complete and
        intense in 1 to 10 %; 1 if stained at all in more than 10 %; else 0. `Unscorable` without cells.

    Raises
    ------
    ValueError
        If a count is negative.

    Notes
    -----
    Stronger patterns count for weaker ones: 6 % complete and 6 % faint are stained in 12 %. Cells of another pattern
    count as stained. The guideline calls such tumors 2+; here they are named beside the score (`patterns`) instead.

    References
    ----------
    .. [1] Wolff et al. (ASCO/CAP), J. Clin. Oncol. 36(20), 2105-2122, 2018; kept by J. Clin. Oncol. 41(22), 3867-3872,
       2023.

    Examples
    --------
    >>> her2(80, 0, 0, 20), her2(85, 0, 15, 0), her2(50, 50, 0, 0), her2(90, 10, 0, 0)
    (3.0, 2.0, 1.0, 0.0)
    """
    counts = (none, faint, complete, intense, other)
    if min(counts) < 0:
        raise ValueError(f"counts of cells cannot be negative: {counts}")
    if not sum(counts):
        return NO_CELLS
    tallies = Tallies.of_counts(0, 0, 0, 0)
    tallies.values[-len(PATTERNS) :] = counts
    return float(of_tallies(tallies))


def of_tallies(tallies: Tallies) -> Values:
    """Compute the HER2 score of many sets of cells; NaN without cells whose membrane was judged."""
    cells, intense = tallies.membranes, tallies["membrane_intense"]
    complete = intense + tallies["membrane_complete"]
    stained = cells - tallies["membrane_none"]
    three = 10 * intense > cells
    two = (10 * complete > cells) | (intense >= NOISE * cells) | three
    return steps(cells, three, two, (10 * stained > cells) | two)


def category(score: float, shares: Mapping[str, float]) -> str:
    """Name the result, as treatment decisions do.

    Parameters
    ----------
    score : float
        0 to 3.
    shares : mapping of str to float
        Share of cells of each pattern.

    Examples
    --------
    >>> category(1, {}), category(2, {}), category(0, {"membrane_none": 0.95, "membrane_faint": 0.05})
    ('1+ (HER2-low)', '2+ (HER2-low if ISH-negative)', '0 (ultralow)')
    """
    if score >= 3:
        return "3+"
    if score >= 2:
        return "2+ (HER2-low if ISH-negative)"
    if score >= 1:
        return "1+ (HER2-low)"
    stained = sum(share for name, share in shares.items() if name != "membrane_none")
    return "0 (ultralow)" if stained > NOISE + ROUNDED else "0"


def patterns(tallies: Tallies) -> dict[str, float]:
    """Return the share of cells of each membrane pattern."""
    return {name: float(ratio(tallies[name], tallies.membranes)) for name in PATTERNS}


SCORES = (
    Score(
        "her2",
        "HER2",
        "completeness and intensity of the membrane: {doc}`../concepts/membranes`",
        3,
        of_tallies,
        smooth=False,
        source="Wolff et al. (ASCO/CAP), J. Clin. Oncol. 36(20), 2105-2122, 2018; 41(22), 3867-3872, 2023",
        category=category,
        categories="0, 0 (ultralow: stained at all in more than 1 %), 1+ (HER2-low), 2+ (HER2-low if ISH-negative), 3+",
        columns=(PATTERN_COLUMN,),
        compartment="membrane",
        details=patterns,
    ),
)
