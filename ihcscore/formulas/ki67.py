"""The Ki-67 labeling index."""

from ihcscore.formulas.outcome import Unscorable, outcome
from ihcscore.formulas.percent import of_tallies
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies

MINIMUM_CELLS = 500


def ki67(negative: int, weak: int, moderate: int, strong: int) -> float | Unscorable:
    """Compute the share of tumor nuclei of any positive class, in percent.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Tumor nuclei by class; >= 0.

    Returns
    -------
    float or Unscorable
        0 to 100; `Unscorable` below 500 nuclei.

    Raises
    ------
    ValueError
        If a count is negative.

    References
    ----------
    .. [1] Nielsen et al. (International Ki67 in Breast Cancer Working Group), J. Natl. Cancer Inst. 113(7), 808-819,
       2021.

    Examples
    --------
    >>> ki67(400, 50, 30, 20), ki67(499, 0, 0, 0)
    (20.0, Unscorable(reason='499 cells, at least 500 are needed'))
    """
    return outcome(of_tallies(tallies := Tallies.of_counts(negative, weak, moderate, strong)), tallies, MINIMUM_CELLS)


SCORES = (
    Score(
        "ki67",
        "Ki-67 LI",
        "percent positive",
        100,
        of_tallies,
        smooth=True,
        source="Nielsen et al., J. Natl. Cancer Inst. 113(7), 808-819, 2021",
        minimum_cells=MINIMUM_CELLS,
        compartment="nucleus",
    ),
)
