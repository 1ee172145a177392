"""Where public names went that version 0.20 had under other paths. The old paths work until 0.22, with a warning."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "assay.Assay": "assays.assay.Assay",
    "assay.load_assay": "assays.loading.load_assay",
    "assay.assay_from_dict": "assays.loading.assay_from_dict",
    "assay.preset_names": "assays.loading.preset_names",
    "context.SlideContext": "survey.context.SlideContext",
    "context.load_context": "survey.context.load_context",
    "pipeline.CellScores": "api.CellScores",
    "pipeline.ImageResult": "api.ImageResult",
    "pipeline.Measurement": "api.Measurement",
    "pipeline.measure_image": "api.measure_image",
    "pipeline.measure_slide": "api.measure_slide",
    "pipeline.rescore": "api.rescore",
    "pipeline.score_cells": "api.score_cells",
    "pipeline.score_image": "api.score_image",
    "rows.ScoreRow": "scoring.score_row.ScoreRow",
    "rows.ScoreValue": "scoring.score_row.ScoreValue",
    "rows.Band": "scoring.score_row.Band",
    "regions.RegionSet": "scoring.regions.RegionSet",
    "summarize.ScoreTable": "scoring.score_table.ScoreTable",
    "scores.allred.allred": "formulas.allred.allred",
    "scores.irs.irs": "formulas.irs.irs",
    "scores.quick.quick_score": "formulas.quick.quick_score",
    "scores.her2.her2": "formulas.her2.her2",
    "scores.tps.tps": "formulas.tps.tps",
    "scores.ki67.ki67": "formulas.ki67.ki67",
    "scores.pixels.pixel_h_score": "formulas.pixels.pixel_h_score",
    "scores.tallies.Tallies": "formulas.tallies.Tallies",
    "scores.registry.Score": "formulas.score.Score",
    "scores.registry.SCORES": "formulas.registry.SCORES",
    "scores.atm.atm": "formulas.atm.atm",
    "scores.hscore.h_score": "formulas.hscore.h_score",
    "scores.outcome.Unscorable": "formulas.outcome.Unscorable",
    "scores.percent.percent_positive": "formulas.percent.percent_positive",
    "intervals.sampling": "scoring.intervals.sampling",
    "intervals.interval": "scoring.intervals.interval",
    "intervals.BlockTallies": "scoring.intervals.BlockTallies",
    "intervals.Sampling": "scoring.intervals.Sampling",
    "intervals.Interval": "scoring.intervals.Interval",
    "outputs.tables.read_blocks": "results.writers.tables.read_blocks",
    "outputs.tables.read_cells": "results.writers.tables.read_cells",
    "outputs.tables.iter_cells": "results.writers.tables.iter_cells",
    "heterogeneity.heterogeneity": "scoring.heterogeneity.heterogeneity",
    "membrane.measure_membranes": "cells.membrane.measure_membranes",
    "patterns.completeness": "scoring.membrane_patterns.completeness",
    "patterns.membrane_patterns": "scoring.membrane_patterns.membrane_patterns",
    "celltypes.model.read_classifier": "scoring.cell_types.model.read_classifier",
    "celltypes.model.CellClassifier": "scoring.cell_types.model.CellClassifier",
    "celltypes.training.train": "scoring.cell_types.training.train",
    "segment.base.Segmenter": "cells.segmentation.base.Segmenter",
    "segment.base.MapSegmenter": "cells.segmentation.base.MapSegmenter",
    "segment.base.BlockPixels": "cells.segmentation.base.TilePixels",
    "segment.registry.load_segmenter": "cells.segmentation.registry.load_segmenter",
    "segment.network.Network": "cells.segmentation.network.Network",
    "segment.watershed.Watershed": "cells.segmentation.watershed.Watershed",
    "segment.engines.adapter.Adapter": "cells.segmentation.engines.adapter.Adapter",
    "segment.engines.stardist.StarDist": "cells.segmentation.engines.stardist.StarDist",
    "segment.engines.instanseg.InstanSeg": "cells.segmentation.engines.instanseg.InstanSeg",
    "segment.engines.cellpose.Cellpose": "cells.segmentation.engines.cellpose.Cellpose",
    "batch.score_files": "workflows.score_folder.score_files",
    "batch.Options": "workflows.run_settings.Options",
    "rescoring.rescore_folder": "workflows.rescore_folder.rescore_folder",
    "tma.scoring.score_arrays": "workflows.tma.scoring.score_arrays",
    "tma.scoring.rescore_arrays": "workflows.tma.scoring.rescore_arrays",
    "replaying.replay": "workflows.replay.replay",
    "replaying.Replay": "workflows.replay.Replay",
    "io.inputs.expand_inputs": "io.manifests.expand_inputs",
    "io.inputs.ImageInput": "io.manifests.ImageInput",
    "schema.COLUMNS": "table.schema.COLUMNS",
    "schema.SCORED_COLUMNS": "table.schema.SCORED_COLUMNS",
}
"""New path of each public name, both without the package's name."""


class _MovedModules(MetaPathFinder, Loader):
    """Finds modules that are no longer there; they only forward names."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        package, _, old = fullname.partition(".")
        if package != __package__ or not any(f"{name}.".startswith(f"{old}.") for name in MOVED):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__.partition(".")[2]

        def forward(name: str) -> Any:
            new = MOVED.get(f"{old}.{name}")
            if new is None:
                raise AttributeError(f"module '{module.__name__}' is gone, and nothing says where '{name}' went")
            text = f"{module.__name__}.{name} is now {__package__}.{new}"
            warnings.warn(f"{text}; the old path goes with version 0.22", DeprecationWarning, stacklevel=2)
            home, _, own = new.rpartition(".")
            return getattr(import_module(f"{__package__}.{home}"), own)

        module.__getattr__ = forward  # type: ignore[method-assign]


sys.meta_path.append(_MovedModules())  # last: only asked for what no longer exists
