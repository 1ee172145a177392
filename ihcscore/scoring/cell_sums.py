"""Sum scored cells by block of tissue: what scores, intervals and sensitivity bands are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.formulas.registry import SCORES
from ihcscore.formulas.tallies import CLASS_COUNTS, OD_SUMS, TALLIES, Tallies
from ihcscore.scoring.intervals import HALVINGS, BlockTallies
from ihcscore.scoring.sensitivity import variants
from ihcscore.survey.context import SlideContext
from ihcscore.table.schema import (
    CELL_TYPE_COLUMN,
    CELL_TYPES,
    CHANNELS,
    CLASS_COLUMN,
    CLASSES,
    LEFT_OUT,
    LEFT_OUT_COLUMN,
    OFF_COLOR_COLUMN,
    OFF_PLANE_COLUMN,
    PATTERN_COLUMN,
    PATTERN_NAMES,
    REGION_COLUMN,
    SCORED_COLUMN,
    channel_column,
    measured_column,
    saturated_column,
)

UNCLASSIFIED = tuple(LEFT_OUT).index("unmeasurable")
IMAGE_ROWS = 1 << 30
"""Rows of blocks between images that are pooled: none touch."""


def needed_columns(assay: Assay) -> list[str]:
    """Return the columns of a scored cell table that rows of scores are made of."""
    names = [name.capitalize() for name in assay.compartment]
    measured = [column(name) for name in names for column in (measured_column, saturated_column)]
    channels = [channel_column(name, channel) for name in names for channel in CHANNELS]
    always = ["x_um", "y_um", SCORED_COLUMN, CLASS_COLUMN, REGION_COLUMN, LEFT_OUT_COLUMN, CELL_TYPE_COLUMN]
    own = [column for name in assay.scores for column in SCORES[name].columns]
    return [*dict.fromkeys([*always, *own, OFF_PLANE_COLUMN, OFF_COLOR_COLUMN, *measured, *channels])]


def block_um(assay: Assay) -> float:
    """Return the side of the smallest blocks that cells are summed in, um."""
    return float(assay.block_um / 2**HALVINGS)


@dataclass(frozen=True)
class CellSums:
    """What the cells of a table add to every scope that holds some of them.

    Parameters
    ----------
    reason : ndarray of shape (n,), dtype int8
        Why each cell is excluded, an index of `LEFT_OUT`; -1 for scored cells.
    at : ndarray of shape (m, 2), dtype int64
        Block of each scored cell.
    values : ndarray of shape (m, 11), dtype float64
        What each scored cell adds to `TALLIES`.
    moved : mapping
        Class and density of the scored cells under each variant of the sensitivity band.
    highest_od : float
        Density at which the ATM clips.
    saturation : ndarray of shape (m, 2), or None
        Saturated and measured area of each scored cell; None where the table does not hold them.
    types : ndarray of shape (n,), dtype int8
        Index of each cell's type, -1 where it has none.
    off_color : ndarray of shape (n,), dtype bool, or None
        Whether each cell is off-color; None where it cannot be detected.
    """

    reason: NDArray[np.int8]
    at: NDArray[np.int64]
    values: NDArray[np.float64]
    moved: Mapping[tuple[str, int], tuple[NDArray[np.int8], NDArray[np.float64]]]
    highest_od: float
    saturation: NDArray[np.float64] | None
    types: NDArray[np.int8]
    off_color: NDArray[np.bool_] | None

    @classmethod
    def from_table(cls, cells: pd.DataFrame, assay: Assay, context: SlideContext | None, image: int) -> "CellSums":
        """Sum up a classified table; `image` numbers images that are pooled."""
        codes = _codes(cells[CLASS_COLUMN], CLASSES)
        known = OFF_PLANE_COLUMN in cells.columns and bool(cells[OFF_PLANE_COLUMN].notna().any())
        reason = _codes(cells[LEFT_OUT_COLUMN], tuple(LEFT_OUT))
        reason[(reason < 0) & (codes < 0)] = UNCLASSIFIED
        scored = reason < 0
        texts = (CLASS_COLUMN, REGION_COLUMN, CELL_TYPE_COLUMN, LEFT_OUT_COLUMN)  # costly to copy, and not needed here
        part = cells[[name for name in needed_columns(assay) if name in cells.columns and name not in texts]][scored]
        at = np.floor(part[["y_um", "x_um"]].to_numpy() / block_um(assay)).astype(np.int64)
        at[:, 0] += image * IMAGE_ROWS
        moved: dict[tuple[str, int], tuple[NDArray[np.int8], NDArray[np.float64]]] = {}
        for what, level, moved_od in variants(part, assay, context):
            moved[what, sum(key[0] == what for key in moved)] = level, moved_od
        types = np.full(len(cells), -1, np.int8)
        if CELL_TYPE_COLUMN in cells.columns:
            types = _codes(cells[CELL_TYPE_COLUMN], CELL_TYPES)
        off = cells[OFF_COLOR_COLUMN].to_numpy(bool) if known else None
        values, saturation = _tally_values(part, codes[scored], assay), _saturation(part, assay.compartment)
        return cls(reason, at, values, moved, assay.atm_max_od, saturation, types, off)


def _tally_values(scored: pd.DataFrame, codes: NDArray[np.int8], assay: Assay) -> NDArray[np.float64]:
    """Return what each scored cell adds to `TALLIES`; shape (m, 11)."""
    values = np.zeros((len(scored), len(TALLIES)))
    values[np.arange(len(scored)), codes] = 1
    od = scored[SCORED_COLUMN].to_numpy(np.float64)
    first = len(CLASS_COUNTS)
    values[:, first : first + len(OD_SUMS)] = np.column_stack([od, np.clip(od, 0, assay.atm_max_od) / assay.atm_max_od])
    if PATTERN_COLUMN in scored.columns:
        pattern = _codes(scored[PATTERN_COLUMN], PATTERN_NAMES)
        known = np.flatnonzero(pattern >= 0)
        values[known, first + len(OD_SUMS) + pattern[known]] = 1
    return values


def _codes(values: pd.Series, names: Sequence[str]) -> NDArray[np.int8]:
    """Return the index of each value among names, -1 for others."""
    return np.asarray(pd.Index(names).get_indexer(pd.Index(values)), np.int8)


def _saturation(scored: pd.DataFrame, compartment: tuple[str, ...]) -> NDArray[np.float64] | None:
    """Return the saturated and measured area of each cell, shape (m, 2); None where the table has it no longer."""
    names = [name.capitalize() for name in compartment]
    if saturated_column(names[0]) not in scored.columns:
        return None
    area = np.array([scored[measured_column(name)].to_numpy(np.float64) for name in names])
    share = np.array([scored[saturated_column(name)].to_numpy(np.float64) for name in names])
    return np.column_stack([np.where(area > 0, area * share, 0).sum(axis=0), area.sum(axis=0)])


@dataclass
class Scope:
    """The cells of a region and a population, summed up table by table.

    Parameters
    ----------
    members : tuple of str or None
        Names of its regions; None for the whole image.
    """

    region: str
    region_class: str
    population: str
    members: tuple[str, ...] | None
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEFT_OUT, 0))
    at: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    moved: dict[str, list[Tallies]] = field(default_factory=dict)
    off_color: int | None = None
    saturated: float = 0.0
    measured: float = 0.0
    has_saturation: bool = True

    def add(self, sums: CellSums, chosen: NDArray[np.bool_]) -> None:
        """Add the chosen cells of a table."""
        for code, name in enumerate(LEFT_OUT):
            self.left_out[name] += int((chosen & (sums.reason == code)).sum())
        if sums.off_color is not None:
            counted = (sums.reason < 0) | (sums.reason == len(LEFT_OUT) - 1)
            self.off_color = (self.off_color or 0) + int((chosen & sums.off_color & counted).sum())
        inside = chosen[sums.reason < 0]
        if not inside.any():
            return
        blocks = BlockTallies(sums.at[inside], sums.values[inside], 0.0).coarser(1)
        self.at.append(blocks.at)
        self.values.append(blocks.values)
        for (what, k), (level, od) in sums.moved.items():
            tallies = Tallies.of_cells(level[inside], od[inside], sums.highest_od)
            each = self.moved.setdefault(what, [])
            if k < len(each):
                each[k] += tallies
            else:
                each.append(tallies)
        if sums.saturation is None:
            self.has_saturation = False
            return
        dark, area = sums.saturation[inside].sum(axis=0)
        self.saturated += float(dark)
        self.measured += float(area)

    @property
    def saturated_share(self) -> float | None:
        """Share of saturated pixels; None where it is not known."""
        return self.saturated / self.measured if self.measured and self.has_saturation else None

    def blocks(self, side_um: float) -> BlockTallies:
        """Return the tallies of all blocks."""
        if not self.at:
            return BlockTallies(np.zeros((0, 2), np.int64), np.zeros((0, len(TALLIES))), side_um)
        return BlockTallies(np.concatenate(self.at), np.concatenate(self.values), side_um).coarser(1)

    def by_image(self) -> NDArray[np.float64]:
        """Return the tallies of each image that has cells here."""
        values = np.concatenate([np.zeros((0, len(TALLIES))), *self.values])
        image = np.concatenate([np.zeros(0, np.int64), *(at[:, 0] // IMAGE_ROWS for at in self.at)])
        return np.array([values[image == n].sum(axis=0) for n in np.unique(image)]).reshape(-1, len(TALLIES))
