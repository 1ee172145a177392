"""The third pass: a stream of cell tables to classified tables, their digest, and rows of scores."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pandas as pd

from ihcscore.assays.assay import Assay
from ihcscore.scoring.classify_table import classify_tables
from ihcscore.scoring.intervals import Sampling
from ihcscore.scoring.regions import NO_REGIONS, RegionSet
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.scoring.score_table import ScoreTable
from ihcscore.survey.context import SlideContext
from ihcscore.table.digest import TableDigest


class ScoringPass:
    """Classify the cells of an image and score them, tile by tile, so that a slide's table is never held in memory.

    Iterate over it once, to the end: it yields the classified tables, as `classify_table` makes them. Its digest, rows
    and samplings are known then.

    Parameters
    ----------
    tables : callable
        Returns the measured cell table from its start, tile by tile; called twice where cell types depend on
        neighboring cells.
    context : SlideContext, optional
        Background and stain vectors of the table. Without it, the sensitivity band moves thresholds only, and off-color
        cells are not detected.
    image, group : str
        Keys of the rows.
    with_digest : bool
        Compute the SHA-256 of the table, which must then have all columns of a measured one.
    """

    def __init__(
        self,
        tables: Callable[[], Iterable[pd.DataFrame]],
        assay: Assay,
        regions: RegionSet = NO_REGIONS,
        context: SlideContext | None = None,
        *,
        image: str = "image",
        group: str = "",
        with_digest: bool = True,
    ) -> None:
        self.assay, self.regions, self.context = assay, regions, context
        self._tables = tables
        self._digest = TableDigest() if with_digest else None
        self._scores = ScoreTable(assay, regions, context, image=image, group=group)
        self._started = self._exhausted = False
        self._cells = 0

    def __iter__(self) -> Iterator[pd.DataFrame]:
        if self._started:
            raise RuntimeError("the cells were scored already: a scoring pass is iterated over once")
        self._started = True
        plane = None if self.context is None else self.context.plane
        for table in classify_tables(self._tables, self.assay, self.regions, plane):
            if self._digest is not None:
                self._digest.update(table)
            self._cells += len(table)
            self._scores.add(table)
            yield table
        self._exhausted = True

    def run(self) -> "ScoringPass":
        """Score all cells without keeping their tables."""
        for _ in self:
            pass
        return self

    def rows(self, tissue_mm2: float | None = None) -> list[ScoreRow]:
        """Return the rows of scores: first of the whole image, then of its regions and populations.

        Raises RuntimeError if not all cells were scored yet.

        Parameters
        ----------
        tissue_mm2 : float, optional
            Area of the image's tissue.
        """
        self._check()
        return self._scores.rows(tissue_mm2)

    @property
    def samplings(self) -> Mapping[tuple[str, str], Sampling]:
        """What the intervals of each region and population are made of; known after `rows`."""
        self._check()
        return self._scores.samplings

    @property
    def cell_count(self) -> int:
        """Rows of the table."""
        self._check()
        return self._cells

    @property
    def cells_sha256(self) -> str:
        """SHA-256 of the measured values of the table."""
        self._check()
        if self._digest is None:
            raise RuntimeError("this scoring pass computes no digest")
        return self._digest.hexdigest()

    def _check(self) -> None:
        if not self._exhausted:
            raise RuntimeError("not all cells were scored yet: iterate over the scoring pass to its end first")
