"""Segmenters by name."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ihcscore.cells.segmentation.base import Segmenter
from ihcscore.cells.segmentation.engines.cellpose import Cellpose
from ihcscore.cells.segmentation.engines.instanseg import InstanSeg
from ihcscore.cells.segmentation.engines.stardist import StarDist
from ihcscore.cells.segmentation.network import Network
from ihcscore.cells.segmentation.watershed import Watershed
from ihcscore.cells.segmentation.weights import check_sha256
from ihcscore.errors import AssayError, UnknownName, WeightsError

SEGMENTERS: dict[str, type[Any]] = {
    "network": Network,
    "watershed": Watershed,
    "stardist": StarDist,
    "instanseg": InstanSeg,
    "cellpose": Cellpose,
}
LISTED = {
    name: [f.name for f in dataclasses.fields(kind) if f.init and f.name not in ("name", "version", "weights")]
    for name, kind in SEGMENTERS.items()
}
"""Parameters of each that can be set."""
NO_WEIGHTS = ("watershed",)
OWN_WEIGHTS = ("network",)
"""Segmenters that take no weights, and those that bring their own; all others need a path."""


def load_segmenter(
    name: str,
    parameters: Mapping[str, float] | None = None,
    weights: str | Path | None = None,
    weights_sha256: str | None = None,
) -> Segmenter:
    """Make a segmenter.

    Parameters
    ----------
    name : str
        One of `SEGMENTERS`.
    parameters : mapping of str to number, optional
        Values that differ from its own.
    weights : str or Path, optional
        File or folder of its network.
    weights_sha256 : str, optional
        What `weights` must have.

    Returns
    -------
    Segmenter

    Raises
    ------
    UnknownName
        If there is no segmenter of that name; never another one instead.
    AssayError
        If it has no such parameter, or a value is out of range.
    WeightsError
        If its weights are not given, missing, not the expected ones, or not of its kind.
    MissingExtra
        If the package behind it is not installed.

    Examples
    --------
    >>> load_segmenter("watershed").mpp
    0.5
    """
    if name not in SEGMENTERS:
        raise UnknownName("segmenter", name, sorted(SEGMENTERS))
    known = sorted(LISTED[name])
    unknown = sorted(set(parameters or {}) - set(known))
    if unknown:
        raise AssayError("segmenter_parameters", [f"{name} has no {', '.join(unknown)}: it has {', '.join(known)}"])
    chosen: dict[str, Any] = dict(parameters or {})
    if weights is None and weights_sha256 is not None:
        raise WeightsError("a SHA-256 of weights is given, but no weights: there is nothing to check")
    if weights is not None:
        if name in NO_WEIGHTS:
            raise WeightsError(f"{name} has no network: leave the weights out")
        chosen["weights"] = Path(weights)
        if weights_sha256 is not None:
            check_sha256(Path(weights), weights_sha256)
    elif name not in NO_WEIGHTS + OWN_WEIGHTS:
        raise WeightsError(f"{name} comes without weights: give the path of its model with --weights")
    try:
        segmenter: Segmenter = SEGMENTERS[name](**chosen)
        return segmenter
    except (TypeError, ValueError) as error:
        raise AssayError("segmenter_parameters", [f"{name}: {error}"]) from None


def describe(segmenter: Segmenter) -> dict[str, Any]:
    """Give a segmenter's name, version, weights and parameters for a result's provenance."""
    described: dict[str, Any] = {"name": segmenter.name, "version": segmenter.version}
    if dataclasses.is_dataclass(segmenter):
        plain = (int, float, str, bool)
        values = {f.name: getattr(segmenter, f.name) for f in dataclasses.fields(segmenter)}
        described["parameters"] = {
            key: v for key, v in values.items() if isinstance(v, plain) and key not in ("name", "version")
        }
        if isinstance(values.get("weights"), Path):
            described["parameters"]["weights"] = values["weights"].name
    return described
