"""Regions given as a picture of labels."""

import io
from typing import Any

import numpy as np
import shapely
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ihcscore.io.regions.base import Drawn, NotARegionFile

LARGEST_PIXELS = 200_000_000
MOST_LABELS = 20_000


def read_mask(data: bytes, dimensions: tuple[int, int]) -> Drawn:
    """Read a mask: each number above 0 is a region, its outline follows the edges of the mask's pixels.

    Raises NotARegionFile if it is of another shape, or not of one channel of whole numbers.

    Parameters
    ----------
    data : bytes
        PNG or TIFF of one channel, of the shape of the slide at any downsample.
    dimensions : tuple of int
        Width and height of the slide.
    """
    labels = _labels(data)
    rows, cols = labels.shape
    across, down = dimensions[0] / cols, dimensions[1] / rows
    if abs(across / down - 1) > 1.5 / min(rows, cols):
        raise NotARegionFile(
            f"is {cols} x {rows} pixels, of another shape than the slide ({dimensions[0]} x {dimensions[1]})"
        )
    values = np.unique(labels)
    values = values[values > 0]
    if len(values) > MOST_LABELS:
        raise NotARegionFile(f"holds {len(values)} labels: nuclei are given with --nuclei")
    boxes, of = _runs(labels)
    boxes = boxes * np.array([across, down, across, down])
    geometries = shapely.box(*boxes.T)
    drawn = Drawn()
    for value in values.tolist():
        drawn.shapes.append((f"label {value}", "", shapely.union_all(geometries[of == value])))
    return drawn


def _labels(data: bytes) -> NDArray[Any]:
    try:
        if data[:4] == b"\x89PNG":
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise NotARegionFile("is too large for a mask: write it at a lower resolution")
                if image.mode not in ("L", "1", "I", "I;16", "I;16B"):
                    raise NotARegionFile("is a picture in colors: a mask has one channel, each region its own number")
                labels = np.asarray(image)
        else:
            with tifffile.TiffFile(io.BytesIO(data)) as tiff:
                if np.prod(tiff.series[0].shape) > LARGEST_PIXELS:
                    raise NotARegionFile("is too large for a mask: write it at a lower resolution")
                labels = np.squeeze(tiff.series[0].asarray())
    except NotARegionFile:
        raise
    except Exception as error:  # decoders raise whatever damage leads to
        raise NotARegionFile(f"cannot be read as a mask ({type(error).__name__})") from None
    labels = labels.astype(np.uint8) if labels.dtype == bool else labels
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer) or not labels.size:
        raise NotARegionFile(f"is no mask: expected whole numbers in one channel, found {labels.dtype} {labels.shape}")
    if labels.min() < 0:
        raise NotARegionFile("holds negative numbers: each region is a number above 0")
    return labels


def _runs(labels: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Cover labels with boxes (x0, y0, x1, y1); equal runs of consecutive rows are merged into one box."""
    change = np.ones((labels.shape[0], labels.shape[1] + 1), bool)
    change[:, 1:-1] = labels[:, 1:] != labels[:, :-1]
    row, edge = np.nonzero(change)
    start, stop = edge[:-1], edge[1:]
    whole = row[:-1] == row[1:]
    row, start, stop = row[:-1][whole], start[whole], stop[whole]
    label = labels[row, start]
    inside = label > 0
    row, start, stop, label = row[inside], start[inside], stop[inside], label[inside]
    order = np.lexsort((row, label, stop, start))
    row, start, stop, label = row[order], start[order], stop[order], label[order]
    new = np.ones(len(row), bool)
    same = (start[1:] == start[:-1]) & (stop[1:] == stop[:-1]) & (label[1:] == label[:-1])
    new[1:] = ~(same & (row[1:] == row[:-1] + 1))
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(row))[: len(first)] - 1
    boxes = np.column_stack([start[first], row[first], stop[first], row[last] + 1]).astype(np.float64)
    return boxes.reshape(-1, 4), label[first]
