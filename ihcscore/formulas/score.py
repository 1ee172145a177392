"""What a score says of itself: its name, its columns, its range, its source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ihcscore.formulas.tallies import Tallies, Values
from ihcscore.table.schema import CLASS_COLUMN, PATTERN_COLUMN


@dataclass(frozen=True)
class Score:
    """A score of a set of cells.

    Parameters
    ----------
    name, label : str
        As in an assay and in columns; as people write it.
    definition : str
        The formula in words, for the reference.
    highest : float
        The lowest is 0, but for mean densities, which are not clipped; infinite for these.
    of : callable
        Computes the score of each of many `Tallies`, NaN without cells.
    smooth : bool
        A ratio of sums, not steps: its interval can be computed from few blocks, too.
    source : str
        Who defined it.
    category : callable, optional
        Names a value; called with the value and, if the score has `details`, with these.
    categories : str
        The categories in words, for the reference.
    minimum_cells : int
        Fewest cells, unless the assay says otherwise.
    columns : tuple of str
        Columns of the scored cell table that it needs: classes, or membrane patterns.
    compartment : str, optional
        The only compartment it is defined for.
    details : callable, optional
        Computes numbers that are shown beside the score, by name.
    """

    name: str
    label: str
    definition: str
    highest: float
    of: Callable[[Tallies], Values]
    smooth: bool
    source: str
    category: Callable[..., str] | None = None
    categories: str = ""
    minimum_cells: int = 1
    columns: tuple[str, ...] = (CLASS_COLUMN,)
    compartment: str | None = None
    details: Callable[[Tallies], dict[str, float]] | None = None

    @property
    def of_membranes(self) -> bool:
        """Whether it counts cells by membrane pattern instead of class."""
        return PATTERN_COLUMN in self.columns

    def cells(self, tallies: Tallies) -> Values:
        """Count the cells that it is made of."""
        return tallies.membranes if self.of_membranes else tallies.cells

    def category_of(self, value: float, tallies: Tallies) -> str:
        """Return the category of a value, empty for a score without categories."""
        if self.category is None:
            return ""
        details: tuple[Mapping[str, float], ...] = () if self.details is None else (self.details(tallies),)
        return self.category(value, *details)
