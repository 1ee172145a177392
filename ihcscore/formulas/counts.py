"""Cells by intensity class."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassCounts:
    """How many cells are negative, weak (1+), moderate (2+) and strong (3+).

    Raises ValueError if a count is negative.

    Parameters
    ----------
    negative, weak, moderate, strong : int
        Cells; >= 0.

    Examples
    --------
    >>> ClassCounts(50, 10, 10, 30).cells
    100
    """

    negative: int
    weak: int
    moderate: int
    strong: int

    def __post_init__(self) -> None:
        if min(self.negative, self.weak, self.moderate, self.strong) < 0:
            raise ValueError(f"counts of cells cannot be negative: {self}")

    @property
    def positive(self) -> int:
        """Cells of class 1+, 2+ or 3+."""
        return self.weak + self.moderate + self.strong

    @property
    def cells(self) -> int:
        """All of them."""
        return self.negative + self.positive
