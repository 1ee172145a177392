"""The scores that an assay can name. To add one: a module with its `SCORES`, and its name in the list below."""

from collections.abc import Mapping

from ihcscore.errors import UnknownName
from ihcscore.formulas import allred, atm, her2, hscore, irs, ki67, mean_od, percent, quick, receptors, tps
from ihcscore.formulas.score import Score

_MODULES = (hscore, percent, atm, mean_od, allred, irs, quick, receptors, ki67, tps, her2)

SCORES: Mapping[str, Score] = {score.name: score for module in _MODULES for score in module.SCORES}
"""Every score by name, in the order of columns in tables."""


def score_named(name: str) -> Score:
    """Return a score by its name. Raises UnknownName if there is none; a Quick score needs its variant."""
    if name not in SCORES:
        raise UnknownName("score", name, [*SCORES])
    return SCORES[name]
