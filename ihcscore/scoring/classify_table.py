"""Add to a cell table what scoring adds: density, class, region, cell type, membrane pattern, reason of exclusion."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.errors import IhcscoreError, InputError
from ihcscore.formulas.registry import SCORES
from ihcscore.scoring.cell_types.model import epithelium_rule, read_classifier
from ihcscore.scoring.cell_types.types import CellTyper
from ihcscore.scoring.classify import classify, exclusion_reasons, scored_od
from ihcscore.scoring.membrane_patterns import is_measured, membrane_patterns
from ihcscore.scoring.off_color import off_color, off_plane
from ihcscore.scoring.regions import NO_REGIONS, RegionSet, in_regions
from ihcscore.stains.plane import Plane
from ihcscore.table.schema import (
    CELL_TYPE_COLUMN,
    CLASS_COLUMN,
    LEFT_OUT_COLUMN,
    OFF_COLOR_COLUMN,
    OFF_PLANE_COLUMN,
    PATTERN_COLUMN,
    REGION_COLUMN,
    SCORED_COLUMN,
)


def classify_tables(
    tables: Callable[[], Iterable[pd.DataFrame]],
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    plane: Plane | None = None,
) -> Iterator[pd.DataFrame]:
    """Classify the cells of a table that is read tile by tile; see `classify_table`.

    Raises IhcscoreError if the assay wants cells in regions only, and there are none.

    Parameters
    ----------
    tables : callable
        Returns the table from its start; called twice where cell types depend on neighboring cells.
    plane : tuple of 4 float, optional
        Plane of the slide's stains (`ihcscore.stains.plane`), to detect off-color cells.
    """
    if assay.only_regions and not len(regions):
        raise IhcscoreError("only the cells in regions are wanted (only_regions), and there are none: give regions")

    def wanted() -> Iterable[pd.DataFrame]:
        # before cell types: these depend on neighbors, and a result has no other cells
        return (_inside(cells, regions) for cells in tables()) if assay.only_regions else tables()

    typer = make_cell_typer(assay, regions)
    if typer.needs_all_cells:
        typer.fit(wanted())
    for cells in wanted():
        yield classify_table(cells, assay, regions, typer, plane)


def classify_table(
    cells: pd.DataFrame,
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    typer: CellTyper | None = None,
    plane: Plane | None = None,
) -> pd.DataFrame:
    """Classify the cells of a table.

    Parameters
    ----------
    cells : DataFrame
        Cell table, or a part of one. Not modified.
    assay : Assay
        Its compartments and thresholds.
    typer : CellTyper, optional
        Assigns cell types, fitted to the table; without it, the regions do.
    plane : tuple of 4 float, optional
        As in `classify_tables`.

    Returns
    -------
    DataFrame
        With the columns `ihcscore.table.schema.SCORED_COLUMNS`.
    """
    classified = cells.copy()
    classified[SCORED_COLUMN] = scored_od(cells, assay.compartment, ridge=assay.membrane_from == "ridge")
    _add_text(classified, CLASS_COLUMN, classify(classified[SCORED_COLUMN], assay.thresholds))
    wanted = is_measured(cells) and any(PATTERN_COLUMN in SCORES[name].columns for name in assay.scores)
    patterns = membrane_patterns(cells, assay) if wanted else np.full(len(cells), "", object)
    _add_text(classified, PATTERN_COLUMN, patterns)
    classified[OFF_PLANE_COLUMN] = distance = off_plane(cells, assay, plane)
    classified[OFF_COLOR_COLUMN] = off_color(cells, assay, distance)
    names = regions.names_at(cells[["x_px", "y_px"]].to_numpy())
    _add_text(classified, REGION_COLUMN, names)
    _add_text(classified, CELL_TYPE_COLUMN, (typer or CellTyper(regions)).types(classified))
    excluded = in_regions(names, regions.excluded(assay.exclude))
    _add_text(classified, LEFT_OUT_COLUMN, exclusion_reasons(classified, assay, excluded))
    return classified


def make_cell_typer(assay: Assay, regions: RegionSet) -> CellTyper:
    """Return what assigns cell types: regions, and the assay's classifier or rule.

    Raises IhcscoreError if the classifier cannot be read, is not the recorded one, or only its hash is recorded.
    """
    if assay.classifier is None:
        if assay.classifier_sha256 is not None:
            raise IhcscoreError("classifier_sha256: there is nothing to check without classifier")
        return CellTyper(regions, epithelium_rule() if assay.tumor_rule else None)
    path = Path(assay.classifier)
    found = read_classifier(path)
    if assay.classifier_sha256 not in (None, found.sha256):
        raise InputError(path, "is not the classifier that was used (other SHA-256)")
    return CellTyper(regions, found)


def classifier_warnings(assay: Assay, segmenter: str) -> list[str]:
    """Return warnings about using an assay's classifier on nuclei of a segmenter."""
    return [] if assay.classifier is None else read_classifier(Path(assay.classifier)).warnings(segmenter)


def _inside(cells: pd.DataFrame, regions: RegionSet) -> pd.DataFrame:
    inside: pd.DataFrame = cells[regions.names_at(cells[["x_px", "y_px"]].to_numpy()) != ""]
    return inside


def _add_text(cells: pd.DataFrame, column: str, values: NDArray[np.object_]) -> None:
    cells[column] = pd.Series(values, cells.index, dtype="str")
