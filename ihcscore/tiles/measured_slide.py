"""A slide whose tiles are all measured, and how their measurement is run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ihcscore.cells.quality import TileQuality
from ihcscore.survey.context import SlideContext
from ihcscore.tiles.executors import Executor, SerialExecutor, SlideTask
from ihcscore.tiles.measure_slide import MeasurementPlan
from ihcscore.tiles.store import MemoryStore, TileStore

Progress = Callable[[int, int], None]
"""Called with the tiles done and the tiles in all."""


@dataclass(frozen=True)
class Execution:
    """Where and how tiles are measured; nothing of it changes a cell.

    Parameters
    ----------
    executor : Executor
        Runs the tiles.
    make_store : callable
        Makes the store that keeps measured tiles, from the plan.
    make_task : callable
        Makes what other processes need to open the slide again, from the plan; None if they cannot.
    progress : callable, optional
        Called with the tiles done and the tiles in all.
    """

    executor: Executor = field(default_factory=SerialExecutor)
    make_store: Callable[[MeasurementPlan], TileStore] = lambda plan: MemoryStore()
    make_task: Callable[[MeasurementPlan], SlideTask | None] = lambda plan: None
    progress: Progress | None = None


@dataclass(frozen=True)
class MeasuredSlide:
    """A slide whose tiles are all measured.

    Parameters
    ----------
    plan : MeasurementPlan
        What was measured and how.
    store : TileStore
        The measured tiles.
    """

    plan: MeasurementPlan
    store: TileStore

    @property
    def context(self) -> SlideContext:
        """Background and stain vectors."""
        return self.plan.job.context

    @property
    def tissue_mm2(self) -> float | None:
        """Area of the tissue that was measured; None where only regions were."""
        return None if self.plan.assay.only_regions else float(self.provenance()["tissue"]["tissue_mm2"])

    def tables(self) -> Iterator[pd.DataFrame]:
        """Yield the cell table of each tile; at least one table, which may have no rows."""
        return self.plan.tables(self.store)

    def quality(self) -> tuple[TileQuality, ...]:
        """Return the quality of each tile."""
        return tuple(self.plan.quality(self.store))

    def provenance(self) -> dict[str, Any]:
        """Return what was measured and how, as plain values."""
        return self.plan.provenance()
