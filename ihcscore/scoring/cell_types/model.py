"""A classifier of cells as plain numbers in a JSON file: safe to load from anybody, the same on every machine."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import InputError
from ihcscore.io.atomic import write_bytes
from ihcscore.scoring.cell_types.features import FEATURES, Values
from ihcscore.table.schema import CELL_TYPES

FORMAT, VERSION = "ihcscore-classifier", 1
OF_OTHER_NUCLEI = "the classifier was trained on nuclei of"
LARGEST_BYTES = 1_000_000
RULE = "epithelium.json"
"""The model that ships, trained on phantoms."""


@dataclass(frozen=True)
class CellClassifier:
    """Multinomial logistic regression on standardised features.

    Parameters
    ----------
    classes : tuple of str
        Of `ihcscore.table.schema.CELL_TYPES`.
    mean, scale : ndarray of shape (25,)
        Of the features of the labeled cells.
    coefficients : ndarray of shape (k, 25)
    intercepts : ndarray of shape (k,)
    about : mapping
        What it was trained on, and how good it was in cross-validation.
    sha256 : str
        Of the file it was read from.
    """

    classes: tuple[str, ...]
    mean: Values
    scale: Values
    coefficients: Values
    intercepts: Values
    about: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def predict(self, features: Values) -> NDArray[np.object_]:
        """Predict the type of each cell; shape (n,)."""
        scores = (features - self.mean) / self.scale @ self.coefficients.T + self.intercepts
        return np.asarray(np.array(self.classes, object)[scores.argmax(axis=1)], object)

    def warnings(self, segmenter: str) -> list[str]:
        """Return a warning if it was trained on nuclei of another segmenter, whose shapes differ."""
        known = {str(entry["segmenter"]) for entry in self.about.get("trained_on", ()) if "segmenter" in entry}
        if not known or segmenter in known:
            return []
        return [f"{OF_OTHER_NUCLEI} {' and '.join(sorted(known))}, these are of {segmenter}"]

    def write(self, path: Path) -> None:
        """Write it. Raises OutputError if it cannot be written."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "features": list(FEATURES),
            "classes": list(self.classes),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
            "about": dict(self.about),
        }
        write_bytes(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())


def read_classifier(path: str | Path) -> CellClassifier:
    """Read what `CellClassifier.write` wrote.

    Raises
    ------
    InputError
        If it cannot be read, or is not a classifier of these features.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(path, "is too large for a classifier")
        return _parsed(path, path.read_bytes())
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror or error}") from error


def epithelium_rule() -> CellClassifier:
    """Load the packaged rule: epithelium against stroma and lymphocytes, trained on phantoms alone."""
    data = (resources.files("ihcscore.scoring.cell_types") / RULE).read_bytes()
    return _parsed(Path(RULE), data)


def _parsed(path: Path, content: bytes) -> CellClassifier:
    try:
        data = json.loads(content)
        if data["format"] != FORMAT or data["version"] != VERSION:
            raise InputError(path, f"is no classifier of format {FORMAT} {VERSION}")
        if tuple(data["features"]) != FEATURES:
            raise InputError(path, "was trained on other features: train it again with this version")
        classes = tuple(data["classes"])
        names = ("mean", "scale", "coefficients", "intercepts")
        mean, scale, coefficients, intercepts = (np.array(data[name], np.float64) for name in names)
        about = dict(data.get("about", {}))
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(path, f"is not a classifier that 'ihcscore classifier train' wrote ({error})") from None
    n = len(classes)
    fits = mean.shape == scale.shape == (len(FEATURES),) and coefficients.shape == (n, len(FEATURES))
    known = n > 1 and len(set(classes)) == n and set(classes) <= set(CELL_TYPES)
    numbers = all(np.isfinite(v).all() for v in (mean, scale, coefficients, intercepts)) and (scale > 0).all()
    if not (fits and known and numbers and intercepts.shape == (n,)):
        raise InputError(path, "is damaged: its numbers do not fit its classes and features")
    return CellClassifier(classes, mean, scale, coefficients, intercepts, about, hashlib.sha256(content).hexdigest())
