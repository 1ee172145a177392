"""Look at a slide as a whole: its glass, its tissue, and samples of its pixels to estimate stains from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.slides.opening import SMALL_PIXELS
from ihcscore.stains.background import Glass, find_glass
from ihcscore.stains.density import ends
from ihcscore.stains.texture import PATCH_PX
from ihcscore.survey.tissue import PEN, TISSUE, UNSCANNED, TissueMap, coarse_image, map_tissue, slide_size_um

SAMPLE_PIXELS = 100_000
PATCHES = 64
"""Patches of tissue that are read of each image at the working pixel size."""
TRIED = 4
"""At most so many times as many patches are read to find them."""
MOST_PATCHES = 192
"""Patches that the stains of a group are estimated from, or one of each image if it has more images."""
STAINED_LIGHT, STAINED_SHARE = 195, 0.15
"""A patch is tissue if a larger share of its pixels is darker than this in one channel."""
UNKNOWN_GLASS = (245.0, 245.0, 245.0)
"""Glass assumed for the segmentation of tissue where an image shows none."""


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

    The order is random, but the same for all slides, and whether a patch is stained depends on its own pixels: the
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
