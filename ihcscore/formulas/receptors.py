"""Estrogen and progesterone receptor: percent positive in the categories of ASCO/CAP."""

from ihcscore.formulas import percent
from ihcscore.formulas.score import Score


def er_category(score: float) -> str:
    """Name an ER result: below 1 % negative, 1 to 10 % low positive, above positive.

    References
    ----------
    .. [1] Allison et al. (ASCO/CAP), J. Clin. Oncol. 38(12), 1346-1366, 2020.

    Examples
    --------
    >>> er_category(0.99), er_category(1), er_category(10), er_category(10.1)
    ('negative', 'low positive', 'low positive', 'positive')
    """
    return "negative" if score < 1 else "low positive" if score <= 10 else "positive"


def pr_category(score: float) -> str:
    """Name a PR result: below 1 % negative, else positive.

    Examples
    --------
    >>> pr_category(0.99), pr_category(1)
    ('negative', 'positive')
    """
    return "negative" if score < 1 else "positive"


DEFINITION = "percent positive; the preset wants 100 cells"
SCORES = (
    Score(
        "er",
        "ER %",
        DEFINITION,
        100,
        percent.of_tallies,
        smooth=True,
        source=percent.SOURCE,
        category=er_category,
        categories="below 1 % negative, 1-10 % low positive, above positive",
        compartment="nucleus",
    ),
    Score(
        "pr",
        "PR %",
        DEFINITION,
        100,
        percent.of_tallies,
        smooth=True,
        source=percent.SOURCE,
        category=pr_category,
        categories="below 1 % negative, else positive",
        compartment="nucleus",
    ),
)
