"""What the functions for arrays return: a measurement, classified cells, the result of an image."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ihcscore.assays import Assay
from ihcscore.cells.quality import TileQuality
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.survey.context import SlideContext


@dataclass(frozen=True)
class Measurement:
    """The cell table of an image and how it was measured.

    Parameters
    ----------
    cells : DataFrame
        Columns of `ihcscore.table.schema.COLUMNS`, a row for each cell.
    context : SlideContext
        Background and stain vectors.
    provenance : dict
        Versions, pixel size, tissue, segmenter, grid, parameters, digest of the table.
    quality : tuple of TileQuality
        Of each measured tile.
    """

    cells: pd.DataFrame
    context: SlideContext
    provenance: dict[str, Any] = field(default_factory=dict)
    quality: tuple[TileQuality, ...] = ()


@dataclass(frozen=True)
class CellScores:
    """Classified cells and their scores.

    Parameters
    ----------
    cells : DataFrame
        The cell table with the columns of `ihcscore.table.schema.SCORED_COLUMNS`.
    scores : ScoreRow
        Counts and scores of all cells.
    regions : tuple of ScoreRow
        The same for each region, and for all regions of a class together.
    """

    cells: pd.DataFrame
    scores: ScoreRow
    regions: tuple[ScoreRow, ...] = ()


@dataclass(frozen=True)
class ImageResult:
    """Result of `score_image`.

    Parameters
    ----------
    cells : DataFrame
        The cell table with classes.
    scores : ScoreRow
        Counts and scores of the image.
    assay : Assay
        How it was scored.
    measurement : Measurement
        What it was scored from.
    """

    cells: pd.DataFrame
    scores: ScoreRow
    assay: Assay
    measurement: Measurement

    @property
    def provenance(self) -> dict[str, Any]:
        """What the result was made from and how, as plain values."""
        return {**self.measurement.provenance, "assay": self.assay.to_record()}
