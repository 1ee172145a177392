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
    from ihcscore.io.regions import read_regions
    from ihcscore.io.slides.opening import open_slide
    from ihcscore.pipeline import (
        CellScores,
        ImageResult,
        Measurement,
        measure_image,
        measure_slide,
        rescore,
        score_cells,
        score_image,
    )
    from ihcscore.regions import RegionSet
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

__version__ = "0.20.0"

_HOME = {
    "Assay": "assay",
    "load_assay": "assay",
    "SlideContext": "context",
    "load_context": "context",
    "IhcscoreError": "errors",
    "read_image": "io.images",
    "read_regions": "io.regions",
    "open_slide": "io.slides.opening",
    "CellScores": "pipeline",
    "ImageResult": "pipeline",
    "Measurement": "pipeline",
    "measure_image": "pipeline",
    "measure_slide": "pipeline",
    "rescore": "pipeline",
    "score_cells": "pipeline",
    "score_image": "pipeline",
    "RegionSet": "regions",
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
    "RegionSet",
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
    "measure_slide",
    "mix",
    "open_slide",
    "optical_density",
    "percent_positive",
    "read_image",
    "read_regions",
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
