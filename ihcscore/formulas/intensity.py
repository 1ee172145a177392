"""The intensity step that Allred, IRS and Quick score share."""

from ihcscore.formulas.tallies import Tallies, Values, steps


def intensity(tallies: Tallies) -> Values:
    """Return the average intensity of the positive cells as 0 (none), 1 (weak), 2 (moderate) or 3 (strong).

    Returns
    -------
    ndarray
        3 where the mean class of the positive cells is above 7/3, 2 above 5/3, else 1; 0 without positive cells, NaN
        without cells. Compared in whole numbers, so that a mean on a cut is on it exactly.

    Notes
    -----
    A reader estimates "average intensity"; the mean class and its cuts are QuPath's reading of it.

    Examples
    --------
    >>> float(intensity(Tallies.of_counts(100, 0, 0, 1)))
    3.0
    """
    positive, levels = tallies.positive, tallies.levels
    return steps(tallies.cells, positive > 0, 3 * levels > 5 * positive, 3 * levels > 7 * positive)
