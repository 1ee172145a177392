"""Segmenters by name. To add one: a module with a class like `Watershed`, and an entry in `SEGMENTERS`."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ihcscore.errors import AssayError, UnknownName, WeightsError

if TYPE_CHECKING:
    from ihcscore.cells.segmentation.base import Segmenter

NONE, OWN, GIVEN = "none", "own", "given"
"""Weights of a segmenter: it has no network, it brings its own, or they have to be given."""
NOT_PARAMETERS = ("name", "version", "weights")


@dataclass(frozen=True)
class Entry:
    """A segmenter that can be named.

    Parameters
    ----------
    place : str
        Module and class, as "module:class"; loaded when it is used.
    weights : "none", "own" or "given"
        Whether it has a network, and where the weights come from.
    meaning : str
        For help and documentation.
    """

    place: str
    weights: str
    meaning: str

    def load(self) -> type[Any]:
        """Import the class."""
        module, name = self.place.split(":")
        kind: type[Any] = getattr(import_module(f"{__package__}.{module}"), name)
        return kind

    def parameters(self) -> list[str]:
        """Return the names of the parameters that can be set."""
        return [f.name for f in dataclasses.fields(self.load()) if f.init and f.name not in NOT_PARAMETERS]


SEGMENTERS: Mapping[str, Entry] = {
    "network": Entry("network:Network", OWN, "the packaged network"),
    "watershed": Entry("watershed:Watershed", NONE, "a threshold and watershed of hematoxylin, without network"),
    "stardist": Entry("engines.stardist:StarDist", GIVEN, "StarDist with your weights"),
    "instanseg": Entry("engines.instanseg:InstanSeg", GIVEN, "InstanSeg with your weights"),
    "cellpose": Entry("engines.cellpose:Cellpose", GIVEN, "Cellpose with your weights"),
}


def load_segmenter(
    name: str,
    parameters: Mapping[str, float] | None = None,
    weights: str | Path | None = None,
    weights_sha256: str | None = None,
) -> "Segmenter":
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
        SHA-256 that `weights` must have.

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
    known = sorted(SEGMENTERS[name].parameters())
    unknown = sorted(set(parameters or {}) - set(known))
    if unknown:
        raise AssayError("segmenter_parameters", [f"{name} has no {', '.join(unknown)}: it has {', '.join(known)}"])
    chosen = {**(parameters or {}), **_weights(name, weights, weights_sha256)}
    try:
        segmenter: Segmenter = SEGMENTERS[name].load()(**chosen)
        return segmenter
    except (TypeError, ValueError) as error:
        raise AssayError("segmenter_parameters", [f"{name}: {error}"]) from None


def _weights(name: str, weights: str | Path | None, sha256: str | None) -> dict[str, Path]:
    """Check given weights against what the segmenter takes."""
    if weights is None:
        if sha256 is not None:
            raise WeightsError("a SHA-256 of weights is given, but no weights: there is nothing to check")
        if SEGMENTERS[name].weights == GIVEN:
            raise WeightsError(f"{name} comes without weights: give the path of its model with --weights")
        return {}
    if SEGMENTERS[name].weights == NONE:
        raise WeightsError(f"{name} has no network: leave the weights out")
    if sha256 is not None:
        from ihcscore.cells.segmentation.weights import check_sha256

        check_sha256(Path(weights), sha256)
    return {"weights": Path(weights)}


def describe(segmenter: "Segmenter") -> dict[str, Any]:
    """Return a segmenter's name, version, weights and parameters for a result's provenance."""
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
