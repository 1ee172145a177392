"""The truth of a phantom: a table per cell, scores, files."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import OutputError
from ihcscore.phantom.cells import Cells
from ihcscore.phantom.fields import Grid
from ihcscore.phantom.labels import at_border, centroids_px, touching
from ihcscore.phantom.layout import KINDS, Layout

COMPARTMENTS = ("nucleus", "cytoplasm", "membrane", "cell")
Table = dict[str, NDArray[np.generic]]


def table(
    layout: Layout,
    cells: Cells,
    level: NDArray[np.float64],
    hematoxylin: NDArray[np.float32],
    dab: NDArray[np.float32],
    stained: NDArray[np.bool_] | None,
) -> Table:
    """Measure each cell on the ideal amounts of stain.

    Parameters
    ----------
    level : ndarray of shape (n,), dtype float64
        Level of the marker drawn for each cell.
    hematoxylin, dab : ndarray of shape (M, N), dtype float32
        OD before any optical fault.
    stained : ndarray of shape (M, N), dtype bool, or None
        From `seen`; None where the marker is not membranous.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        ``label``; ``x_px``, ``y_px`` (centroid of the nucleus, pixel (0, 0) covers [0, 1) x [0, 1)); ``kind``
        (of `ihcscore.phantom.layout.KINDS`); ``level``; ``nucleus_px``; ``touches_border``; ``touching``; and for each
        compartment ``<compartment>_dab_od`` and ``<compartment>_hematoxylin_od``, means over its pixels, NaN if it has
        none. Cytoplasm is the cell without nucleus and membrane. ``completeness`` is the share of the cell's border
        that is stained on its own side or the neighbor's, NaN for a cell without membrane or an unknown one.
    """
    n = len(level)
    x, y = centroids_px(layout.nuclei)
    cytoplasm = np.where((layout.nuclei > 0) | (cells.membranes > 0), 0, cells.cells)
    found: Table = {
        "label": np.arange(1, n + 1, dtype=np.int32),
        "x_px": x,
        "y_px": y,
        "kind": np.array(KINDS)[layout.kind],
        "level": level,
        "nucleus_px": np.bincount(layout.nuclei.ravel(), minlength=n + 1)[1:],
        "touches_border": at_border(layout.nuclei),
        "touching": touching(layout.nuclei),
        "completeness": np.full(n, np.nan)
        if stained is None
        else means(cells.membranes, stained.astype(np.float32), n),
    }
    areas = (layout.nuclei, cytoplasm, cells.membranes, cells.cells)
    for name, labels in zip(COMPARTMENTS, areas, strict=True):
        found[f"{name}_dab_od"] = means(labels, dab, n)
        found[f"{name}_hematoxylin_od"] = means(labels, hematoxylin, n)
    return found


def seen(taking: NDArray[np.float32], grid: Grid, membrane_um: float) -> NDArray[np.bool_]:
    """Return where a stained membrane is visible: stained there or on the neighbor's side, which light cannot separate.

    Parameters
    ----------
    taking : ndarray of shape (M, N), dtype float32
        From `ihcscore.phantom.marker.deposit`. Not modified.
    membrane_um : float
        Thickness of both sides together.

    Returns
    -------
    ndarray of shape (M, N), dtype bool
    """
    reach = max(1, round(membrane_um / 2 / grid.mpp))
    near = cv2.dilate(taking, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    return np.asarray(near >= 0.5)


def means(labels: NDArray[np.int32], values: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    """Mean of `values` over each of the objects 1..n, NaN for one without pixels.

    Examples
    --------
    >>> means(np.array([[0, 1, 1]], np.int32), np.array([[9, 1, 2]], np.float32), 2)
    array([1.5, nan])
    """
    total = np.bincount(labels.ravel(), values.ravel(), n + 1)[1:]
    count = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    return np.asarray(np.divide(total, count, out=np.full(n, np.nan), where=count > 0), dtype=np.float64)


def h_score(measured: Table, compartment: str, thresholds: Sequence[float], include_border: bool) -> float:
    """Compute the H-score of a table; see `Phantom.h_score`."""
    if compartment not in COMPARTMENTS:
        raise ValueError(f"compartment must be one of {', '.join(COMPARTMENTS)}, found {compartment!r}")
    cuts = np.asarray(thresholds, dtype=np.float64)
    if cuts.ndim != 1 or not cuts.size or not np.all(np.diff(cuts) > 0):
        raise ValueError(f"thresholds must be ascending numbers, found {thresholds!r}")
    od = np.asarray(measured[f"{compartment}_dab_od"], dtype=np.float64)
    counted = np.isfinite(od) & (include_border | ~measured["touches_border"].astype(bool))
    if not counted.any():
        raise ValueError("no cell to score: every nucleus is cut by the border or lacks the compartment")
    return float(100 * (od[counted, None] >= cuts).mean(axis=0).sum())


def h_score_or_none(measured: Table, compartment: str) -> float | None:
    """Compute the H-score at the default thresholds, None where no cell can be counted."""
    try:
        return h_score(measured, compartment, (0.2, 0.4, 0.6), False)
    except ValueError:
        return None


def write(
    folder: Path,
    stem: str,
    images: Mapping[str, NDArray[Any]],
    measured: Table,
    provenance: Mapping[str, object],
) -> dict[str, Path]:
    """Write the files of a phantom; see `Phantom.write`."""
    names = {"image": f"{stem}.png", "nuclei": f"{stem}_nuclei.png", "cells": f"{stem}_cells.png"}
    names |= {"table": f"{stem}_truth.csv", "truth": f"{stem}_truth.json"}
    paths = {kind: folder / name for kind, name in names.items()}
    if len(measured["label"]) > np.iinfo(np.uint16).max:
        raise OutputError(f"{paths['nuclei']}: {len(measured['label'])} nuclei are more than a 16-bit image can number")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, image in images.items():
            paths[kind].write_bytes(_png(image))
        with paths["table"].open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(measured)
            rows.writerows(zip(*(column.tolist() for column in measured.values()), strict=True))
        paths["truth"].write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write phantom '{stem}' to {folder}: {error.strerror or error}") from error
    return paths


def _png(image: NDArray[Any]) -> bytes:
    """Encode color as it is and labels as 16 bits."""
    pixels = image[..., ::-1] if image.ndim == 3 else image.astype(np.uint16)
    return bytes(cv2.imencode(".png", pixels)[1])
