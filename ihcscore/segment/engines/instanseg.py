"""InstanSeg (Goldsborough et al., arXiv:2408.15954): embeddings, as TorchScript."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import WeightsError
from ihcscore.segment.engines.adapter import Adapter, required


@dataclass(frozen=True)
class InstanSeg(Adapter):
    """Find nuclei with an InstanSeg model; see `Adapter`.

    Parameters
    ----------
    weights : Path
        TorchScript file (``instanseg.pt``); torch alone runs it.
    """

    package: ClassVar[str] = "torch"

    def find(self, light: NDArray[np.float32]) -> NDArray[np.integer]:
        """Label nuclei; see `Adapter.find`. Of a model that gives nuclei and cells, the nuclei."""
        torch = required("torch")
        with torch.inference_mode():
            labels = _model(self.weights)(torch.from_numpy(light.transpose(2, 0, 1)[None].copy()))
        return np.asarray(labels[0, 0].cpu().numpy()).astype(np.int64)


@lru_cache(maxsize=2)
def _model(path: Path) -> Any:
    torch = required("torch")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{path.name}: is not a TorchScript model ({str(error).splitlines()[0]})") from error
