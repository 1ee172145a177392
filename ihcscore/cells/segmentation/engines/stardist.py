"""StarDist (Schmidt et al., MICCAI 2018): star-convex polygons."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.engines.adapter import Adapter, required


@dataclass(frozen=True)
class StarDist(Adapter):
    """Detects nuclei with a StarDist 2D model; see `Adapter`.

    Parameters
    ----------
    weights : Path
        Folder of the model, with ``config.json``, ``thresholds.json`` and one file of weights, or one that is called
        best: without, StarDist would go on with thresholds of its own and the newest file.
    """

    package: ClassVar[str] = "stardist"

    @staticmethod
    def load(weights: Path) -> Any:
        """Load a model; see `Adapter.load`."""
        required("stardist")
        folder = weights.resolve()
        _check(folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Couldn't find any network weights")  # it would go on with random ones
            return required("stardist.models").StarDist2D(None, name=folder.name, basedir=str(folder.parent))

    def find(self, model: Any, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei; see `Adapter.find`."""
        labels, _ = model.predict_instances(light, axes="YXC")
        return np.asarray(labels)


def _check(folder: Path) -> None:
    """Refuse a folder in which StarDist would choose something silently."""
    thresholds = json.loads((folder / "thresholds.json").read_text("utf-8"))
    if not all(0 <= float(thresholds[name]) <= 1 for name in ("prob", "nms")):
        raise ValueError("thresholds.json must give prob and nms, 0 to 1")
    networks = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".h5", ".hdf5")]
    best = [name for name in networks if "best" in name]
    if len(best or networks) > 1:
        raise ValueError(f"holds several networks ({', '.join(best or networks)}): leave one")
