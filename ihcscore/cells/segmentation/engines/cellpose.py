"""Cellpose (Stringer et al., Nat. Methods 18, 100-106, 2021): flows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.engines.adapter import Adapter, required


@dataclass(frozen=True)
class Cellpose(Adapter):
    """Detects nuclei with a Cellpose model; see `Adapter`.

    Parameters
    ----------
    weights : Path
        File of the model.
    diameter_um : float
        Diameter of a nucleus, to which the model scales the image.
    """

    package: ClassVar[str] = "cellpose"

    diameter_um: float = 8.0

    @staticmethod
    def load(weights: Path) -> Any:
        """Load a model; see `Adapter.load`."""
        return required("cellpose.models").CellposeModel(gpu=False, pretrained_model=str(weights))

    def find(self, model: Any, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei; see `Adapter.find`."""
        masks = model.eval(light, diameter=self.diameter_um / self.mpp, normalize={"lowhigh": [0.0, 1.0]})[0]
        return np.asarray(masks)
