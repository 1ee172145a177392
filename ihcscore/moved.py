"""Where public names went that version 0.20 had under other paths. The old paths work until 0.22, with a warning."""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = {
    "assay": "assays.loading",
    "context": "survey.context",
    "pipeline": "api",
    "rows": "scoring.score_row",
    "regions": "scoring.regions",
    "summarize": "scoring.score_table",
    "scores.allred": "formulas.allred",
    "scores.irs": "formulas.irs",
    "scores.quick": "formulas.quick",
    "scores.her2": "formulas.her2",
    "scores.tps": "formulas.tps",
    "scores.ki67": "formulas.ki67",
    "scores.pixels": "formulas.pixels",
    "scores.tallies": "formulas.tallies",
    "scores.registry": "formulas.registry",
    "scores.atm": "formulas.atm",
    "scores.hscore": "formulas.hscore",
    "scores.outcome": "formulas.outcome",
    "scores.percent": "formulas.percent",
    "intervals": "scoring.intervals",
    "outputs.tables": "results.writers.tables",
    "heterogeneity": "scoring.heterogeneity",
    "membrane": "cells.membrane",
    "patterns": "scoring.membrane_patterns",
    "celltypes.model": "scoring.cell_types.model",
    "celltypes.training": "scoring.cell_types.training",
    "segment.base": "cells.segmentation.base",
    "segment.registry": "cells.segmentation.registry",
    "segment.network": "cells.segmentation.network",
    "segment.watershed": "cells.segmentation.watershed",
    "segment.engines.adapter": "cells.segmentation.engines.adapter",
    "segment.engines.stardist": "cells.segmentation.engines.stardist",
    "segment.engines.instanseg": "cells.segmentation.engines.instanseg",
    "segment.engines.cellpose": "cells.segmentation.engines.cellpose",
    "batch": "workflows.score_folder",
    "rescoring": "workflows.rescore_folder",
    "tma.scoring": "workflows.tma.scoring",
    "replaying": "workflows.replay",
    "io.inputs": "io.manifests",
    "schema": "table.schema",
}
"""New place of each old module, both without the package's name."""
NAMES = {
    "assay.Assay": "assays.assay.Assay",
    "scores.registry.Score": "formulas.score.Score",
    "segment.base.BlockPixels": "cells.segmentation.base.TilePixels",
    "batch.Options": "workflows.run_settings.Options",
    "pipeline.Measurement": "scoring.image_result.Measurement",
    "pipeline.CellScores": "scoring.image_result.CellScores",
    "pipeline.ImageResult": "scoring.image_result.ImageResult",
}
"""Names that are elsewhere, or called otherwise, than their module's place says."""


def new_path(module: str, name: str) -> str:
    """Return where a name of an old module is now."""
    return NAMES.get(f"{module}.{name}", f"{MODULES[module]}.{name}")


class _MovedModules:
    """Finds modules that are no longer there; they only forward names."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        package, _, old = fullname.partition(".")
        if package != __package__ or not any(f"{name}.".startswith(f"{old}.") for name in MODULES):
            return None
        loader: Any = self  # not a subclass of Loader: importing that costs more than the rest
        return ModuleSpec(fullname, loader, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__.partition(".")[2]

        def forward(name: str) -> Any:
            if old not in MODULES or name.startswith("__"):
                raise AttributeError(f"module '{module.__name__}' has no attribute '{name}'")
            new = new_path(old, name)
            text = f"{module.__name__}.{name} is now {__package__}.{new}"
            warnings.warn(f"{text}; the old path goes with version 0.22", DeprecationWarning, stacklevel=2)
            home, _, own = new.rpartition(".")
            return getattr(import_module(f"{__package__}.{home}"), own)

        module.__getattr__ = forward  # type: ignore[method-assign]


sys.meta_path.append(_MovedModules())  # last: only asked for what no longer exists
