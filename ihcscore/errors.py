"""Errors of ihcscore.

One root, so that ``except IhcscoreError`` catches whatever the user's data or machine caused::

    IhcscoreError
    ├── InputError            a file that cannot be scored (path)
    │   ├── UnreadableImage      not an image, truncated, or of a kind that is not read
    │   ├── MissingPixelSize     no trustworthy pixel size, and none given
    │   ├── PixelSizeError       a pixel size outside what can be scored
    │   ├── EmptyImage           nothing in it to score
    │   └── DamagedResult        a file of a result that cannot be read
    ├── UnknownName           a named choice that does not exist (also KeyError)
    ├── WeightsError          a network that is missing, damaged or of another kind
    ├── MissingExtra          a package that an optional part needs (also ImportError)
    ├── AssayError            an assay whose fields do not make sense (also ValueError)
    ├── ResultMismatch        a result folder that belongs to other parameters or inputs
    └── OutputError           a place that cannot be written (also OSError)

A caller's programming mistake raises ``ValueError`` or ``TypeError`` instead.
"""

from collections.abc import Iterable
from pathlib import Path


class IhcscoreError(Exception):
    """Root of the errors that the user's data or machine cause."""


class InputError(IhcscoreError):
    """An input file cannot be scored.

    Parameters
    ----------
    path : str or Path
        The file, named in the message.
    problem : str
        What was found and what to do about it.
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{self.path.name}: {problem}")

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:
        return type(self), (self.path, self.problem)


class UnreadableImage(InputError):
    """The file is not an image, is truncated, or is of a kind that is not read."""


class MissingPixelSize(InputError):
    """The file states no trustworthy pixel size and none was given."""


class PixelSizeError(InputError, ValueError):
    """The pixel size is outside what can be scored."""


class DamagedResult(InputError):
    """A file of a result cannot be read; it is named with its folder, since its own name is that of many."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(path, problem)
        self.args = (f"{self.path.parent.name}/{self.path.name}: {problem}",)


class EmptyImage(InputError):
    """There is nothing in the image to score."""


class UnknownName(IhcscoreError, KeyError):
    """A named choice (assay, segmenter, ...) does not exist.

    Parameters
    ----------
    kind : str
        What was named, e.g. "segmenter".
    name : str
        The name that is not known.
    known : iterable of str
        The names that are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"unknown {kind} '{name}': choose from {', '.join(self.known)}")

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[type, tuple[str, str, tuple[str, ...]]]:
        return type(self), (self.kind, self.name, self.known)


class WeightsError(IhcscoreError):
    """A network's weights are missing, damaged, or not of the kind that is needed."""


class MissingExtra(IhcscoreError, ImportError):
    """A package that an optional part needs is not installed.

    Parameters
    ----------
    package : str
        What is missing.
    extra : str
        Extra of ihcscore that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{package} is not installed: pip install 'ihcscore[{extra}]', or {package} alone")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.package, self.extra)


class AssayError(IhcscoreError, ValueError):
    """An assay's fields do not make sense; `problems` lists every one of them."""

    def __init__(self, name: str, problems: Iterable[str]) -> None:
        self.name, self.problems = name, tuple(problems)
        super().__init__(f"assay '{name}': {'; '.join(self.problems)}")

    def __reduce__(self) -> tuple[type, tuple[str, tuple[str, ...]]]:
        return type(self), (self.name, self.problems)


class ResultMismatch(IhcscoreError):
    """A result folder belongs to other parameters or another input."""


class OutputError(IhcscoreError, OSError):
    """A result cannot be written."""
