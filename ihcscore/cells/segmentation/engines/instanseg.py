"""InstanSeg (Goldsborough et al., arXiv:2408.15954): embeddings, as TorchScript."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.engines.adapter import Adapter, required


@dataclass(frozen=True)
class InstanSeg(Adapter):
    """Detects nuclei with an InstanSeg model; see `Adapter`.

    Parameters
    ----------
    weights : Path
        TorchScript file (``instanseg.pt``); torch alone runs it.
    """

    package: ClassVar[str] = "torch"

    @staticmethod
    def load(weights: Path) -> Any:
        """Load a model; see `Adapter.load`."""
        return required("torch").jit.load(str(weights), map_location="cpu").eval()

    def find(self, model: Any, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei; see `Adapter.find`. Of a model with nuclei and cells, the nuclei."""
        torch = required("torch")
        with torch.inference_mode():
            labels = model(torch.from_numpy(light.transpose(2, 0, 1)[None].copy()))
        return np.asarray(labels[0, 0].cpu().numpy()).astype(np.int64)
