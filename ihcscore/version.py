"""The version of the package, and those of the steps that decide its numbers."""

__version__ = "0.21.0"

STEPS = {
    "survey": 1,
    "segmentation": 1,
    "measurement": 1,
    "membranes": 1,
    "scoring": 1,
}
"""Raise the version of a step whenever the same input gives other numbers: results record it, and a result is completed
or repeated by another release of the package as long as all of its steps are the same."""

STEPS_BEFORE = {"0.20.0": dict.fromkeys(STEPS, 1)}
"""Of releases that did not record them."""


def recorded_steps(summary: dict[str, object]) -> dict[str, object]:
    """Return the versions of the steps that a result was made with; empty if not known."""
    steps = summary.get("steps", STEPS_BEFORE.get(str(summary.get("ihcscore"))))
    return dict(steps) if isinstance(steps, dict) else {}
