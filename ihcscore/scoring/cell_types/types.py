"""The type of each cell, from the three ways that combine."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.scoring.cell_types.features import features_of
from ihcscore.scoring.cell_types.model import CellClassifier
from ihcscore.scoring.regions import SEPARATOR, RegionSet
from ihcscore.table.schema import CELL_TYPES, REGION_COLUMN

TUMOR = "Tumor"
SYNONYMS = {"immune cells": "Immune", "lymphocytes": "Immune", "tumour": TUMOR, "carcinoma": TUMOR, "epithelium": TUMOR}
"""Names of classes of regions besides those of the types; QuPath's own is "Immune cells"."""


def type_named(name: str) -> str:
    """Return the cell type that a class of regions means; empty if none.

    Examples
    --------
    >>> type_named("tumor"), type_named("Immune cells"), type_named("Necrosis")
    ('Tumor', 'Immune', '')
    """
    known = {kind.lower(): kind for kind in CELL_TYPES} | SYNONYMS
    return known.get(name.strip().lower(), "")


class CellTyper:
    """Tells the type of each cell of an image.

    Parameters
    ----------
    regions : RegionSet
        Regions of a class named like a cell type assign it to their cells.
    classifier : CellClassifier, optional
        A user's, or the rule that ships.

    Notes
    -----
    A region of tumor says where tumor cells can be, a classifier which cells look like them: with both, a tumor cell is
    one that both take for one, and what the classifier takes for something else in a region of tumor is that. In
    regions of other types, the region decides. Where regions of tumor are given, cells outside of all typed regions
    have no type.
    """

    def __init__(self, regions: RegionSet, classifier: CellClassifier | None = None) -> None:
        self._of_region = {r.name: kind for r in regions.regions if (kind := type_named(r.classification))}
        self._classifier = classifier
        self._predicted: NDArray[np.object_] | None = None
        self._next = 0

    @property
    def needs_all_cells(self) -> bool:
        """Whether a first pass over all cells is required: `fit`."""
        return self._classifier is not None

    def fit(self, tables: Iterable[pd.DataFrame]) -> None:
        """Classify all cells of an image by the classifier, in the order in which `types` is called for them."""
        if self._classifier is not None:
            self._predicted, self._next = self._classifier.predict(features_of(tables)), 0

    def types(self, cells: pd.DataFrame) -> NDArray[np.object_]:
        """Return the types of the next cells.

        Parameters
        ----------
        cells : DataFrame
            With the names of their regions.

        Returns
        -------
        ndarray of shape (n,), dtype object
            Of `ihcscore.table.schema.CELL_TYPES`; empty where no type is assigned.
        """
        looks = np.full(len(cells), "", object)
        if self._predicted is not None:
            looks = self._predicted[self._next : self._next + len(cells)]
            self._next += len(cells)
        if not self._of_region:
            return looks
        names, inverse = np.unique(cells[REGION_COLUMN].to_numpy(object).astype(str), return_inverse=True)
        drawn = np.array([self._drawn(name) for name in names], object)[inverse]
        both = (drawn == TUMOR) & (looks != "")
        return np.where(both, looks, drawn)

    def _drawn(self, names: str) -> str:
        """Return the type of the innermost typed region: of several, the last in the file."""
        found = [self._of_region[name] for name in names.split(SEPARATOR) if name in self._of_region]
        return found[-1] if found else ""
