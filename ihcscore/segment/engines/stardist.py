"""StarDist (Schmidt et al., MICCAI 2018): star-convex polygons."""

import warnings
from dataclasses import dataclass
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

    @staticmethod
    def load(weights: Path) -> Any:
        """Load a model; see `Adapter.load`."""
        required("stardist")
        folder = weights.resolve()
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Couldn't find any network weights")  # it would go on with random ones
            return required("stardist.models").StarDist2D(None, name=folder.name, basedir=str(folder.parent))

    def find(self, model: Any, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei; see `Adapter.find`."""
        labels, _ = model.predict_instances(light, axes="YXC")
        return np.asarray(labels)
