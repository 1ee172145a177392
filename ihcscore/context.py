"""What is settled once for a slide, an image or a group of tiles, before any cell is measured."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.assay import DARKEST_BACKGROUND, Assay
from ihcscore.errors import IhcscoreError
from ihcscore.geometry import frame_for
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.working import WorkingImage
from ihcscore.stains.background import FALLBACK, Glass, find_glass
from ihcscore.stains.density import ends
from ihcscore.stains.estimate import StainEstimate, estimate_stains
from ihcscore.stains.texture import PLACE_PX, TEXTURE, describe
from ihcscore.stains.vectors import StainMatrix
from ihcscore.tissue import TISSUE, UNSCANNED, TissueMap, coarse_image, map_tissue

SAMPLE_PIXELS = 100_000
PLACES = 64
"""Places of the tissue of each image that are looked at closely."""
MOST_PLACES = 192
"""Places that the texture of a group is taken from, or one of each image if it has more images."""
UNKNOWN_GLASS = (245.0, 245.0, 245.0)
"""Where an image has no glass to tell its tissue from."""


@dataclass(frozen=True)
class SlideContext:
    """Background and stain vectors, and how they were obtained.

    Parameters
    ----------
    background : tuple of 3 float
        Light without tissue, I0.
    background_origin : str
        "given", "glass ..." or why the fallback was taken.
    stains : StainMatrix
        Stain vectors.
    stains_origin : str
        "default", "given", "estimated ..." or why the fallback was taken.
    appearance : str
        What the colours look like: the status of the stain estimate.
    warnings : tuple of str
        What the user should know.
    plane : tuple of 3 float, optional
        Normal of the plane in which the stained colours lie, as they are and not as `stains` has them; None where they
        do not look like two stains.
    texture : tuple of float, optional
        How dense and how sharp the DAB's lines and grains are, as `ihcscore.stains.texture.describe` says; None until
        it is settled, from the tissue of one image or of several that belong together.
    """

    background: tuple[float, float, float]
    background_origin: str
    stains: StainMatrix
    stains_origin: str
    appearance: str = ""
    warnings: tuple[str, ...] = ()
    plane: tuple[float, float, float] | None = None
    texture: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as plain values."""
        return {
            "background": list(self.background),
            "background_origin": self.background_origin,
            "stains": self.stains.to_dict(),
            "stains_origin": self.stains_origin,
            "appearance": self.appearance,
            "warnings": list(self.warnings),
            "plane": None if self.plane is None else list(self.plane),
            "texture": None if self.texture is None else list(self.texture),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SlideContext":
        """Read what `to_dict` gave.

        Raises
        ------
        ValueError
            If background or stains are missing or make no sense.
        """
        background = data.get("background")
        usable = isinstance(background, list | tuple) and len(background) == 3 and all(map(_is_light, background))
        if not usable or background is None:
            raise ValueError(f"background must be three numbers from {DARKEST_BACKGROUND} to 255, found {background!r}")
        red, green, blue = (float(v) for v in background)
        return cls(
            (red, green, blue),
            str(data.get("background_origin", "given")),
            StainMatrix.from_dict(data.get("stains", {})),
            str(data.get("stains_origin", "given")),
            str(data.get("appearance", "")),
            tuple(str(text) for text in data.get("warnings", ())),
            _plane(data.get("plane")),
            _texture(data.get("texture")),
        )


def _plane(values: Any) -> tuple[float, float, float] | None:
    if values is None:
        return None
    try:
        x, y, z = (float(v) for v in values)
    except (TypeError, ValueError):
        raise ValueError(f"plane must be three numbers, found {values!r}") from None
    return x, y, z


def _texture(values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        found = ()
    if len(found) != len(TEXTURE) or not all(map(math.isfinite, found)):
        wrong = f"found {values!r}: leave it out if it is of an earlier version"
        raise ValueError(f"texture must be {len(TEXTURE)} numbers, {wrong}")
    return found


def _is_light(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and DARKEST_BACKGROUND <= value <= 255


def load_context(path: str | Path) -> SlideContext:
    """Read a context from a file that `ihcscore stains` wrote, or from the summary.json of a result.

    Raises
    ------
    IhcscoreError
        If the file cannot be read or holds no context.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text("utf-8"))
        return SlideContext.from_dict(data.get("context", data))
    except OSError as error:
        raise IhcscoreError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise IhcscoreError(
            f"{path.name}: holds no background and stains ({error}); write one with 'ihcscore stains'"
        ) from error


@dataclass(frozen=True)
class Survey:
    """What one image adds to a context.

    Parameters
    ----------
    glass : Glass
        Its glass, if it has any and the background depends on it.
    pixels : ndarray of shape (1, n, 3), dtype uint8
        About 100,000 of its pixels, evenly spread.
    places : tuple of ndarray of shape (M, N, 3), dtype uint8
        Small places of its tissue, at the working pixel size.
    """

    glass: Glass
    pixels: NDArray[np.uint8]
    places: tuple[NDArray[np.uint8], ...] = ()

    def thinned(self, images: int) -> "Survey":
        """Keep as few places as one of so many images needs: groups of any size then take little memory and time."""
        if not self.places:
            return self
        chosen = np.linspace(0, len(self.places) - 1, max(1, MOST_PLACES // images)).astype(int)
        return replace(self, places=tuple(self.places[k] for k in np.unique(chosen)))


@dataclass(frozen=True)
class Look:
    """What the first pass sees of a slide.

    Parameters
    ----------
    survey : Survey
        What it adds to a context.
    tissue : TissueMap
        Where it has tissue.
    coarse : ndarray of shape (M, N, 3), dtype uint8
        The slide at the pixel size of `tissue`.
    """

    survey: "Survey"
    tissue: TissueMap
    coarse: NDArray[np.uint8]


def look_at(slide: Slide, assay: Assay) -> Look:
    """Look at a slide as a whole: its glass, its tissue, a sample of its pixels.

    Parameters
    ----------
    slide : Slide
    assay : Assay
        Its rule for the background.

    Returns
    -------
    Look
        Up to 64 places of its tissue are read at the working pixel size. For an image in memory, glass and sample are
        those of all its pixels; for a slide, of its coarse image and of those places.
    """
    coarse, um = coarse_image(slide)
    if isinstance(slide, ArraySlide):
        glass = find_glass(slide.rgb)
        tissue = map_tissue(coarse, um, glass.background or UNKNOWN_GLASS)
        seen = replace(survey(slide.rgb, assay, glass), places=_places(slide, tissue))
        return Look(seen, tissue, coarse)
    glass = _glass_of(coarse)
    tissue = map_tissue(coarse, um, glass.background or UNKNOWN_GLASS)
    wanted = glass if assay.background == "auto" else Glass(None, 0.0)
    places = _places(slide, tissue)
    pixels = np.concatenate([place.reshape(-1, 3) for place in places]) if places else np.zeros((0, 3), np.uint8)
    return Look(Survey(wanted, pixels[None], places), tissue, coarse)


def _glass_of(coarse: NDArray[np.uint8]) -> Glass:
    """Find the glass of a slide; what the scanner left out is pure white, and counts only where nothing else does."""
    scanned = coarse.copy()
    scanned[ends(coarse)[0] == 255] = 0
    found = find_glass(scanned)
    return found if found.background is not None else find_glass(coarse)


def _places(slide: Slide, tissue: TissueMap) -> tuple[NDArray[np.uint8], ...]:
    """Read small places of the tissue, evenly spread, at the working pixel size."""
    width, height = slide.dimensions
    frame = frame_for(width, height, mpp=slide.mpp)
    image = WorkingImage(slide, frame)
    rows, cols = np.nonzero(tissue.codes == TISSUE)
    if not len(rows):
        rows, cols = np.nonzero(tissue.codes != UNSCANNED)
    chosen = np.unique(np.linspace(0, len(rows) - 1, PLACES).astype(int))
    places = []
    for k in chosen.tolist() if len(rows) else ():
        y, x = (int((at + 0.5) * tissue.um / frame.working_mpp) for at in (rows[k], cols[k]))
        y0, x0 = (max(0, min(at - PLACE_PX // 2, s - PLACE_PX)) for at, s in zip((y, x), frame.shape, strict=True))
        y1, x1 = min(y0 + PLACE_PX, frame.shape[0]), min(x0 + PLACE_PX, frame.shape[1])
        places.append(image.read((y0, x0, y1, x1)))
    return tuple(places)


def survey(rgb: NDArray[np.uint8], assay: Assay, glass: Glass | None = None) -> Survey:
    """Look at an image for its context.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    assay : Assay
        Its rule for the background.
    glass : Glass, optional
        What `find_glass` found in it before.

    Returns
    -------
    Survey
    """
    step = max(1, rgb.shape[0] * rgb.shape[1] // SAMPLE_PIXELS)
    while np.gcd(step, rgb.shape[1]) > 1:  # else only some columns would be sampled
        step += 1
    wanted = glass or find_glass(rgb) if assay.background == "auto" else Glass(None, 0.0)
    return Survey(wanted, rgb.reshape(-1, 3)[::step][None].copy())


def settle_context(surveys: Sequence[Survey], assay: Assay) -> SlideContext:
    """Settle background and stain vectors for images that belong together.

    Parameters
    ----------
    surveys : sequence of Survey
        Of one image, or of the tiles of a slide or case.
    assay : Assay
        Its rules for background and stains.

    Returns
    -------
    SlideContext
        Where "auto" finds no glass, the background is 255; where "estimate" finds no two stains, the vectors are those
        of Ruifrok and Johnston: both are recorded with the reason and warned of.
    """
    background, origin, notes = _settle_background([each.glass for each in surveys], assay.background)
    estimate = estimate_stains(np.concatenate([each.pixels for each in surveys], axis=1), background)
    stains, stains_origin, more = _settle_stains(estimate, assay.stains)
    context = SlideContext(background, origin, stains, stains_origin, estimate.status, (*notes, *more), estimate.plane)
    return with_texture(context, surveys)


def with_texture(context: SlideContext, surveys: Sequence[Survey]) -> SlideContext:
    """Add the texture of the stain to a context that lacks it.

    Parameters
    ----------
    context : SlideContext
    surveys : sequence of Survey
        Of one image, or of those that share the context, in any order.

    Returns
    -------
    SlideContext
        `context` itself if it has a texture or if there is no place to look at.
    """
    places = [place for each in surveys for place in each.places]
    if context.texture is not None or not places:
        return context
    places.sort(key=lambda place: place.tobytes())  # sums of floats depend on the order
    return replace(context, texture=describe(places, context.background, context.stains))


def _settle_background(
    glasses: Sequence[Glass], rule: str | tuple[float, float, float]
) -> tuple[tuple[float, float, float], str, list[str]]:
    """Give the background by rule, its origin and warnings; several images count by their share of glass."""
    if not isinstance(rule, str):
        return rule, "given", []
    found = [glass for glass in glasses if glass.background is not None]
    if not found:
        message = "no glass found, so the background is 255: give --background R,G,B or group it with tiles with glass"
        return FALLBACK, "fallback: no glass found", [message]
    weights = np.array([glass.share for glass in found])
    values = np.array([glass.background for glass in found])
    red, green, blue = (round(float(v), 1) for v in weights @ values / weights.sum())
    return (red, green, blue), f"glass on {weights.sum() / len(glasses):.1%} of the pixels", []


def _settle_stains(estimate: StainEstimate, rule: str | StainMatrix) -> tuple[StainMatrix, str, list[str]]:
    notes = [] if estimate.looks_like_hdab else [f"does not look like H-DAB: {estimate.reason}"]
    if isinstance(rule, StainMatrix):
        return rule, "given", notes
    if rule == "default":
        return StainMatrix(), "default: Ruifrok & Johnston 2001", notes
    if estimate.stains is not None:
        return estimate.stains, f"estimated: {estimate.reason}", notes
    reason = f"{estimate.status}: {estimate.reason}"
    return StainMatrix(), f"fallback to default: {reason}", [*notes, f"stains not estimated ({reason})"]
