"""The mean optical density of DAB."""

from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import Tallies, Values, ratio


def of_tallies(tallies: Tallies) -> Values:
    """Compute the mean DAB optical density of many sets of cells; NaN without cells."""
    return ratio(tallies["od"], tallies.cells)


SCORES = (
    Score(
        "mean_dab_od", "mean OD", "mean over cells, OD", float("inf"), of_tallies, smooth=True, source="mean over cells"
    ),
)
