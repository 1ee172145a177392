"""The scores that an assay can name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ihcscore.errors import UnknownName
from ihcscore.formulas import allred, her2, hscore, irs, percent, quick, receptors, tps
from ihcscore.formulas import ki67 as ki67_index
from ihcscore.formulas.tallies import Tallies, Values, ratio


@dataclass(frozen=True)
class Score:
    """A score of a set of cells.

    Parameters
    ----------
    name, label : str
        As in an assay and in columns; as people write it.
    highest : float
        The lowest is 0, but of densities, which are not clipped; infinite for these.
    of : callable
        Gives the score of each of many `Tallies`, NaN without cells.
    smooth : bool
        A ratio of sums, not steps: its interval can be computed from few blocks, too.
    category : callable, optional
        Names a value.
    minimum_cells : int
        Fewest cells, unless the assay says otherwise.
    source : str
        Who defined it.
    membranes : bool
        Counts cells whose membrane was judged, not those that were classed.
    compartment : str, optional
        The only one it is defined for.
    """

    name: str
    label: str
    highest: float
    of: Callable[[Tallies], Values]
    smooth: bool
    source: str
    category: Callable[[float], str] | None = None
    minimum_cells: int = 1
    membranes: bool = False
    compartment: str | None = None

    def cells(self, tallies: Tallies) -> Values:
        """Count the cells that it is made of."""
        return tallies.membranes if self.membranes else tallies.cells


def _mean_od(tallies: Tallies) -> Values:
    return ratio(tallies["od"], tallies.cells)


def _atm(tallies: Tallies) -> Values:
    return ratio(tallies["clipped_od"], tallies.cells)


_PERCENT_SOURCE = "Allison et al. (ASCO/CAP), J. Clin. Oncol. 38(12), 1346-1366, 2020"
_ALLRED_SOURCE = "Harvey et al., J. Clin. Oncol. 17(5), 1474-1481, 1999"
_IRS_SOURCE = "Remmele & Stegner, Pathologe 8(3), 138-140, 1987"

_ALL = (
    Score("h_score", "H-score", 300, hscore.of_tallies, True, "McCarty et al., Cancer Res. 46(8 Suppl), 4244s, 1986"),
    Score("percent_positive", "% pos", 100, percent.of_tallies, True, _PERCENT_SOURCE),
    Score("atm", "ATM", 1, _atm, True, "Choudhury et al., J. Histochem. Cytochem. 58(2), 95-107, 2010"),
    Score("mean_dab_od", "mean OD", float("inf"), _mean_od, True, "mean over cells"),
    Score("allred", "Allred", 8, allred.of_tallies, False, _ALLRED_SOURCE, allred.category),
    Score(
        "allred_qupath",
        "Allred (QuPath)",
        8,
        partial(allred.of_tallies, proportions=allred.QUPATH),
        False,
        "QuPath's edges of the proportion",
        allred.category,
    ),
    Score("irs", "IRS", 12, irs.of_tallies, False, _IRS_SOURCE, irs.category),
    Score(
        "irs_quartiles",
        "IRS (quartiles)",
        12,
        partial(irs.of_tallies, proportions=irs.QUARTILES),
        False,
        f"{_IRS_SOURCE}; steps at 25, 50 and 75 %",
        irs.category,
    ),
    Score("quick_0_8", "Quick (0-8)", 8, partial(quick.of_tallies, variant=quick.SUM), False, _ALLRED_SOURCE),
    Score(
        "quick_0_18",
        "Quick (0-18)",
        18,
        partial(quick.of_tallies, variant=quick.PRODUCT),
        False,
        "Detre, Saclani Jotti & Dowsett, J. Clin. Pathol. 48(9), 876-878, 1995",
    ),
    Score("er", "ER %", 100, percent.of_tallies, True, _PERCENT_SOURCE, receptors.er_category, compartment="nucleus"),
    Score("pr", "PR %", 100, percent.of_tallies, True, _PERCENT_SOURCE, receptors.pr_category, compartment="nucleus"),
    Score(
        "ki67",
        "Ki-67 LI",
        100,
        percent.of_tallies,
        True,
        "Nielsen et al., J. Natl. Cancer Inst. 113(7), 808-819, 2021",
        None,
        ki67_index.MINIMUM_CELLS,
        compartment="nucleus",
    ),
    Score(
        "tps",
        "TPS",
        100,
        percent.of_tallies,
        True,
        "PD-L1 IHC 22C3 pharmDx interpretation manual, NSCLC, Agilent, 2019",
        tps.category,
        tps.MINIMUM_CELLS,
        compartment="membrane",
    ),
    Score(
        "her2",
        "HER2",
        3,
        her2.of_tallies,
        False,
        "Wolff et al. (ASCO/CAP), J. Clin. Oncol. 36(20), 2105-2122, 2018; J. Clin. Oncol. 41(22), 3867-3872, 2023",
        membranes=True,
        compartment="membrane",
    ),
)
SCORES: Mapping[str, Score] = {score.name: score for score in _ALL}


def score_named(name: str) -> Score:
    """Give a score by its name.

    Raises
    ------
    UnknownName
        If there is none; a Quick score needs its variant.
    """
    if name not in SCORES:
        raise UnknownName("score", name, [*SCORES])
    return SCORES[name]
