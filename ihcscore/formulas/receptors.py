"""Estrogen and progesterone receptor: percent positive in the categories of ASCO/CAP."""


def er_category(percent: float) -> str:
    """Name an ER result: below 1 % negative, 1 to 10 % low positive, above positive.

    References
    ----------
    .. [1] Allison et al. (ASCO/CAP), J. Clin. Oncol. 38(12), 1346-1366, 2020.

    Examples
    --------
    >>> er_category(0.99), er_category(1), er_category(10), er_category(10.1)
    ('negative', 'low positive', 'low positive', 'positive')
    """
    return "negative" if percent < 1 else "low positive" if percent <= 10 else "positive"


def pr_category(percent: float) -> str:
    """Name a PR result: below 1 % negative, else positive.

    Examples
    --------
    >>> pr_category(0.99), pr_category(1)
    ('negative', 'positive')
    """
    return "negative" if percent < 1 else "positive"
