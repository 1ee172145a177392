"""StarDist (Schmidt et al., MICCAI 2018): star-convex polygons."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.segment.engines.adapter import Adapter, required


@dataclass(frozen=True)
class StarDist(Adapter):
    """Find nuclei with a StarDist 2D model; see `Adapter`.

    Parameters
    ----------
    weights : Path
        Folder of the model, with ``config.json`` and ``thresholds.json``.
    """

    package: ClassVar[str] = "stardist"

    def find(self, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei; see `Adapter.find`."""
        labels, _ = _model(self.weights).predict_instances(light, axes="YXC")
        return np.asarray(labels)


@lru_cache(maxsize=2)
def _model(folder: Path) -> Any:
    required("stardist")
    models = required("stardist.models")
    folder = folder.resolve()
    return models.StarDist2D(None, name=folder.name, basedir=str(folder.parent))
