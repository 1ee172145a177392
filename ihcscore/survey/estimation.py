"""Estimate background and stain vectors from samples of one or several images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ihcscore.assays.assay import Assay
from ihcscore.stains.background import FALLBACK, Glass
from ihcscore.stains.estimate import ESTIMATED, StainEstimate, estimate_stains
from ihcscore.stains.plane import find_plane
from ihcscore.stains.texture import describe
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.context import DEFAULT_STAINS, NO_GLASS, NOT_ESTIMATED, SlideContext
from ihcscore.survey.slide_survey import ColorSample


def estimate_context(samples: Sequence[ColorSample], assay: Assay) -> SlideContext:
    """Settle background and stain vectors for images that belong together.

    Parameters
    ----------
    samples : sequence of ColorSample
        Of one image, or of the tiles of a slide or case.
    assay : Assay
        Its rules for background and stains.

    Returns
    -------
    SlideContext
        Where "auto" finds no glass, the background is 255; where "estimate" finds no two stains, the vectors are those
        of Ruifrok and Johnston: both are recorded with the reason and warned of.
    """
    background, origin, notes = _choose_background([each.glass for each in samples], assay.background)
    estimate = estimate_stains(np.concatenate([each.pixels for each in samples], axis=1), background)
    stains, stains_origin, more = _choose_stains(estimate, assay.stains)
    return SlideContext(background, origin, stains, stains_origin, estimate.status, (*notes, *more))


def complete_context(sample: ColorSample, context: SlideContext, *, shared: bool = True) -> SlideContext:
    """Add to a context what is an image's own: its texture, and the plane of its stains.

    Parameters
    ----------
    sample : ColorSample
        Of the image.
    context : SlideContext
        Its own, or one that it shares with others, whose texture, plane and appearance do not count.
    shared : bool
        Whether it is.

    Returns
    -------
    SlideContext
        Without a plane where its colors do not look like H-DAB.
    """
    texture = describe(sample.patches, *context.light) if sample.patches else None
    looks_like = estimate_stains(sample.pixels, context.background).status if shared else context.appearance
    plane = find_plane(sample.pixels, context.background) if looks_like == ESTIMATED else None
    return replace(context, texture=texture, plane=plane)


def _choose_background(
    glasses: Sequence[Glass], rule: str | tuple[float, float, float]
) -> tuple[tuple[float, float, float], str, list[str]]:
    """Choose the background by rule; return it, its origin and warnings. Images weigh by their share of glass."""
    if not isinstance(rule, str):
        return rule, "given", []
    found = [glass for glass in glasses if glass.background is not None]
    if not found:
        return FALLBACK, "fallback: no glass found", [NO_GLASS]
    weights = np.array([glass.share for glass in found])
    values = np.array([glass.background for glass in found])
    red, green, blue = (round(float(v), 1) for v in weights @ values / weights.sum())
    return (red, green, blue), f"glass on {weights.sum() / len(glasses):.1%} of the pixels", []


def _choose_stains(estimate: StainEstimate, rule: str | StainMatrix) -> tuple[StainMatrix, str, list[str]]:
    notes = [] if estimate.looks_like_hdab else [f"does not look like H-DAB: {estimate.reason}"]
    if isinstance(rule, StainMatrix):
        return rule, "given", notes
    if rule == "default":
        return StainMatrix(), DEFAULT_STAINS, notes
    if estimate.stains is not None:
        return estimate.stains, f"estimated: {estimate.reason}", [*notes, *filter(None, [estimate.doubt])]
    reason = f"{estimate.status}: {estimate.reason}"
    return StainMatrix(), f"fallback to default: {reason}", [*notes, f"{NOT_ESTIMATED} ({reason})"]
