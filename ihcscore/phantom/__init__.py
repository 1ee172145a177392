"""Phantoms: rendered H-DAB tiles of which every cell is known."""

from ihcscore.phantom.parameters import PRESETS, PhantomParameters, load_parameters
from ihcscore.phantom.phantom import Phantom, render

__all__ = ["PRESETS", "Phantom", "PhantomParameters", "load_parameters", "render"]
