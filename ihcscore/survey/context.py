"""What is settled once for a slide, an image or a group of tiles, before any cell is measured."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.assays.assay import DARKEST_BACKGROUND, Assay
from ihcscore.errors import IhcscoreError
from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.slides.opening import SMALL_PIXELS
from ihcscore.stains.background import FALLBACK, Glass, find_glass
from ihcscore.stains.density import ends
from ihcscore.stains.estimate import DOUBT, ESTIMATED, StainEstimate, estimate_stains
from ihcscore.stains.plane import Plane, find_plane
from ihcscore.stains.texture import PATCH_PX, TEXTURE, describe
from ihcscore.stains.vectors import StainMatrix
from ihcscore.survey.tissue import PEN, TISSUE, UNSCANNED, TissueMap, coarse_image, map_tissue, slide_size_um

SAMPLE_PIXELS = 100_000
PATCHES = 64
"""Places of the tissue of each image that are looked at closely."""
TRIED = 4
"""So many times as many are read at most to find them."""
MOST_PATCHES = 192
"""Places that the stains of a group are estimated from, or one of each image if it has more images."""
STAINED_LIGHT, STAINED_SHARE = 195, 0.15
"""A patch is tissue if a larger share of its pixels is darker than this, in one channel."""
NO_GLASS = "no glass found, so the background is 255: give --background R,G,B or group it with tiles with glass"
NOT_ESTIMATED = "stains not estimated"
OF_ESTIMATE = (NOT_ESTIMATED, DOUBT)
"""What stands in warnings that are about an estimate, and go when other vectors take its patch."""
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
    plane : tuple of 4 float, optional
        Where the stained colours lie, as they are and not as `stains` has them (`ihcscore.stains.plane`); None where
        they do not look like two stains, and until it is settled.
    texture : tuple of float, optional
        How dense and how sharp the DAB's lines and grains are, as `ihcscore.stains.texture.describe` says; None until
        it is settled. Both are an image's own, whatever it shares with others.
    """

    background: tuple[float, float, float]
    background_origin: str
    stains: StainMatrix
    stains_origin: str
    appearance: str = ""
    warnings: tuple[str, ...] = ()
    plane: Plane | None = None
    texture: tuple[float, ...] | None = None

    @property
    def light(self) -> tuple[tuple[float, float, float], StainMatrix]:
        """Background and vectors: what densities mean, and what images of a group share."""
        return self.background, self.stains

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
            tuple(str(text) for text in _texts(data.get("warnings", ()))),
            _plane(data.get("plane")),
            _texture(data.get("texture")),
        )


def _texts(values: Any) -> Sequence[Any]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"warnings must be a list, found {values!r}")
    return values


def _plane(values: Any) -> Plane | None:
    if values is None:
        return None
    try:
        x, y, z, distance = (float(v) for v in (*values, 0.0)[: max(4, len(values))])  # until 0.15 it had no distance
    except (TypeError, ValueError):
        raise ValueError(f"plane must be four numbers, found {values!r}") from None
    return x, y, z, distance


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
        data = json.loads(path.read_text("utf-8-sig"))
        return SlideContext.from_dict(data.get("context", data))
    except OSError as error:
        raise IhcscoreError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise IhcscoreError(
            f"{path.name}: holds no background and stains ({error}); write one with 'ihcscore stains'"
        ) from error


@dataclass(frozen=True)
class ColorSample:
    """What one image adds to a context.

    Parameters
    ----------
    glass : Glass
        Its glass, if it has any and the background depends on it.
    pixels : ndarray of shape (1, n, 3), dtype uint8
        Pixels that its stains are estimated from.
    patches : tuple of ndarray of shape (M, N, 3), dtype uint8
        Small patches of its tissue, at the working pixel size.
    """

    glass: Glass
    pixels: NDArray[np.uint8]
    patches: tuple[NDArray[np.uint8], ...] = ()

    def thinned(self, images: int) -> "ColorSample":
        """Keep as few patches as one of so many images needs: groups of any size then take little memory and time."""
        if not self.patches:
            return self
        return _seen(self.glass, self.patches[: max(1, MOST_PATCHES // images)])


@dataclass(frozen=True)
class SlideSurvey:
    """What the first pass sees of a slide.

    Parameters
    ----------
    sample : ColorSample
        What it adds to a context.
    tissue : TissueMap
        Where it has tissue.
    coarse : ndarray of shape (M, N, 3), dtype uint8
        The slide at the pixel size of `tissue`.
    """

    sample: "ColorSample"
    tissue: TissueMap
    coarse: NDArray[np.uint8]


def survey_slide(slide: Slide, assay: Assay) -> SlideSurvey:
    """Look at a slide as a whole: its glass, its tissue, a sample of its pixels.

    Parameters
    ----------
    slide : Slide
    assay : Assay
        Its rule for the background.

    Returns
    -------
    SlideSurvey
        Up to 64 patches of its tissue are read at the working pixel size. The glass of an image in memory, or of up to
        16 megapixels, is looked for in all its pixels, that of other slides in their coarse image.
    """
    coarse, um = coarse_image(slide)
    width, height = slide.dimensions
    if isinstance(slide, ArraySlide):
        glass = find_glass(slide.rgb)
    elif width * height <= SMALL_PIXELS:  # as of an array, whatever the file is
        glass = find_glass(slide.read_level(0, (0, 0, height, width)))
    else:
        glass = _glass_of(coarse)
    tissue = map_tissue(coarse, um, glass.background or UNKNOWN_GLASS, slide_size_um(slide))
    wanted = glass if assay.background == "auto" else Glass(None, 0.0)
    return SlideSurvey(_seen(wanted, tuple(_places(slide, tissue))), tissue, coarse)


def _seen(glass: Glass, patches: tuple[NDArray[np.uint8], ...]) -> ColorSample:
    pixels = np.concatenate([patch.reshape(-1, 3) for patch in patches]) if patches else np.zeros((0, 3), np.uint8)
    return ColorSample(glass, pixels[None, :: -(-len(pixels) // SAMPLE_PIXELS) or 1], patches)


def _glass_of(coarse: NDArray[np.uint8]) -> Glass:
    """Find the glass of a slide; what the scanner left out is pure white, and counts only where nothing else does."""
    scanned = coarse.copy()
    scanned[ends(coarse)[0] == 255] = 0
    found = find_glass(scanned)
    return found if found.background is not None else find_glass(coarse)


def _places(slide: Slide, tissue: TissueMap) -> list[NDArray[np.uint8]]:
    """Read small patches of the tissue at the working pixel size: the first that are stained, in an order of their own.

    The order is by chance, but the same for all slides, and whether a patch is stained is told from its own pixels: the
    coarse image, which a file's pyramid decides, only spares looking at glass.
    """
    frame = frame_for(*slide.dimensions, mpp=slide.mpp)
    image = WorkingImage(slide, frame)
    rows, cols = (np.arange(0, max(1, length - PATCH_PX + 1), PATCH_PX) for length in frame.shape)
    boxes = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2)
    order = np.argsort(_rank(boxes // PATCH_PX), kind="stable")
    squares = boxes * np.float64(frame.working_mpp), PATCH_PX * frame.working_mpp
    likely = tissue.any_in(*squares, TISSUE) & ~tissue.any_in(*squares, PEN, UNSCANNED)
    chosen = boxes[order][likely[order]] if likely.any() else boxes[order]
    kept, left = list[NDArray[np.uint8]](), list[NDArray[np.uint8]]()
    for y, x in chosen[: TRIED * PATCHES].tolist():
        patch = image.read((y, x, min(y + PATCH_PX, frame.shape[0]), min(x + PATCH_PX, frame.shape[1])))
        stained = (ends(patch)[0] < STAINED_LIGHT).mean() > STAINED_SHARE
        (kept if stained else left).append(patch)
        if len(kept) == PATCHES:
            break
    return kept or left[:PATCHES]


def _rank(patches: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Mix the bits of rows and columns, shape (n, 2), as SplitMix64 does [1]_.

    References
    ----------
    .. [1] Steele, Lea, Flood, OOPSLA 2014, 453-472.
    """
    z = (patches[:, 0].astype(np.uint64) << np.uint64(32)) + patches[:, 1].astype(np.uint64)
    z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def sample_colors(rgb: NDArray[np.uint8], assay: Assay) -> ColorSample:
    """Look at an image for its background and stains, wherever its tissue is.

    Parameters
    ----------
    rgb : ndarray of shape (M, N, 3), dtype uint8
        Not modified.
    assay : Assay
        Its rule for the background.

    Returns
    -------
    ColorSample
        Without patches.
    """
    step = max(1, rgb.shape[0] * rgb.shape[1] // SAMPLE_PIXELS)
    while np.gcd(step, rgb.shape[1]) > 1:  # else only some columns would be sampled
        step += 1
    wanted = find_glass(rgb) if assay.background == "auto" else Glass(None, 0.0)
    return ColorSample(wanted, rgb.reshape(-1, 3)[::step][None].copy())


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
    background, origin, notes = _settle_background([each.glass for each in samples], assay.background)
    estimate = estimate_stains(np.concatenate([each.pixels for each in samples], axis=1), background)
    stains, stains_origin, more = _settle_stains(estimate, assay.stains)
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
        Without a plane where its colours do not look like H-DAB.
    """
    texture = describe(sample.patches, *context.light) if sample.patches else None
    looks_like = estimate_stains(sample.pixels, context.background).status if shared else context.appearance
    plane = find_plane(sample.pixels, context.background) if looks_like == ESTIMATED else None
    return replace(context, texture=texture, plane=plane)


def _settle_background(
    glasses: Sequence[Glass], rule: str | tuple[float, float, float]
) -> tuple[tuple[float, float, float], str, list[str]]:
    """Give the background by rule, its origin and warnings; several images count by their share of glass."""
    if not isinstance(rule, str):
        return rule, "given", []
    found = [glass for glass in glasses if glass.background is not None]
    if not found:
        return FALLBACK, "fallback: no glass found", [NO_GLASS]
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
        return estimate.stains, f"estimated: {estimate.reason}", [*notes, *filter(None, [estimate.doubt])]
    reason = f"{estimate.status}: {estimate.reason}"
    return StainMatrix(), f"fallback to default: {reason}", [*notes, f"{NOT_ESTIMATED} ({reason})"]
