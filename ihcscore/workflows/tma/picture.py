"""A picture of a grid of cores, to be checked before it is trusted."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.io.atomic import write_bytes
from ihcscore.results.writers.overlay import FONT, INK
from ihcscore.results.writers.png import encode_png
from ihcscore.workflows.tma.grid import OK, CoreGrid

LOST = (200, 40, 40)


def write_picture(path: Path, coarse: NDArray[np.uint8], um: float, grid: CoreGrid) -> None:
    """Draw the cores with their names onto a slide in small: missing ones and tissue off the grid in red.

    Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : Path
        PNG; replaced if it exists.
    coarse : ndarray of shape (M, N, 3), dtype uint8
        The slide. Not modified.
    um : float
        Size of its pixels.
    """
    picture = coarse.copy()
    for core in grid.cores:
        color = INK if core.status == OK else LOST
        at, radius = (round(core.x_um / um), round(core.y_um / um)), round(core.diameter_um / 2 / um)
        cv2.circle(picture, at, radius, color, 2, cv2.LINE_AA)
        size = radius / 60
        (width, height), _ = cv2.getTextSize(core.name, FONT, size, 1)
        cv2.putText(
            picture, core.name, (at[0] - width // 2, at[1] - radius - height // 2), FONT, size, color, 1, cv2.LINE_AA
        )
    for x, y in grid.off_grid:
        cv2.drawMarker(picture, (round(x / um), round(y / um)), LOST, cv2.MARKER_TILTED_CROSS, 40, 3, cv2.LINE_AA)
    write_bytes(path, encode_png(picture))
