"""Score immunohistochemistry (IHC) images: stains, nuclei, cells, scores, with the evidence beside every number.

Start with `score_image`. Names are loaded when they are used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ihcscore import moved as moved
from ihcscore.version import __version__ as __version__

if TYPE_CHECKING:
    from ihcscore.api import measure_image, measure_slide, rescore, score_cells, score_image, score_slide
    from ihcscore.assays import Assay, load_assay
    from ihcscore.cells.segmentation.base import Segmenter
    from ihcscore.errors import IhcscoreError
    from ihcscore.formulas.atm import atm
    from ihcscore.formulas.hscore import h_score
    from ihcscore.formulas.outcome import Unscorable
    from ihcscore.formulas.percent import percent_positive
    from ihcscore.io.images import read_image
    from ihcscore.io.regions import read_regions
    from ihcscore.io.slides.opening import open_slide
    from ihcscore.scoring.image_result import CellScores, ImageResult, Measurement
    from ihcscore.scoring.regions import RegionSet
    from ihcscore.stains.background import find_glass
    from ihcscore.stains.density import optical_density
    from ihcscore.stains.estimate import StainEstimate, estimate_stains
    from ihcscore.stains.unmix import mix, unmix
    from ihcscore.stains.vectors import StainMatrix
    from ihcscore.survey.context import SlideContext, load_context

_HOME = {
    "Assay": "assays",
    "load_assay": "assays",
    "SlideContext": "survey.context",
    "load_context": "survey.context",
    "IhcscoreError": "errors",
    "read_image": "io.images",
    "read_regions": "io.regions",
    "open_slide": "io.slides.opening",
    "CellScores": "scoring.image_result",
    "ImageResult": "scoring.image_result",
    "Measurement": "scoring.image_result",
    "measure_image": "api",
    "measure_slide": "api",
    "rescore": "api",
    "score_cells": "api",
    "score_image": "api",
    "score_slide": "api",
    "RegionSet": "scoring.regions",
    "Unscorable": "formulas.outcome",
    "atm": "formulas.atm",
    "h_score": "formulas.hscore",
    "percent_positive": "formulas.percent",
    "Segmenter": "cells.segmentation.base",
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
    "score_slide",
    "unmix",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ihcscore' has no attribute '{name}'")
    return getattr(import_module(f"ihcscore.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
