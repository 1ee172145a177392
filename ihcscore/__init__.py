"""Score immunohistochemistry (IHC) images: stains, nuclei, cells, scores, with the evidence beside every number.

Start with `score_image`. Names are loaded when they are used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ihcscore.assay import Assay, load_assay
    from ihcscore.context import SlideContext, load_context
    from ihcscore.errors import IhcscoreError
    from ihcscore.io.images import read_image
    from ihcscore.pipeline import (
        CellScores,
        ImageResult,
        Measurement,
        measure_image,
        rescore,
        score_cells,
        score_image,
    )
    from ihcscore.scores.atm import atm
    from ihcscore.scores.hscore import h_score
    from ihcscore.scores.outcome import Unscorable
    from ihcscore.scores.percent import percent_positive
    from ihcscore.segment.base import Segmenter
    from ihcscore.stains.background import find_glass
    from ihcscore.stains.density import optical_density
    from ihcscore.stains.estimate import StainEstimate, estimate_stains
    from ihcscore.stains.unmix import mix, unmix
    from ihcscore.stains.vectors import StainMatrix

__version__ = "0.2.0"

_HOME = {
    "Assay": "assay",
    "load_assay": "assay",
    "SlideContext": "context",
    "load_context": "context",
    "IhcscoreError": "errors",
    "read_image": "io.images",
    "CellScores": "pipeline",
    "ImageResult": "pipeline",
    "Measurement": "pipeline",
    "measure_image": "pipeline",
    "rescore": "pipeline",
    "score_cells": "pipeline",
    "score_image": "pipeline",
    "atm": "scores.atm",
    "h_score": "scores.hscore",
    "Unscorable": "scores.outcome",
    "percent_positive": "scores.percent",
    "Segmenter": "segment.base",
    "find_glass": "stains.background",
    "optical_density": "stains.density",
    "StainEstimate": "stains.estimate",
    "estimate_stains": "stains.estimate",
    "mix": "stains.unmix",
    "unmix": "stains.unmix",
    "StainMatrix": "stains.vectors",
}

__all__ = [
    "Assay",
    "CellScores",
    "IhcscoreError",
    "ImageResult",
    "Measurement",
    "Segmenter",
    "SlideContext",
    "StainEstimate",
    "StainMatrix",
    "Unscorable",
    "atm",
    "estimate_stains",
    "find_glass",
    "h_score",
    "load_assay",
    "load_context",
    "measure_image",
    "mix",
    "optical_density",
    "percent_positive",
    "read_image",
    "rescore",
    "score_cells",
    "score_image",
    "unmix",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ihcscore' has no attribute '{name}'")
    return getattr(import_module(f"ihcscore.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
