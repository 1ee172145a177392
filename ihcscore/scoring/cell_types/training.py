"""Train a classifier of cells from a few labeled cells or regions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ihcscore.errors import InputError, MissingExtra
from ihcscore.io.regions import read_regions
from ihcscore.io.regions.reading import Move
from ihcscore.scoring.cell_types.features import features_of
from ihcscore.scoring.cell_types.model import CellClassifier
from ihcscore.scoring.cell_types.types import type_named

NEAREST_UM = 10.0
"""How far from a nucleus' centroid a point may be set."""
GROUP_UM = 200.0
"""Labelled cells within such a square are one group: neighbors are alike, and would flatter the cross-validation."""
MOST_FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class Labels:
    """Labelled cells of a table.

    Parameters
    ----------
    rows : ndarray of shape (k,), int
        Rows of the table.
    types : ndarray of shape (k,), dtype object
        Of `ihcscore.table.schema.CELL_TYPES`.
    groups : ndarray of shape (k,), int
        Cells of one place have the same.
    notes : tuple of str
        What was labeled and does not count.
    """

    rows: NDArray[np.intp]
    types: NDArray[np.object_]
    groups: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def read_labels(
    path: Path, cells: pd.DataFrame, dimensions: tuple[int, int], mpp: float, move: Move | None = None
) -> Labels:
    """Read which cells are what from QuPath's GeoJSON: points set on cells, or regions whose cells all are.

    Raises InputError if it cannot be read, or labels fewer than two types.

    Parameters
    ----------
    path : Path
        GeoJSON; objects of a class named like a type of cells (Tumor, Stroma, Immune cells, Other).
    cells : DataFrame
        Cell table.
    dimensions : tuple of int
        Width and height of the image, level-0 pixels.
    mpp : float
        um per pixel.
    move : callable, optional
        Converts positions in the file, shape (n, 2), to level-0 pixels.

    Returns
    -------
    Labels
        A cell that is labeled twice counts for the first.
    """
    points = _points(path)
    xy = cells[["x_px", "y_px"]].to_numpy(np.float64)
    found: dict[int, str] = {}
    given = _cells_at(points, xy, mpp, move)
    lost = len(points) - len(given)
    if not points or _has_areas(path):
        for region in read_regions(path, dimensions, mpp, move).regions:
            kind = type_named(region.classification)
            if kind:
                inside = np.flatnonzero(shapely.intersects_xy(region.geometry, xy[:, 0], xy[:, 1]))
                given += [(int(row), kind) for row in inside]
    for row, kind in given:
        found.setdefault(row, kind)
    unclear = len({row for row, kind in given if found[row] != kind})
    other = _unknown_classes(path)
    counted = {
        f"{lost} of {len(points)} points lie on no nucleus": lost,
        f"{unclear} cells are labeled as two types: the first counts": unclear,
        f"objects of other classes do not count: {', '.join(other)}": len(other),
    }
    notes = tuple(text for text, number in counted.items() if number)
    if len(set(found.values())) < 2:
        known = "classes Tumor, Stroma, Immune cells, Other are known"
        raise InputError(path, "; ".join((f"labels cells of {len(set(found.values()))} types: {known}", *notes)))
    rows = np.array(sorted(found), np.intp)
    squares = np.floor(cells[["x_um", "y_um"]].to_numpy(np.float64)[rows] / GROUP_UM).astype(np.int64)
    groups = np.unique(squares, axis=0, return_inverse=True)[1].ravel()
    return Labels(rows, np.array([found[int(row)] for row in rows], object), groups.astype(np.int64), notes)


def _cells_at(
    points: list[tuple[tuple[float, float], str]], xy: NDArray[np.float64], mpp: float, move: Move | None
) -> list[tuple[int, str]]:
    """Return row and type of the nearest nucleus to each point; points far from any nucleus are dropped."""
    if not points or not len(xy):
        return []
    places = np.array([point for point, _ in points])
    places = places if move is None else move(places)
    distance, index = (np.asarray(values) for values in cKDTree(xy).query(places))
    near = distance * mpp <= NEAREST_UM
    return [(int(row), kind) for (_, kind), row, kept in zip(points, index, near, strict=True) if kept]


def train(
    cells: Sequence[pd.DataFrame], labels: Sequence[Labels], about: dict[str, Any] | None = None
) -> CellClassifier:
    """Train a classifier.

    Parameters
    ----------
    cells : sequence of DataFrame
        Cell tables.
    labels : sequence of Labels
        Of each table.
    about : dict, optional
        Recorded with it.

    Returns
    -------
    CellClassifier
        ``about["cross_validation"]`` has the balanced accuracy on groups that were left out, or why there is none.

    Raises
    ------
    MissingExtra
        If scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import balanced_accuracy_score
        from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise MissingExtra("scikit-learn", "classifier") from None
    values = np.concatenate([features_of([table])[label.rows] for table, label in zip(cells, labels, strict=True)])
    types = np.concatenate([label.types for label in labels]).astype(str)
    groups = np.concatenate([label.groups + 1_000_000 * k for k, label in enumerate(labels)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000))
    folds = min([MOST_FOLDS, *(len(np.unique(groups[types == kind])) for kind in np.unique(types))])
    checked: dict[str, Any] = {"groups": len(np.unique(groups)), "folds": int(folds)}
    if folds < 2:
        checked["why_none"] = "each type needs labels in two places at least 200 um apart"
    else:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
        guessed = cross_val_predict(model, values, types, groups=groups, cv=splitter)
        checked["balanced_accuracy"] = round(float(balanced_accuracy_score(types, guessed)), 4)
    model.fit(values, types)
    counts = {str(kind): int((types == kind).sum()) for kind in np.unique(types)}
    record = {**(about or {}), "labelled": counts, "cross_validation": checked}
    return _plain(model, record)


def _plain(model: Any, about: dict[str, Any]) -> CellClassifier:
    scaler, logistic = model.steps[0][1], model.steps[1][1]
    coefficients, intercepts = logistic.coef_, logistic.intercept_
    if len(coefficients) == 1:  # of two classes, that of the second; the first is against it
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    numbers = (np.asarray(v, np.float64) for v in (scaler.mean_, scaler.scale_, coefficients, intercepts))
    mean, scale, weights, offsets = numbers
    return CellClassifier(tuple(str(c) for c in logistic.classes_), mean, scale, weights, offsets, about)


def _features(path: Path) -> list[Any]:
    try:
        data = json.loads(path.read_bytes())
        found = data["features"] if isinstance(data, dict) and "features" in data else data
        return list(found) if isinstance(found, list) else [found]
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, f"is not GeoJSON ({error})") from None


def _has_areas(path: Path) -> bool:
    return any("Polygon" in str((f.get("geometry") or {}).get("type")) for f in _features(path) if isinstance(f, dict))


def _unknown_classes(path: Path) -> list[str]:
    names = set()
    for feature in _features(path):
        properties = (feature.get("properties") if isinstance(feature, dict) else None) or {}
        named = properties.get("classification") or {}
        names.add(str(named.get("name", "")) if isinstance(named, dict) else str(named))
    return sorted(name for name in names if name and not type_named(name))


def _points(path: Path) -> list[tuple[tuple[float, float], str]]:
    points = []
    for feature in _features(path):
        try:
            geometry, properties = feature["geometry"], feature.get("properties") or {}
            kind = type_named(str((properties.get("classification") or {}).get("name", "")))
            places = {"Point": [geometry["coordinates"]], "MultiPoint": geometry["coordinates"]}.get(
                geometry["type"], []
            )
            set_here = [(float(x), float(y)) for x, y, *_ in places if kind]
            points += [(place, kind) for place in set_here if np.isfinite(place).all()]
        except (TypeError, KeyError, ValueError, AttributeError):
            continue  # areas and what else there is are read, and complained of, as regions
    return points
