"""What a field of an assay is: its type, limits, unit and meaning, in one place.

Validation, the command line, assay files, `ihcscore assays` and the documentation read them from here.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SPEC = "spec"


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class FieldSpec:
    """Type, limits, unit and meaning of a field.

    Parameters
    ----------
    meaning : str
        For people.
    expected : str
        Legal values in words, such as "a number from 0 to 50".
    accepts : callable
        Returns whether a value is of the right type and within its limits.
    convert : callable
        Converts a legal plain value (from TOML or JSON) to that of the field.
    parse : callable, optional
        Converts the text of a command-line option to a plain value; raises ValueError.
    problems : callable, optional
        Returns problems of a value in words, where `expected` alone does not say enough.
    measured : bool
        Decides what is measured; other fields can change afterwards, from the cell table alone.
    of_input : bool
        Belongs to the images, not to the marker.
    """

    meaning: str
    expected: str
    accepts: Callable[[Any], bool]
    unit: str = ""
    convert: Callable[[Any], Any] = _as_it_is
    parse: Callable[[str], Any] = _as_it_is
    problems: Callable[[Any], list[str]] | None = None
    measured: bool = False
    of_input: bool = False

    def problems_of(self, name: str, value: Any) -> list[str]:
        """List what is wrong with a value, each problem naming the field."""
        if self.problems is not None:
            return self.problems(value)
        return [] if self.accepts(value) else [f"{name}: {self.expected}, found {value!r}"]

    def read(self, name: str, value: Any) -> Any:
        """Convert a plain value to that of the field.

        Raises ValueError if it is of another type, or a part of it does not fit.
        """
        try:
            return self.convert(value)
        except TypeError:
            raise ValueError(f"{name}: {self.expected}, found {value!r}") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def field(default: Any, spec: FieldSpec) -> Any:
    """Return a dataclass field that carries its specification; mappings get a new one for each assay."""
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={SPEC: spec})
    return dataclasses.field(default=default, metadata={SPEC: spec})


def text(default: str | None, meaning: str, *, choices: Sequence[str] = (), **more: Any) -> Any:
    """Return a field for a text, or for one of some choices; one whose default is None may be left out."""
    expected = f"choose {' or '.join(choices) if len(choices) == 2 else 'from ' + ', '.join(choices)}"

    def accepts(value: Any) -> bool:
        return (value is None and default is None) or (isinstance(value, str) and value in (choices or (value,)))

    spec = FieldSpec(meaning, expected if choices else "a text", accepts, convert=_of_type(str), **more)
    return field(default, spec)


def flag(default: bool, meaning: str, **more: Any) -> Any:
    """Return a field for true or false."""
    spec = FieldSpec(meaning, "true or false", lambda value: isinstance(value, bool), convert=_of_type(bool), **more)
    return field(default, spec)


def whole(default: int, meaning: str) -> Any:
    """Return a field for a whole number."""
    return field(default, FieldSpec(meaning, "a whole number", is_whole, convert=_if(is_whole, int)))


def number(
    default: float | None, low: float, high: float, unit: str, meaning: str, *, above: bool = False, **more: Any
) -> Any:
    """Return a field for a number from `low` to `high`, or above `low`; one whose default is None may be left out."""
    limits = f"{'above' if above else 'from'} {low:g}" + (f" to {high:g}" if math.isfinite(high) else "")

    def accepts(value: Any) -> bool:
        if value is None:
            return default is None
        return is_number(value) and low <= value <= high and not (above and value == low)

    spec = FieldSpec(meaning, f"a number {limits}", accepts, unit, _if(is_number, float), **more)
    return field(default, spec)


def texts(default: tuple[str, ...], meaning: str, expected: str) -> Any:
    """Return a field for a list of texts."""
    spec = FieldSpec(meaning, expected, lambda value: is_list_of(value, str), convert=to_texts, parse=split_commas)
    return field(default, spec)


def mapping(accepts: Callable[[Any], bool], expected: str, meaning: str, **more: Any) -> Any:
    """Return a field for names and values; `accepts` checks each value."""

    def fits(value: Any) -> bool:
        return isinstance(value, Mapping) and all(map(accepts, value.values()))

    return field({}, FieldSpec(meaning, expected, fits, convert=_if(fits, dict), **more))


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, not a truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_list_of(values: Any, kind: type) -> bool:
    """Return whether a value is a list or tuple of values of a type."""
    return isinstance(values, list | tuple) and all(isinstance(value, kind) for value in values)


def are_numbers(values: Any, count: int) -> bool:
    """Return whether a value is a list or tuple of so many numbers."""
    return isinstance(values, tuple | list) and len(values) == count and all(map(is_number, values))


def to_numbers(value: Any) -> tuple[float, ...]:
    """Convert a list of numbers to a tuple; TypeError for anything else."""
    if not isinstance(value, list | tuple) or not all(map(is_number, value)):
        raise TypeError(value)
    return tuple(float(each) for each in value)


def to_texts(value: Any) -> tuple[str, ...]:
    """Convert a list of texts to a tuple; TypeError for anything else."""
    if not is_list_of(value, str):
        raise TypeError(value)
    return tuple(value)


def split_commas(given: str) -> list[str]:
    """Split the text of an option at its commas."""
    return [part.strip() for part in given.split(",")]


def split_numbers(given: str) -> list[float]:
    """Read the text of an option as numbers separated by commas. Raises ValueError if one is no number."""
    try:
        return [float(part) for part in given.split(",")]
    except ValueError:
        raise ValueError(f"expected numbers separated by commas, found '{given}'") from None


def _of_type(kind: type) -> Callable[[Any], Any]:
    return _if(lambda value: isinstance(value, kind), _as_it_is)


def _if(accepts: Callable[[Any], bool], convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not accepts(value):
            raise TypeError(value)
        return convert(value)

    return checked
