"""Geometry of a tile before staining."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.cells import Cells
from ihcscore.phantom.fields import Grid
from ihcscore.phantom.layout import Layout
from ihcscore.phantom.tissue import Tissue


@dataclass(frozen=True)
class Scene:
    """The geometry of a tile and what the seed drew for it.

    Parameters
    ----------
    marker : str
        See `PhantomParameters`.
    drawn : mapping of str to float
        A value for each range of `PhantomParameters`.
    """

    grid: Grid
    tissue: Tissue
    layout: Layout
    cells: Cells
    marker: str
    drawn: Mapping[str, float]

    def on_tissue(self) -> NDArray[np.float32]:
        """Weight 1 on tissue, 0 on glass, with a soft edge; shape (M, N)."""
        present = (~self.tissue.glass | (self.cells.cells > 0)).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(present, (0, 0), 0.8 / self.grid.mpp), dtype=np.float32)
