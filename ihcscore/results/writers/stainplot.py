"""A picture of background and stain vectors."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.results.writers.overlay import FONT, INK, PAPER
from ihcscore.stains.density import optical_density
from ihcscore.stains.vectors import StainMatrix, angle_deg
from ihcscore.survey.context import SlideContext

SIDE, MARGIN, TOP_OD = 480, 60, 1.2
SWATCH_OD = (0.25, 0.5, 1.0)


def stain_plot(pixels: NDArray[np.uint8], context: SlideContext) -> NDArray[np.uint8]:
    """Draw the optical densities of pixels with the stain vectors, and swatches of the stains.

    Parameters
    ----------
    pixels : ndarray of shape (1, n, 3), dtype uint8
        Sampled pixels. Not modified.
    context : SlideContext
        Background and vectors.

    Returns
    -------
    ndarray of shape (H, W, 3), dtype uint8
        Left, how many pixels have which optical density in red (across) and blue (up), with hematoxylin and DAB as
        lines (gray: the default vectors); right, the background and each stain at 0.25, 0.5 and 1.0 OD.
    """
    return np.hstack([_scatter(pixels, context), _swatches(context)])


def _scatter(pixels: NDArray[np.uint8], context: SlideContext) -> NDArray[np.uint8]:
    od = optical_density(pixels, context.background).reshape(-1, 3)
    bins = (0, TOP_OD)
    counts, _, _ = np.histogram2d(od[:, 2], od[:, 0], bins=SIDE // 4, range=(bins, bins))
    shade = np.log1p(counts) / max(np.log1p(counts).max(), 1)
    gray = (255 - 200 * shade).astype(np.uint8)[::-1]
    plot = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    canvas = np.full((SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, 3), PAPER, np.uint8)
    canvas[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE] = plot[..., None]
    cv2.rectangle(canvas, (MARGIN, MARGIN), (MARGIN + SIDE, MARGIN + SIDE), INK, 1)
    for tick in np.arange(0, TOP_OD + 0.01, 0.4):
        at = round(tick / TOP_OD * SIDE)
        _text(canvas, f"{tick:.1f}", (MARGIN + at - 12, MARGIN + SIDE + 20))
        _text(canvas, f"{tick:.1f}", (MARGIN - 34, MARGIN + SIDE - at + 5))
    _text(canvas, "OD of red", (MARGIN + SIDE // 2 - 40, MARGIN + SIDE + 44))
    _text(canvas, "OD of blue", (8, MARGIN - 14))
    for matrix, own in ((StainMatrix(), False), (context.stains, True)):
        for name, vector in matrix.to_dict().items():
            _ray(canvas, name if own else "", vector, _light(context, vector, 0.7) if own else (150, 150, 150))
    return canvas


def _ray(canvas: NDArray[np.uint8], name: str, vector: list[float], color: tuple[int, int, int]) -> None:
    """Draw a stain's line into the plot; `canvas` is the picture being made."""
    red, blue = vector[0], vector[2]
    length = 0.95 * SIDE / max(red, blue, 1e-6)
    end = (round(MARGIN + red * length), round(MARGIN + SIDE - blue * length))
    cv2.line(canvas, (MARGIN, MARGIN + SIDE), end, color, 3 if name else 1, cv2.LINE_AA)
    if name:
        _text(canvas, name, (min(end[0] - 40, MARGIN + SIDE - 100), max(end[1] - 8, MARGIN + 16)))


def _light(context: SlideContext, vector: list[float], od: float) -> tuple[int, int, int]:
    light = np.asarray(context.background) * 10 ** (-od * np.asarray(vector))
    red, green, blue = (int(v) for v in np.clip(np.rint(light), 0, 255))
    return red, green, blue


def _swatches(context: SlideContext) -> NDArray[np.uint8]:
    canvas = np.full((SIDE + 2 * MARGIN, 460, 3), PAPER, np.uint8)
    rows = [("background", None), *context.stains.to_dict().items(), *_defaults()]
    for row, (name, vector) in enumerate(rows):
        top = MARGIN + row * 104
        levels = SWATCH_OD if vector else (0.0,)
        for column, od in enumerate(levels):
            left = 10 + column * 70
            color = _light(context, vector or [0, 0, 0], od)
            cv2.rectangle(canvas, (left, top), (left + 60, top + 50), color, -1)
            cv2.rectangle(canvas, (left, top), (left + 60, top + 50), (200, 200, 200), 1)
        values = ", ".join(f"{v:.4g}" for v in vector or context.background)
        _text(canvas, f"{name}  {values}", (10, top - 8))
        if vector and name in ("hematoxylin", "dab"):
            away = angle_deg(vector, StainMatrix().to_dict()[name])
            _text(canvas, f"{away:.1f} degrees from default", (230, top + 30))
    return canvas


def _defaults() -> list[tuple[str, list[float]]]:
    return [(f"{name} (default)", vector) for name, vector in StainMatrix().to_dict().items()]


def _text(canvas: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    cv2.putText(canvas, text, at, FONT, 0.45, INK, 1, cv2.LINE_AA)
