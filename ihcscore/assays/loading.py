"""Read assays from presets, TOML files and results, and write them as TOML with an explanation of each value."""

import textwrap
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import Assay, field_specs
from ihcscore.assays.compound_fields import fits_compartment
from ihcscore.errors import AssayError, UnknownName
from ihcscore.formulas.registry import SCORES

FALLBACK = ["h_score"]
"""Scores of a recorded assay of which none is left."""
LINE = 110
"""Longest line of a comment."""


def assay_from_dict(data: Mapping[str, Any]) -> Assay:
    """Make an assay from plain values, as `Assay.to_dict` returns and a TOML file holds them.

    Raises AssayError if there are unknown fields or values that do not make sense; it lists all problems.

    Parameters
    ----------
    data : mapping
        Fields of `Assay`; those left out have the defaults of `generic-nuclear`.

    Examples
    --------
    >>> assay_from_dict({"name": "mine", "thresholds": [0.1, 0.2, 0.4]}).thresholds
    (0.1, 0.2, 0.4)
    """
    name, specs = str(data.get("name", "unnamed")), field_specs()
    problems = [f"unknown field '{key}'" for key in data if key not in specs]
    values: dict[str, Any] = {"name": name}
    for key in (key for key in data if key in specs):
        try:
            values[key] = specs[key].read(key, data[key])
        except ValueError as error:
            problems.append(str(error))
    try:
        assay = Assay(**values)
    except AssayError as error:
        raise AssayError(name, [*problems, *error.problems]) from None
    if problems:
        raise AssayError(name, problems)
    return assay


def recorded_assay(data: Mapping[str, Any]) -> Assay:
    """Read an assay from a result. Raises AssayError as `assay_from_dict`.

    Parameters
    ----------
    data : mapping
        What `Assay.to_record` returned; of an older result it may lack fields, which then have their defaults.

    Returns
    -------
    Assay
        Without scores of another compartment, which results before 0.20.0 may have.
    """
    if not isinstance(data.get("scores"), list):
        return assay_from_dict(data)
    compartment = data.get("compartment", ())
    names = [name for name in data["scores"] if name not in SCORES or fits_compartment(name, compartment)]
    return assay_from_dict({**data, "scores": names or FALLBACK})


def preset_names() -> tuple[str, ...]:
    """Return the names of the assays that come with the package."""
    folder = resources.files("ihcscore") / "assays"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_assay(source: str | Path | Assay) -> Assay:
    """Load a preset by name or an assay file by path.

    Parameters
    ----------
    source : str, Path or Assay
        Name of a preset, or a path that ends in ``.toml``. An assay is returned as it is.

    Returns
    -------
    Assay

    Raises
    ------
    UnknownName
        If there is no preset of that name.
    AssayError
        If the file is missing, is no TOML or its fields do not make sense.

    Examples
    --------
    >>> load_assay("generic-nuclear").compartment
    ('nucleus',)
    """
    if isinstance(source, Assay):
        return source
    path = Path(source)
    if path.suffix.lower() != ".toml":
        if str(source) not in preset_names():
            raise UnknownName("assay", str(source), [*preset_names(), "a path to a .toml file"])
        text = (resources.files("ihcscore") / "assays" / f"{source}.toml").read_text("utf-8")
        return assay_from_dict(tomllib.loads(text))
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise AssayError(path.name, [f"cannot be read: {error.__class__.__name__}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise AssayError(path.name, [f"is not TOML: {error}"]) from error
    try:
        return assay_from_dict(data)
    except AssayError as error:
        raise AssayError(path.name, error.problems) from None


def assay_toml(assay: Assay) -> str:
    """Return an assay as the text of a TOML file, with the meaning, unit and legal values of each field as comments."""
    import tomli_w

    values, lines, tables = assay.to_dict(), list[str](), list[str]()
    for name, spec in ((name, spec) for name, spec in field_specs().items() if name in values):
        value, unit = values[name], f", {spec.unit}" if spec.unit else ""
        about = textwrap.fill(f"{spec.meaning} ({spec.expected}{unit})", LINE)
        comment = textwrap.indent(about, "# ")
        if isinstance(value, list):  # on one line
            parts = (tomli_w.dumps({"": each}).partition("= ")[2].strip() for each in value)
            text = f"{name} = [{', '.join(parts)}]"
        else:
            text = tomli_w.dumps({name: value}).rstrip("\n")
        (tables if isinstance(value, dict) else lines).append(f"{comment}\n{text}\n")
    return "\n".join([*lines, *tables])
