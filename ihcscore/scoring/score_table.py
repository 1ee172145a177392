"""Classed cells to rows of scores: summed block by block, so that a slide's table is never held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.formulas import her2
from ihcscore.formulas.registry import SCORES, Score
from ihcscore.formulas.tallies import CLASS_COUNTS, OD_SUMS, TALLIES, Tallies
from ihcscore.scoring.heterogeneity import between, heterogeneity, hotspots
from ihcscore.scoring.intervals import HALVINGS, BlockTallies, Interval, Sampling, interval, sampling
from ihcscore.scoring.regions import SEPARATOR, RegionSet
from ihcscore.scoring.score_row import ALL, OK, UNSCORABLE, WHOLE, ScoreRow, ScoreValue
from ihcscore.scoring.sensitivity import band, variants
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

NO_REGIONS = RegionSet()
HOTSPOT, HOTSPOTS = "hotspot", 3
"""First word of the region of a row about a hotspot; how many are looked for."""
EVERY_CELL = "all"
"""Population of a row about cells of any type."""
UNCLASSED = tuple(LEFT_OUT).index("unmeasurable")
IMAGE_ROWS = 1 << 30
"""Rows of blocks between images that are pooled: none touch."""
HOW_TO_TELL = "give regions of class Tumor, a --classifier, or --tumor-rule"


def needed_columns(assay: Assay) -> list[str]:
    """List the columns that rows of scores are made of."""
    names = [name.capitalize() for name in assay.compartment]
    measured = [column(name) for name in names for column in (measured_column, saturated_column)]
    channels = [channel_column(name, channel) for name in names for channel in CHANNELS]
    found = ["x_um", "y_um", SCORED_COLUMN, CLASS_COLUMN, REGION_COLUMN, LEFT_OUT_COLUMN]
    return [*found, CELL_TYPE_COLUMN, PATTERN_COLUMN, OFF_PLANE_COLUMN, OFF_COLOR_COLUMN, *measured, *channels]


@dataclass
class _Scope:
    """The cells of a region and a population, summed up."""

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
    judged: bool = True

    def blocks(self, side_um: float) -> BlockTallies:
        """Give the tallies of all squares."""
        if not self.at:
            return BlockTallies(np.zeros((0, 2), np.int64), np.zeros((0, len(TALLIES))), side_um)
        return BlockTallies(np.concatenate(self.at), np.concatenate(self.values), side_um).coarser(1)

    def by_image(self) -> NDArray[np.float64]:
        """Give the tallies of each image that has cells here."""
        values = np.concatenate([np.zeros((0, len(TALLIES))), *self.values])
        image = np.concatenate([np.zeros(0, np.int64), *(at[:, 0] // IMAGE_ROWS for at in self.at)])
        return np.array([values[image == n].sum(axis=0) for n in np.unique(image)]).reshape(-1, len(TALLIES))


@dataclass(frozen=True)
class _Cells:
    """What a table gives to every scope it touches: its scored cells, and those left out."""

    reason: NDArray[np.int8]
    at: NDArray[np.int64]
    values: NDArray[np.float64]
    moved: Mapping[tuple[str, int], tuple[NDArray[np.int8], NDArray[np.float64]]]
    highest_od: float
    saturation: NDArray[np.float64] | None
    types: NDArray[np.int8]
    off: NDArray[np.bool_] | None


class ScoreTable:
    """Rows of scores of an image, its regions and populations, from its cell table given block by block.

    Parameters
    ----------
    assay : Assay
    regions : RegionSet
        Those the table was classed with.
    context : SlideContext, optional
        Background and stain vectors of the table: without them, the sensitivity band moves thresholds only.
    image, group : str
        Keys of the rows.
    region : str
        Name of what is scored as a whole.
    """

    def __init__(
        self,
        assay: Assay,
        regions: RegionSet = NO_REGIONS,
        context: SlideContext | None = None,
        *,
        image: str = "image",
        group: str = "",
        region: str = WHOLE,
        region_class: str = "",
    ) -> None:
        self.assay, self.regions, self.context = assay, regions, context
        self._keys = image, group
        excluded = regions.excluded(assay.exclude)
        self._areas: list[tuple[str, str, tuple[str, ...] | None]] = [(region, region_class, None)]
        self._areas += [(r.name, r.classification, (r.name,)) for r in regions.regions if r.name not in excluded]
        for name, members in regions.classes.items():
            if len(members) > 1 and members[0] not in excluded:
                self._areas.append((f"{ALL} {name}", name, members))
        self._of_region: dict[str, list[int]] = {}
        for k, (_, _, inside) in enumerate(self._areas):
            for member in inside or ():
                self._of_region.setdefault(member, []).append(k)
        self._scopes: dict[tuple[int, str], _Scope] = {}
        self.samplings: dict[tuple[str, str], Sampling] = {}

    def add(self, cells: pd.DataFrame, image: int = 0) -> None:
        """Add cells.

        Parameters
        ----------
        cells : DataFrame
            Classed, with the columns `needed_columns` lists. Not modified.
        image : int
            Which image they are of, where several are pooled.
        """
        if not len(cells):
            return
        inverse, names = pd.factorize(cells[REGION_COLUMN].fillna(""), sort=True)
        parts = [name.split(SEPARATOR) for name in names]
        given = _cells(cells, self.assay, self.context, image)
        touched: dict[int, list[int]] = {0: [*range(len(names))]}
        for value, part in enumerate(parts):
            for k in {k for name in part for k in self._of_region.get(name, ())}:
                touched.setdefault(k, []).append(value)
        for k, values in touched.items():
            inside = np.ones(len(cells), bool) if k == 0 else np.isin(inverse, values)
            for population in self._populations(given.types):
                chosen = inside if population == EVERY_CELL else inside & (given.types == _type_code(population))
                if chosen.any():
                    _add(self._scope(k, population), given, chosen)

    def _populations(self, types: NDArray[np.int8]) -> list[str]:
        found = [name.lower() for code, name in enumerate(CELL_TYPES) if (types == code).any()]
        return [EVERY_CELL, *found]

    def _scope(self, k: int, population: str) -> _Scope:
        if (k, population) not in self._scopes:
            self._scopes[k, population] = _Scope(*self._areas[k][:2], population, self._areas[k][2])
        return self._scopes[k, population]

    def rows(self, area_mm2: float | None = None) -> list[ScoreRow]:
        """Give the rows: of the whole first, the assay's population before others.

        Parameters
        ----------
        area_mm2 : float, optional
            Area of the whole: of its tissue.

        Returns
        -------
        list of ScoreRow
            A region of an excluded class has no row; its cells are counted in the others. A cell that is left out is
            counted once, for the first of the reasons excluded, artifact, cut, unmeasurable, off-colour.
        """
        wanted = self.assay.population
        others = [name.lower() for name in CELL_TYPES if name.lower() != wanted]
        populations = [wanted, *(name for name in (*others, EVERY_CELL) if name != wanted)]
        rows = []
        for k, (_, _, members) in enumerate(self._areas):
            area = area_mm2 if members is None else self.regions.area_mm2(members)
            for population in populations:
                if population == wanted or (k, population) in self._scopes:
                    row = self._row(self._scope(k, population))
                    differ = between(self._parts(k, population))
                    rows.append(replace(row, area_mm2=area, heterogeneity={**row.heterogeneity, **differ}))
        return rows + self._hotspots()

    def _parts(self, k: int, population: str) -> NDArray[np.float64]:
        """Give the tallies of each region of an area, and of each image of the whole."""
        members = self._areas[k][2]
        if members is None or len(members) == 1:
            return self._scope(k, population).by_image()
        single = {(name,) for name in members}
        alone = [n for n, (_, _, inside) in enumerate(self._areas) if inside in single]
        scopes = [self._scopes[n, population] for n in alone if (n, population) in self._scopes]
        return np.concatenate([np.zeros((0, len(TALLIES))), *(scope.by_image() for scope in scopes)])

    @property
    def _fine_um(self) -> float:
        return float(self.assay.block_um / 2**HALVINGS)

    def _hotspots(self) -> list[ScoreRow]:
        """Give a row for each hotspot of the whole, in the assay's population."""
        assay, whole = self.assay, self._scope(0, self.assay.population)
        if not assay.hotspot_mm2:
            return []
        score = SCORES[assay.scores[0]]
        least = assay.minimum_cells.get(score.name, score.minimum_cells)
        found = hotspots(whole.blocks(self._fine_um), score, assay.hotspot_mm2, least, HOTSPOTS)
        rows = []
        for number, spot in enumerate(found, 1):
            name = f"{HOTSPOT} {number} at {spot.x_um:.0f}, {spot.y_um:.0f} um"
            scope = _Scope(name, "", assay.population, None, at=[spot.tallies.at], values=[spot.tallies.values])
            unknown: dict[str, Any] = dict.fromkeys((*LEFT_OUT, "saturated_share", "band"))  # not known by place
            rows.append(replace(self._row(scope), **{**unknown, "area_mm2": spot.area_mm2}))
        return rows

    def _row(self, scope: _Scope) -> ScoreRow:
        assay = self.assay
        sample = sampling(scope.blocks(self._fine_um))
        if len(sample.blocks.at):
            self.samplings[scope.region, scope.population] = sample
        total = sample.blocks.total
        has_cells = float(max(total.cells, total.membranes)) > 0
        reason = "" if has_cells else f"no scored cells ({self._why_none(scope)})"
        scores = {name: _score(SCORES[name], sample, assay, reason) for name in assay.scores}
        counts = total.counts
        first = SCORES[assay.scores[0]]
        main = scores[first.name].value
        return ScoreRow(
            image=self._keys[0],
            group=self._keys[1],
            region=scope.region,
            region_class=scope.region_class,
            population=scope.population,
            compartment="+".join(assay.compartment),
            cells=counts.cells,
            negative=counts.negative,
            weak=counts.weak,
            moderate=counts.moderate,
            strong=counts.strong,
            scores=scores,
            blocks=len(sample.blocks.at),
            effective_blocks=round(sample.effective, 2),
            block_um=sample.blocks.side_um,
            band=None if main is None or first.membranes else band(first, main, scope.moved),
            heterogeneity=heterogeneity(sample.blocks),
            patterns=her2.patterns(total) if float(total.membranes) else {},
            **{**scope.left_out, "off_color": scope.off_color},
            saturated_share=scope.saturated / scope.measured if scope.measured and scope.judged else None,
            status=OK if any(score.status == OK for score in scores.values()) else UNSCORABLE,
            reason=reason or ("" if main is not None else scores[first.name].reason),
        )

    def _why_none(self, scope: _Scope) -> str:
        known = {
            population for (_, population), other in self._scopes.items() if other.at or any(other.left_out.values())
        }
        if scope.population not in known and EVERY_CELL in known:
            return f"no cell is known to be {scope.population}: {HOW_TO_TELL}"
        same = [s for s in self._scopes.values() if (s.region, s.population) == (scope.region, EVERY_CELL)]
        for each in (scope, *same):
            parts = [f"{count} {LEFT_OUT[name]}" for name, count in each.left_out.items() if count]
            if parts and not each.at:
                return ", ".join(parts)
        others = sum(round(values[:, : len(CLASS_COUNTS)].sum()) for each in same for values in each.values)
        if others:
            return f"none of {others} is {scope.population}"
        nothing = "no nuclei found"
        return f"{nothing}: is it blank, or the pixel size wrong?" if scope.region == WHOLE else nothing


def _type_code(population: str) -> int:
    return [name.lower() for name in CELL_TYPES].index(population)


def _cells(cells: pd.DataFrame, assay: Assay, context: SlideContext | None, image: int) -> _Cells:
    """Tell why each cell is left out, and give what the others add to their squares."""
    codes = _codes(cells[CLASS_COLUMN], CLASSES)
    told = OFF_PLANE_COLUMN in cells.columns and bool(cells[OFF_PLANE_COLUMN].notna().any())
    off = cells[OFF_COLOR_COLUMN].to_numpy(bool) if told else np.zeros(len(cells), bool)
    reason = _codes(cells[LEFT_OUT_COLUMN], tuple(LEFT_OUT))
    reason[(reason < 0) & (codes < 0)] = UNCLASSED
    scored = reason < 0
    texts = (CLASS_COLUMN, REGION_COLUMN, CELL_TYPE_COLUMN, LEFT_OUT_COLUMN)  # costly to copy, and read by now
    part = cells[[name for name in needed_columns(assay) if name in cells.columns and name not in texts]][scored]
    side = assay.block_um / 2**HALVINGS
    at = np.floor(part[["y_um", "x_um"]].to_numpy() / side).astype(np.int64)
    at[:, 0] += image * IMAGE_ROWS
    values = np.zeros((len(part), len(TALLIES)))
    values[np.arange(len(part)), codes[scored]] = 1
    od = part[SCORED_COLUMN].to_numpy(np.float64)
    first = len(CLASS_COUNTS)
    values[:, first : first + len(OD_SUMS)] = np.column_stack([od, np.clip(od, 0, assay.atm_max_od) / assay.atm_max_od])
    if PATTERN_COLUMN in part.columns:
        pattern = _codes(part[PATTERN_COLUMN], PATTERN_NAMES)
        known = np.flatnonzero(pattern >= 0)
        values[known, first + len(OD_SUMS) + pattern[known]] = 1
    moved: dict[tuple[str, int], tuple[NDArray[np.int8], NDArray[np.float64]]] = {}
    for what, level, moved_od in variants(part, assay, context):
        moved[what, sum(key[0] == what for key in moved)] = level, moved_od
    types = np.full(len(cells), -1, np.int8)
    if CELL_TYPE_COLUMN in cells.columns:
        types = _codes(cells[CELL_TYPE_COLUMN], CELL_TYPES)
    saturation = _saturation(part, assay.compartment)
    return _Cells(reason, at, values, moved, assay.atm_max_od, saturation, types, off if told else None)


def _codes(values: pd.Series, names: Sequence[str]) -> NDArray[np.int8]:
    """Give the place of each value among names, -1 for others."""
    return np.asarray(pd.Index(names).get_indexer(pd.Index(values)), np.int8)


def _saturation(scored: pd.DataFrame, compartment: tuple[str, ...]) -> NDArray[np.float64] | None:
    """Saturated and measured area of each cell, shape (n, 2); None where the table has it no longer."""
    names = [name.capitalize() for name in compartment]
    if saturated_column(names[0]) not in scored.columns:
        return None
    area = np.array([scored[measured_column(name)].to_numpy(np.float64) for name in names])
    share = np.array([scored[saturated_column(name)].to_numpy(np.float64) for name in names])
    return np.column_stack([np.where(area > 0, area * share, 0).sum(axis=0), area.sum(axis=0)])


def _add(scope: _Scope, given: _Cells, chosen: NDArray[np.bool_]) -> None:
    for code, name in enumerate(LEFT_OUT):
        scope.left_out[name] += int((chosen & (given.reason == code)).sum())
    if given.off is not None:
        counted = (given.reason < 0) | (given.reason == len(LEFT_OUT) - 1)
        scope.off_color = (scope.off_color or 0) + int((chosen & given.off & counted).sum())
    inside = chosen[given.reason < 0]
    if not inside.any():
        return
    blocks = BlockTallies(given.at[inside], given.values[inside], 0.0).coarser(1)
    scope.at.append(blocks.at)
    scope.values.append(blocks.values)
    for (what, k), (level, od) in given.moved.items():
        sums = Tallies.of_cells(level[inside], od[inside], given.highest_od)
        each = scope.moved.setdefault(what, [])
        if k < len(each):
            each[k] += sums
        else:
            each.append(sums)
    if given.saturation is None:
        scope.judged = False
        return
    dark, area = given.saturation[inside].sum(axis=0)
    scope.saturated += float(dark)
    scope.measured += float(area)


def _score(score: Score, sample: Sampling, assay: Assay, reason: str) -> ScoreValue:
    if reason:
        return ScoreValue(status=UNSCORABLE, reason=reason)
    total = sample.blocks.total
    cells, least = int(score.cells(total)), assay.minimum_cells.get(score.name, score.minimum_cells)
    if not cells:
        return ScoreValue(
            status=UNSCORABLE, reason="membranes were not judged" if score.membranes else "no scored cells"
        )
    if cells < least:
        return ScoreValue(status=UNSCORABLE, reason=f"{cells} cells, at least {least} are needed")
    value = float(score.of(total))
    found: Interval | None = interval(score, sample)
    ends: dict[str, Any] = {} if found is None else {"low": found.low, "high": found.high, "method": found.method}
    return ScoreValue(value, category=_category(score, value, total), **ends)


def _category(score: Score, value: float, total: Tallies) -> str:
    if score.membranes:
        return her2.category(value, her2.patterns(total))
    return score.category(value) if score.category is not None else ""


def score_rows(
    tables: pd.DataFrame | Iterable[pd.DataFrame],
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    context: SlideContext | None = None,
    *,
    image: str = "image",
    group: str = "",
    tissue_mm2: float | None = None,
) -> list[ScoreRow]:
    """Score a whole image, each of its regions, and the regions of each class together; see `ScoreTable`."""
    table = ScoreTable(assay, regions, context, image=image, group=group)
    for cells in [tables] if isinstance(tables, pd.DataFrame) else tables:
        table.add(cells)
    return table.rows(tissue_mm2)


def pool(
    tables: Sequence[pd.DataFrame],
    assay: Assay,
    context: SlideContext | None,
    *,
    group: str,
    region: str,
    region_class: str = "",
) -> list[ScoreRow]:
    """Score the cells of several images together; blocks of different images do not touch.

    Hotspots are places in an image, so its own rows have them.
    """
    assay = assay.replace(hotspot_mm2=0.0)
    table = ScoreTable(assay, NO_REGIONS, context, image=group, group=group, region=region, region_class=region_class)
    for k, cells in enumerate(tables):
        table.add(cells, k)
    return table.rows()
