"""Render a phantom, an H-DAB tile with known truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom import truth
from ihcscore.phantom.cells import grow
from ihcscore.phantom.extras import extras
from ihcscore.phantom.fields import Grid
from ihcscore.phantom.folds import OUT_OF_FOCUS, doubled, folds
from ihcscore.phantom.hematoxylin import chromatin, surroundings
from ihcscore.phantom.labels import per_label
from ihcscore.phantom.layout import LYMPHOCYTE, MACROPHAGE, STROMA, TUMOR, place
from ihcscore.phantom.marker import deposit, granules, levels, roughen, unspecific
from ihcscore.phantom.optics import Light, absorb, expose, shifted
from ihcscore.phantom.parameters import PhantomParameters
from ihcscore.phantom.scene import Scene
from ihcscore.phantom.tissue import regions
from ihcscore.stains.vectors import StainMatrix

CYTOPLASM_SHARE = {TUMOR: 1.0, STROMA: 0.4, LYMPHOCYTE: 0.2, MACROPHAGE: 0.1}
"""How far a cell of each kind reaches beyond its nucleus, as a share of a tumor cell's reach."""
DENSE_DAB_OD = 0.6
"""DAB OD from which `hematoxylin_in_positive` applies in full."""


@dataclass(frozen=True)
class Phantom:
    """A rendered tile and its truth.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        The picture.
    nuclei, cells, membranes : ndarray of shape (M, N), dtype int32
        Labels, 0 is background: nuclei are 1..n without gaps, each one connected; nucleus i lies inside cell i;
        membrane i is the border of cell i without nucleus.
    dab : ndarray of shape (M, N), dtype float32
        DAB OD before any optical fault.
    stained : ndarray of shape (M, N), dtype bool, or None
        Where light shows the line of a stained membrane; None unless the marker is membranous.
    table : dict of str to ndarray of shape (n,)
        One entry per nucleus, see `truth.table`.
    background : ndarray of shape (3,), dtype float64
        Light without tissue.
    stains : StainMatrix
        Stain vectors of this tile.
    parameters : PhantomParameters
    seed : int
    drawn : dict of str to float
        What the seed drew from the ranges of `parameters`.
    """

    rgb: NDArray[np.uint8]
    nuclei: NDArray[np.int32]
    cells: NDArray[np.int32]
    membranes: NDArray[np.int32]
    dab: NDArray[np.float32]
    stained: NDArray[np.bool_] | None
    table: dict[str, NDArray[np.generic]]
    background: NDArray[np.float64]
    stains: StainMatrix
    parameters: PhantomParameters
    seed: int
    drawn: dict[str, float]

    def h_score(
        self,
        compartment: str = "nucleus",
        thresholds: Sequence[float] = (0.2, 0.4, 0.6),
        include_border: bool = False,
    ) -> float:
        """Compute the true H-score, ``100 * sum over k of P(mean DAB OD >= t_k)``.

        Parameters
        ----------
        compartment : {"nucleus", "cytoplasm", "membrane", "cell"}
        thresholds : sequence of float, default (0.2, 0.4, 0.6)
            DAB OD, ascending.
        include_border : bool, default False
            Count nuclei with a pixel in the outermost rows or columns too.

        Returns
        -------
        float
            0 to 100 times the number of thresholds. A cell without a pixel of the compartment is not counted.

        Raises
        ------
        ValueError
            If there is no cell to count, the compartment does not exist or the thresholds do not ascend.
        """
        return truth.h_score(self.table, compartment, thresholds, include_border)

    def write(self, folder: str | Path, stem: str) -> dict[str, Path]:
        """Write the picture, the labels and the truth.

        Raises OutputError if a file cannot be written, or there are more cells than 16 bits can number.

        Parameters
        ----------
        folder : str or Path
            Made if it does not exist.
        stem : str
            Start of each file's name.

        Returns
        -------
        dict of str to Path
            ``image``, ``nuclei``, ``cells`` (PNG, labels as uint16), ``table`` (CSV), ``truth`` (JSON).
        """
        images: dict[str, NDArray[Any]] = {"image": self.rgb, "nuclei": self.nuclei, "cells": self.cells}
        return truth.write(Path(folder), stem, images, self.table, self._provenance())

    def _provenance(self) -> dict[str, object]:
        return {
            "background": [float(v) for v in self.background],
            "drawn": self.drawn,
            "h_scores": {name: truth.h_score_or_none(self.table, name) for name in truth.COMPARTMENTS},
            "mpp": self.parameters.mpp,
            "nuclei": int(self.nuclei.max(initial=0)),
            "parameters": self.parameters.to_dict(),
            "seed": self.seed,
            "stains": self.stains.to_dict(),
        }


def render(parameters: PhantomParameters, seed: int) -> Phantom:
    """Render a phantom.

    Parameters
    ----------
    parameters : PhantomParameters
    seed : int
        Not negative; the same seed and parameters give the same bytes.

    Returns
    -------
    Phantom

    Notes
    -----
    Every stage has a generator of its own: a change to the optics leaves the tissue as it is.

    Examples
    --------
    >>> phantom = render(PhantomParameters(size_px=(64, 96)), seed=1)
    >>> phantom.rgb.shape, phantom.nuclei.dtype
    ((64, 96, 3), dtype('int32'))
    """
    knobs, ground, layout_rng, stain_rng, extra_rng, optics_rng, fault_rng = np.random.default_rng(seed).spawn(7)
    drawn = parameters.draw(knobs)
    grid = Grid(*parameters.size_px, parameters.mpp)
    tissue = regions(ground, grid, drawn)
    layout = place(layout_rng, grid, tissue, drawn)
    reach = drawn["cytoplasm_um"] * np.array([CYTOPLASM_SHARE[int(k)] for k in layout.kind], np.float64)
    cells = grow(layout_rng, layout.nuclei, reach, grid, drawn["membrane_um"])
    scene = Scene(grid, tissue, layout, cells, parameters.marker, drawn)
    look = chromatin(stain_rng, scene)
    level = levels(stain_rng, scene)
    dab, taking = deposit(stain_rng, scene, level, look.pattern)
    stained = None if taking is None else truth.seen(taking, grid, drawn["membrane_um"])
    hematoxylin = look.od * _kept(scene, level) + surroundings(stain_rng, scene)
    dab = roughen(fault_rng, scene, dab) + unspecific(fault_rng, scene)
    dab = dab + granules(fault_rng, scene) if np.any(layout.kind == MACROPHAGE) else dab
    light = _light(optics_rng, parameters, drawn)
    other = extras(extra_rng, grid, scene.on_tissue(), light.stains, drawn)
    fold = folds(fault_rng, grid, drawn)
    shift = (int(fault_rng.integers(grid.height)), int(fault_rng.integers(grid.width)))
    stacked = doubled(hematoxylin, fold, shift), doubled(dab, fold, shift)
    deep = np.maximum(look.deep, np.float32(OUT_OF_FOCUS) * fold)
    passing = absorb(*stacked, deep, other, light.stains, drawn["deep_blur_um"] / grid.mpp)
    rgb = expose(optics_rng, passing, light, grid, drawn)
    return Phantom(
        rgb=rgb,
        nuclei=layout.nuclei,
        cells=cells.cells,
        membranes=cells.membranes,
        dab=dab,
        stained=stained,
        table=truth.table(layout, cells, level, hematoxylin, dab, stained),
        background=light.background,
        stains=light.stains,
        parameters=parameters,
        seed=seed,
        drawn=drawn,
    )


def _kept(scene: Scene, level: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the share of hematoxylin left under nuclear DAB."""
    if scene.marker != "nuclear":
        return np.ones(scene.grid.shape, np.float32)
    loss = (1 - scene.drawn["hematoxylin_in_positive"]) * np.minimum(level / DENSE_DAB_OD, 1)
    return 1 - per_label(loss, scene.layout.nuclei)


def _light(rng: np.random.Generator, parameters: PhantomParameters, drawn: dict[str, float]) -> Light:
    background = np.clip(drawn["background"] + drawn["tint"] * rng.uniform(-1, 1, 3), 1, 255)
    hematoxylin = shifted(rng, parameters.hematoxylin_vector, drawn["stain_shift_deg"])
    dab = shifted(rng, parameters.dab_vector, drawn["stain_shift_deg"])
    return Light(background, StainMatrix(hematoxylin, dab))
