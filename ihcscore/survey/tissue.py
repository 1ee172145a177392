"""Segmentation of a slide's overview: tissue, glass, pen and unscanned areas."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ihcscore.geometry import frame_for
from ihcscore.io.resampling import WorkingImage
from ihcscore.io.slides.base import Slide
from ihcscore.stains.density import BLACK_LIGHT, ends, optical_density

GLASS, TISSUE, PEN, UNSCANNED = 0, 1, 2, 3
NAMES = ("glass", "tissue", "pen", "unscanned")

COARSE_UM = 8.0
"""Size of a pixel of the map: about a nucleus."""

FAINT_OD = 0.04
"""Tissue absorbs more than this in its strongest channel; glass is even to 0.012."""
TINT_OD = 0.01
"""Tissue is tinted: channels of its optical density differ by more; dust and coverslip edges are gray."""
DARK_OD = 0.25
"""What absorbs more than this in its clearest channel is tissue or pen even where it is gray."""
GAP_UM = 48.0
"""Gaps in tissue that are narrower than this, such as pale stroma between nuclei, belong to it."""
SMALLEST_TISSUE_UM2 = 100.0
"""Smaller specks, of one pixel, are noise."""

PEN_OD = 0.25
"""Ink absorbs more than this, in its strongest channel."""
BLUE_INK = 1.9
"""Ink that absorbs this many times more red than green is blue or green: hematoxylin reaches 1.3."""
RED_INK = 0.2
"""Ink that absorbs less than this times as much red as green is red: DAB reaches 0.35."""
BLACK_OD = 1.2
"""Black ink lets less than a fifteenth of every color through, ..."""
EVEN_OD = 0.12
"""... and evenly: its optical density varies by no more between neighboring pixels."""
SMALLEST_PEN_UM2 = 40_000.0
"""A stroke of a pen is half a millimetre wide and longer; what is smaller is pigment, debris or dense stain."""

SMALLEST_BLACK_UM2 = 2_500.0
"""Black areas down to this size were not scanned, or hold nothing that can be measured."""

WHITE_GLASS = 254
"""Where the glass is darker than this, pure white is none of it."""


@dataclass(frozen=True)
class TissueMap:
    """What each coarse pixel of a slide is.

    Parameters
    ----------
    codes : ndarray of shape (M, N), dtype uint8
        `GLASS`, `TISSUE`, `PEN` or `UNSCANNED`.
    um : float
        Side of a pixel.
    size_um : tuple of float, optional
        Height and width of the slide. What is left beyond the last row and column is as they are; without it, nothing
        is.
    """

    codes: NDArray[np.uint8]
    um: float
    size_um: tuple[float, float] | None = None

    def at(self, xy_um: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the codes at positions (x, y) in um from the slide's origin, shape (n, 2)."""
        rows, cols = self.codes.shape
        at = np.floor(np.asarray(xy_um) / self.um).astype(np.int64)
        return np.asarray(self.codes[at[:, 1].clip(0, rows - 1), at[:, 0].clip(0, cols - 1)])

    def has_tissue(self, box_um: tuple[float, float, float, float]) -> bool:
        """Return whether there is tissue in a box ``(y0, x0, y1, x1)`` in um."""
        return bool((self._part(box_um) == TISSUE).any())

    def any_in(self, corners_um: NDArray[np.float64], side_um: float, *codes: int) -> NDArray[np.bool_]:
        """Return which squares hold one of some codes, by first corner (y, x) in um, shape (n, 2), and side."""
        last = np.array(self.codes.shape)
        start = np.minimum(np.floor(corners_um / self.um).astype(np.int64), last - 1)
        stop = np.minimum(np.ceil((corners_um + side_um) / self.um).astype(np.int64), last)
        summed = cv2.integral(np.isin(self.codes, codes).view(np.uint8))
        (top, left), (bottom, right) = start.T, stop.T
        return np.asarray(summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left] > 0)

    def shares(self, box_um: tuple[float, float, float, float]) -> dict[str, float]:
        """Return the share of each code in a box in um."""
        counts = np.bincount(self._part(box_um).ravel(), minlength=len(NAMES))
        return {name: float(n) / max(1, counts.sum()) for name, n in zip(NAMES, counts.tolist(), strict=True)}

    def area_mm2(self, code: int) -> float:
        """Return the area of a code; those of all codes add up to the slide's."""
        found = self.codes == code
        last_height, last_width = self._last_um
        widths = found[:, :-1].sum(axis=1) * self.um + found[:, -1] * last_width
        return float(widths[:-1].sum() * self.um + widths[-1] * last_height) / 1e6

    @property
    def _last_um(self) -> tuple[float, float]:
        """Height of the last row and width of the last column, to the slide's edges."""
        if self.size_um is None:
            return self.um, self.um
        rows, cols = self.codes.shape
        height, width = self.size_um
        return height - (rows - 1) * self.um, width - (cols - 1) * self.um

    def _part(self, box_um: tuple[float, float, float, float]) -> NDArray[np.uint8]:
        y0, x0 = (int(v // self.um) for v in box_um[:2])
        y1, x1 = (int(np.ceil(v / self.um)) for v in box_um[2:])
        return self.codes[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]

    def outside_at(self, xy_um: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which positions lie on pen or unscanned areas: cells there are not scored."""
        return np.asarray(self.at(xy_um) >= PEN)


def coarse_image(slide: Slide) -> tuple[NDArray[np.uint8], float]:
    """Read a slide at about 8 um per pixel; return it and the pixel size in um.

    The slide is read once, in bands, from its best level. What does not fill a pixel at the far edges is left out.
    """
    width, height = slide.dimensions
    frame = frame_for(width, height, mpp=slide.mpp, working_mpp=COARSE_UM)
    rows, cols = frame.shape
    return WorkingImage(slide, frame).read((0, 0, rows, cols)), frame.working_mpp


def slide_size_um(slide: Slide) -> tuple[float, float]:
    """Return the height and width of a slide in um."""
    width, height = slide.dimensions
    return height * slide.mpp, width * slide.mpp


def map_tissue(
    coarse: NDArray[np.uint8], um: float, glass: ArrayLike, size_um: tuple[float, float] | None = None
) -> TissueMap:
    """Segment tissue, glass, pen and unscanned areas.

    Parameters
    ----------
    coarse : ndarray of shape (M, N, 3), dtype uint8
        The slide at about 8 um per pixel. Not modified.
    um : float
        Size of a pixel.
    glass : array_like of shape (3,)
        Light without tissue, as it is on this slide.
    size_um : tuple of float, optional
        Height and width of the slide, of which whole pixels may leave a rest; its areas count that, too.

    Returns
    -------
    TissueMap
        Each pixel's code depends on its surroundings and on `glass` only, so a crop has the codes of the slide. What
        is tinted or dark is tissue unless it is small, ink, or black; in doubt it is tissue.
    """
    od = optical_density(coarse, glass, clip=True)
    smooth = np.asarray(cv2.blur(od, (3, 3)), np.float32)
    seen = _stained(smooth, 1) | _stained(od, 2)
    tissue = _larger(_closed(seen, GAP_UM / um), SMALLEST_TISSUE_UM2 / um**2)
    codes = np.where(tissue, TISSUE, GLASS).astype(np.uint8)
    codes[_larger(_ink(smooth, od), SMALLEST_PEN_UM2 / um**2)] = PEN
    darkest, brightest = ends(coarse)
    codes[_larger(brightest <= BLACK_LIGHT, SMALLEST_BLACK_UM2 / um**2)] = UNSCANNED
    if np.max(glass) < WHITE_GLASS:
        codes[_larger(darkest == 255, SMALLEST_PEN_UM2 / um**2)] = UNSCANNED
    return TissueMap(codes, um, size_um)


def _stained(od: NDArray[np.float32], times: float) -> NDArray[np.bool_]:
    """Return the mask of what absorbs with a tint, or strongly; `times` scales the limits."""
    clearest, strongest = ends(od)
    tinted = strongest - clearest > times * TINT_OD
    return np.asarray(((strongest > times * FAINT_OD) & tinted) | (clearest > DARK_OD))


def _ink(od: NDArray[np.float32], sharp: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Colors that no stain of H-DAB has, and even black."""
    red, green = od[..., 0], od[..., 1]
    strong = ends(od)[1] > PEN_OD
    colored = strong & ((red > BLUE_INK * green) | (red < RED_INK * green))
    least, _ = ends(sharp)
    cube = np.ones((3, 3), np.uint8)
    even = cv2.dilate(least, cube) - cv2.erode(least, cube) < EVEN_OD
    return np.asarray(colored | ((least > BLACK_OD) & even))


def _closed(mask: NDArray[np.bool_], gap: float) -> NDArray[np.bool_]:
    side = 2 * max(1, round(gap / 2)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, disc).view(np.bool_))


def _larger(mask: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Keep 8-connected pieces of at least so many pixels."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= least
    keep[0] = False
    return np.asarray(keep[labels]) if count > 1 else np.zeros_like(mask)
