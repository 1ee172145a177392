"""Segmenters by name."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ihcscore.errors import AssayError, UnknownName
from ihcscore.segment.base import Segmenter
from ihcscore.segment.watershed import Watershed

SEGMENTERS: dict[str, Callable[..., Segmenter]] = {"watershed": Watershed}


def load_segmenter(name: str, parameters: Mapping[str, float] | None = None) -> Segmenter:
    """Make a segmenter.

    Parameters
    ----------
    name : str
        One of `SEGMENTERS`.
    parameters : mapping of str to number, optional
        Values that differ from its own.

    Returns
    -------
    Segmenter

    Raises
    ------
    UnknownName
        If there is no segmenter of that name; never another one instead.
    AssayError
        If it has no such parameter, or a value is out of range.

    Examples
    --------
    >>> load_segmenter("watershed").mpp
    0.5
    """
    if name not in SEGMENTERS:
        raise UnknownName("segmenter", name, sorted(SEGMENTERS))
    fixed = sorted({"name", "version"} & set(parameters or {}))
    if fixed:
        raise AssayError("segmenter_parameters", [f"{name}: {', '.join(fixed)} cannot be set"])
    try:
        return SEGMENTERS[name](**dict(parameters or {}))
    except (TypeError, ValueError) as error:
        raise AssayError("segmenter_parameters", [f"{name}: {error}"]) from None


def describe(segmenter: Segmenter) -> dict[str, Any]:
    """Give a segmenter's name, version and parameters for a result's provenance."""
    described: dict[str, Any] = {"name": segmenter.name, "version": segmenter.version}
    if dataclasses.is_dataclass(segmenter):
        plain = (int, float, str, bool)
        values = {f.name: getattr(segmenter, f.name) for f in dataclasses.fields(segmenter)}
        described["parameters"] = {
            key: v for key, v in values.items() if isinstance(v, plain) and key not in ("name", "version")
        }
    return described
