"""What scores are made of: sums over cells, which add up over blocks, regions and images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.formulas.counts import ClassCounts

Values = NDArray[np.float64]

CLASS_COUNTS = ("negative", "weak", "moderate", "strong")
OD_SUMS = ("od", "clipped_od")
PATTERNS = (
    "membrane_none",
    "membrane_faint",
    "membrane_complete",
    "membrane_intense",
    "membrane_other",
)
"""Cells by membrane staining: none, faint and incomplete, complete and weak to moderate, complete and intense, else."""
TALLIES = (*CLASS_COUNTS, *OD_SUMS, *PATTERNS)


@dataclass(frozen=True)
class Tallies:
    """Sums over cells, of one set of cells or of many at once.

    Parameters
    ----------
    values : ndarray of shape (..., 11), dtype float64
        Columns of `TALLIES`.

    Examples
    --------
    >>> Tallies.of_counts(50, 10, 10, 30).cells
    array(100.)
    """

    values: Values

    @classmethod
    def of_counts(cls, negative: ArrayLike, weak: ArrayLike, moderate: ArrayLike, strong: ArrayLike) -> "Tallies":
        """Make tallies of classes alone. Raises ValueError if a count is negative."""
        counts = np.stack(np.broadcast_arrays(negative, weak, moderate, strong), axis=-1).astype(np.float64)
        if (counts < 0).any():
            raise ValueError(f"counts of cells cannot be negative: {counts.tolist()}")
        values = np.zeros((*counts.shape[:-1], len(TALLIES)))
        values[..., : len(CLASS_COUNTS)] = counts
        return cls(values)

    @classmethod
    def of_cells(cls, level: NDArray[np.int8], od: Values, highest_od: float) -> "Tallies":
        """Sum up cells by class, 0 to 3, and their densities, and these clipped and divided by `highest_od`."""
        values = np.zeros(len(TALLIES))
        values[: len(CLASS_COUNTS)] = np.bincount(level, minlength=len(CLASS_COUNTS))
        clipped = np.clip(od, 0, highest_od) / highest_od
        values[len(CLASS_COUNTS) : len(CLASS_COUNTS) + len(OD_SUMS)] = od.sum(), clipped.sum()
        return cls(values)

    def __add__(self, other: "Tallies") -> "Tallies":
        """Put sets of cells together."""
        return Tallies(self.values + other.values)

    def __getitem__(self, name: str) -> Values:
        return np.asarray(self.values[..., TALLIES.index(name)])

    @property
    def positive(self) -> Values:
        """Cells of class 1+, 2+ or 3+."""
        return np.asarray(self.values[..., 1:4].sum(axis=-1))

    @property
    def cells(self) -> Values:
        """Scored cells."""
        return np.asarray(self.values[..., :4].sum(axis=-1))

    @property
    def levels(self) -> Values:
        """Sum of the classes: 1 for each 1+, 2 for each 2+, 3 for each 3+."""
        return np.asarray(self.values[..., 1:4] @ np.array([1.0, 2.0, 3.0]))

    @property
    def membranes(self) -> Values:
        """Cells whose membrane was judged."""
        return np.asarray(sum(self[name] for name in PATTERNS))

    @property
    def counts(self) -> ClassCounts:
        """The classes of one set of cells."""
        return ClassCounts(*(int(v) for v in self.values[:4]))


def ratio(part: Values, whole: Values) -> Values:
    """Divide; NaN where there is nothing to divide by.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    out = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def steps(cells: Values, *conditions: Any) -> Values:
    """Count for each set of cells how many of the rising conditions hold; NaN without cells."""
    level = sum(np.asarray(condition, np.float64) for condition in conditions)
    return np.where(np.asarray(cells) > 0, level, np.nan)
