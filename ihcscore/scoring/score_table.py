"""Classified cells to rows of scores, table by table, so that a slide's cells are never in memory together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.formulas.registry import SCORES
from ihcscore.formulas.score import Score
from ihcscore.formulas.tallies import CLASS_COUNTS, TALLIES, Tallies
from ihcscore.scoring.cell_sums import CellSums, Scope, block_um
from ihcscore.scoring.heterogeneity import between, heterogeneity, hotspots
from ihcscore.scoring.intervals import Sampling, interval, sampling
from ihcscore.scoring.regions import NO_REGIONS, SEPARATOR, RegionSet
from ihcscore.scoring.score_row import ALL, OK, UNSCORABLE, WHOLE, ScoreRow, ScoreValue
from ihcscore.scoring.sensitivity import band
from ihcscore.survey.context import SlideContext
from ihcscore.table.schema import CELL_TYPES, LEFT_OUT, REGION_COLUMN

HOTSPOT, HOTSPOTS = "hotspot", 3
"""First word of the region of a row about a hotspot; how many are looked for."""
EVERY_CELL = "all"
"""Population of a row about cells of any type."""
HOW_TO_TELL = "give regions of class Tumor, a --classifier, or --tumor-rule"


class ScoreTable:
    """Rows of scores of an image, its regions and populations, from its classified cell table.

    Parameters
    ----------
    assay : Assay
    regions : RegionSet
        Regions that the table was classified with.
    context : SlideContext, optional
        Background and stain vectors of the table: without them, the sensitivity band moves thresholds only.
    image, group : str
        Keys of the rows.
    region, region_class : str
        Name and class of what is scored as a whole.
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
        self._scopes: dict[tuple[int, str], Scope] = {}
        self.samplings: dict[tuple[str, str], Sampling] = {}

    def add(self, cells: pd.DataFrame, image: int = 0) -> None:
        """Add the cells of a table.

        Parameters
        ----------
        cells : DataFrame
            Classified, with the columns of `needed_columns`. Not modified.
        image : int
            Which image they are of, where several are pooled.
        """
        if not len(cells):
            return
        inverse, names = pd.factorize(cells[REGION_COLUMN].fillna(""), sort=True)
        parts = [name.split(SEPARATOR) for name in names]
        sums = CellSums.from_table(cells, self.assay, self.context, image)
        touched: dict[int, list[int]] = {0: [*range(len(names))]}
        for value, part in enumerate(parts):
            for k in {k for name in part for k in self._of_region.get(name, ())}:
                touched.setdefault(k, []).append(value)
        for k, values in touched.items():
            inside = np.ones(len(cells), bool) if k == 0 else np.isin(inverse, values)
            for population in self._populations(sums.types):
                chosen = inside if population == EVERY_CELL else inside & (sums.types == _type_code(population))
                if chosen.any():
                    self._scope(k, population).add(sums, chosen)

    def _populations(self, types: NDArray[np.int8]) -> list[str]:
        found = [name.lower() for code, name in enumerate(CELL_TYPES) if (types == code).any()]
        return [EVERY_CELL, *found]

    def _scope(self, k: int, population: str) -> Scope:
        if (k, population) not in self._scopes:
            self._scopes[k, population] = Scope(*self._areas[k][:2], population, self._areas[k][2])
        return self._scopes[k, population]

    def rows(self, area_mm2: float | None = None) -> list[ScoreRow]:
        """Return the rows: of the whole first, the assay's population before others.

        Parameters
        ----------
        area_mm2 : float, optional
            Area of the whole: of its tissue.

        Returns
        -------
        list of ScoreRow
            A region of an excluded class has no row; its cells are counted in the others. An excluded cell is counted
            once, for the first of the reasons excluded, artifact, cut, unmeasurable, off-color.
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
        """Return the tallies of each region of an area, and of each image of the whole."""
        members = self._areas[k][2]
        if members is None or len(members) == 1:
            return self._scope(k, population).by_image()
        single = {(name,) for name in members}
        alone = [n for n, (_, _, inside) in enumerate(self._areas) if inside in single]
        scopes = [self._scopes[n, population] for n in alone if (n, population) in self._scopes]
        return np.concatenate([np.zeros((0, len(TALLIES))), *(scope.by_image() for scope in scopes)])

    def _hotspots(self) -> list[ScoreRow]:
        """Return a row for each hotspot of the whole, in the assay's population."""
        assay, whole = self.assay, self._scope(0, self.assay.population)
        if not assay.hotspot_mm2:
            return []
        score = SCORES[assay.scores[0]]
        least = assay.minimum_cells.get(score.name, score.minimum_cells)
        found = hotspots(whole.blocks(block_um(assay)), score, assay.hotspot_mm2, least, HOTSPOTS)
        rows = []
        for number, spot in enumerate(found, 1):
            name = f"{HOTSPOT} {number} at {spot.x_um:.0f}, {spot.y_um:.0f} um"
            scope = Scope(name, "", assay.population, None, at=[spot.tallies.at], values=[spot.tallies.values])
            unknown: dict[str, Any] = dict.fromkeys((*LEFT_OUT, "saturated_share", "band"))  # not known by place
            rows.append(replace(self._row(scope), **{**unknown, "area_mm2": spot.area_mm2}))
        return rows

    def _row(self, scope: Scope) -> ScoreRow:
        assay = self.assay
        sample = sampling(scope.blocks(block_um(assay)))
        if len(sample.blocks.at):
            self.samplings[scope.region, scope.population] = sample
        total = sample.blocks.total
        has_cells = float(max(total.cells, total.membranes)) > 0
        reason = "" if has_cells else f"no scored cells ({self._why_none(scope)})"
        scores = {name: _score(SCORES[name], sample, assay, reason) for name in assay.scores}
        counts, first = total.counts, SCORES[assay.scores[0]]
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
            band=None if main is None or first.of_membranes else band(first, main, scope.moved),
            heterogeneity=heterogeneity(sample.blocks),
            patterns=_details(assay, total),
            **{**scope.left_out, "off_color": scope.off_color},
            saturated_share=scope.saturated_share,
            status=OK if any(score.status == OK for score in scores.values()) else UNSCORABLE,
            reason=reason or ("" if main is not None else scores[first.name].reason),
        )

    def _why_none(self, scope: Scope) -> str:
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


def _score(score: Score, sample: Sampling, assay: Assay, reason: str) -> ScoreValue:
    if reason:
        return ScoreValue(status=UNSCORABLE, reason=reason)
    total = sample.blocks.total
    cells, least = int(score.cells(total)), assay.minimum_cells.get(score.name, score.minimum_cells)
    if not cells:
        why = "membranes were not judged" if score.of_membranes else "no scored cells"
        return ScoreValue(status=UNSCORABLE, reason=why)
    if cells < least:
        return ScoreValue(status=UNSCORABLE, reason=f"{cells} cells, at least {least} are needed")
    value, found = float(score.of(total)), interval(score, sample)
    ends: dict[str, Any] = {} if found is None else {"low": found.low, "high": found.high, "method": found.method}
    return ScoreValue(value, category=score.category_of(value, total), **ends)


def _details(assay: Assay, total: Tallies) -> dict[str, float]:
    """Return the numbers that scores show beside their value."""
    shown = {}
    for score in (SCORES[name] for name in assay.scores):
        if score.details is not None and score.cells(total) > 0:
            shown.update(score.details(total))
    return shown


def score_rows(
    tables: pd.DataFrame | Iterable[pd.DataFrame],
    assay: Assay,
    regions: RegionSet = NO_REGIONS,
    context: SlideContext | None = None,
    *,
    tissue_mm2: float | None = None,
) -> list[ScoreRow]:
    """Score a classified table, each of its regions, and the regions of each class together; see `ScoreTable`."""
    table = ScoreTable(assay, regions, context)
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
