"""Assays: what is scored, and how, for a marker; their presets and files."""

from ihcscore.assays.assay import Assay
from ihcscore.assays.loading import assay_from_dict, load_assay, preset_names

__all__ = ["Assay", "assay_from_dict", "load_assay", "preset_names"]
