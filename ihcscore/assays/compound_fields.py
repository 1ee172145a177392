"""Fields of an assay with rules of their own: compartments, thresholds, light, stains, scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from ihcscore.assays.fields import (
    FieldSpec,
    are_numbers,
    field,
    is_list_of,
    is_whole,
    split_commas,
    split_numbers,
    to_numbers,
    to_texts,
)
from ihcscore.formulas.registry import SCORES
from ihcscore.stains.background import DARKEST_BACKGROUND
from ihcscore.stains.vectors import StainMatrix

COMPARTMENT_NAMES = ("nucleus", "cytoplasm", "membrane", "cell")
STAIN_RULES = ("default", "estimate")
HIGHEST_OD = 3.0
"""Highest threshold: darker pixels hold no information in 8 bits."""


def compartment(default: tuple[str, ...], meaning: str) -> Any:
    """Return the field of the scored compartments."""
    expected = "a list of compartments, or a text such as 'membrane+cytoplasm'"

    def convert(value: Any) -> tuple[str, ...]:
        return tuple(value.split("+")) if isinstance(value, str) else to_texts(value)

    def problems(value: Any) -> list[str]:
        if not is_list_of(value, str):
            return [f"compartment: {expected}, found {value!r}"]
        unknown = [name for name in value if name not in COMPARTMENT_NAMES]
        if unknown:
            return [f"compartment '{name}': choose from {', '.join(COMPARTMENT_NAMES)}" for name in unknown]
        if not value or len(set(value)) < len(value):
            return ["compartment: one or several different ones"]
        if "cell" in value and len(value) > 1:
            return ["compartment: 'cell' holds the others already"]
        return []

    return field(default, FieldSpec(meaning, expected, lambda v: not problems(v), convert=convert, problems=problems))


def thresholds(default: tuple[float, float, float], meaning: str) -> Any:
    """Return the field of the three thresholds."""
    expected = "three optical densities"

    def problems(value: Any) -> list[str]:
        if not are_numbers(value, 3):
            return [f"thresholds: {expected}, found {value!r}"]
        if not 0 < value[0] < value[1] < value[2]:
            return [f"thresholds: must be positive and rise, found {', '.join(f'{t:g}' for t in value)}"]
        if value[2] > HIGHEST_OD:
            return [f"thresholds: optical densities (base 10) up to {HIGHEST_OD:g}, found {value[2]:g}"]
        return []

    spec = FieldSpec(
        meaning,
        f"{expected}, positive and rising, up to {HIGHEST_OD:g}",
        lambda value: not problems(value),
        "OD",
        to_numbers,
        split_numbers,
        problems,
    )
    return field(default, spec)


def background(default: tuple[float, float, float], meaning: str) -> Any:
    """Return the field of the light without tissue."""
    expected = f"'auto' or three numbers from {DARKEST_BACKGROUND} to 255"

    def accepts(value: Any) -> bool:
        if isinstance(value, str):
            return value == "auto"
        return are_numbers(value, 3) and all(DARKEST_BACKGROUND <= each <= 255 for each in value)

    def parse(given: str) -> Any:
        if given != "auto" and not any(letter.isdigit() for letter in given):
            raise ValueError(f"auto or three numbers R,G,B, found '{given}'")
        return given if given == "auto" else split_numbers(given)

    def convert(value: Any) -> Any:
        return value if isinstance(value, str) else to_numbers(value)

    return field(default, FieldSpec(meaning, expected, accepts, "gray levels", convert, parse))


def stains(default: str, meaning: str) -> Any:
    """Return the field of the stain vectors, or of the rule for them."""

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):
            return StainMatrix.from_dict(value)
        if not isinstance(value, str | StainMatrix):
            raise TypeError(value)
        return value

    def accepts(value: Any) -> bool:
        return isinstance(value, StainMatrix) or value in STAIN_RULES

    expected = "'default', 'estimate', or hematoxylin and dab with three numbers each"
    return field(default, FieldSpec(meaning, expected, accepts, convert=convert))


def scores(default: tuple[str, ...], meaning: str) -> Any:
    """Return the field of the scores."""
    expected = "one or several different ones"

    def problems(value: Any) -> list[str]:
        if not is_list_of(value, str) or not value or len(set(value)) < len(value):
            return [f"scores: {expected}, found {value!r}"]
        return [f"score '{name}': choose from {', '.join(SCORES)}" for name in value if name not in SCORES]

    spec = FieldSpec(
        meaning, f"names of scores, {expected}", lambda v: not problems(v), "", to_texts, split_commas, problems
    )
    return field(default, spec)


def minimum_cells(meaning: str) -> Any:
    """Return the field of the fewest cells of scores."""
    expected = "names of scores and whole numbers"

    def convert(value: Any) -> dict[str, int]:
        if not isinstance(value, Mapping) or not all(map(is_whole, value.values())):
            raise TypeError(value)
        return dict(value)

    def problems(value: Any) -> list[str]:
        if not isinstance(value, Mapping):
            return [f"minimum_cells: {expected}, found {value!r}"]
        found = [f"minimum_cells of '{name}': there is no such score" for name in value if name not in SCORES]
        few = [name for name, cells in value.items() if not is_whole(cells) or cells < 1]
        return found + [f"minimum_cells of '{name}': a whole number from 1" for name in few]

    return field({}, FieldSpec(meaning, expected, lambda v: not problems(v), "", convert, problems=problems))


def fits_compartment(score: str, compartment: Sequence[str]) -> bool:
    """Return whether a score is defined for a compartment."""
    own = SCORES[score].compartment
    return own is None or [*compartment] == [own]
