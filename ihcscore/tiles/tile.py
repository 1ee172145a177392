"""Measure one tile: its nuclei, cells and quality."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.assays.assay import Assay
from ihcscore.cells.compartments import FARTHEST_PX, expand, partition
from ihcscore.cells.contours import trace
from ihcscore.cells.label_runs import LabelRuns
from ihcscore.cells.measurement import CellPixels, measure_shapes, measure_stains
from ihcscore.cells.membrane import measure_membranes
from ihcscore.cells.membrane.profiles import REACH_UM
from ihcscore.cells.network_maps import compute_maps, read_window
from ihcscore.cells.quality import JUDGED, measure_quality
from ihcscore.cells.segmentation.base import MapSegmenter, Segmenter, TilePixels
from ihcscore.errors import AssayError
from ihcscore.geometry import um_to_px
from ihcscore.io.resampling import WorkingImage
from ihcscore.kernels.split import renumber_labels
from ihcscore.stains.levels import both_levels
from ihcscore.survey.context import SlideContext
from ihcscore.tiles.grid import CORE_PX, Grid, Tile
from ihcscore.tiles.store import MeasuredTile, Rows

CONTESTED_PX = 12
"""How far outside its core, in px, a tile still reports nuclei, in case the neighbor detects them differently."""


@dataclass(frozen=True)
class TileJob:
    """Everything that the measurement of a tile needs; the same for all tiles of an image.

    Parameters
    ----------
    expansion_um, membrane_um, nucleus_edge_um, cytoplasm_edge_um : float
        As in `Assay`.
    core_px : int
        Side of a tile's core, working pixels.
    """

    image: WorkingImage
    context: SlideContext
    segmenter: Segmenter
    expansion_um: float
    membrane_um: float
    nucleus_edge_um: float
    cytoplasm_edge_um: float
    core_px: int = CORE_PX

    @classmethod
    def of(cls, image: WorkingImage, context: SlideContext, segmenter: Segmenter, assay: Assay) -> "TileJob":
        """Make the job of an assay. Raises AssayError if cells would grow by more pixels than they can."""
        mpp = image.frame.working_mpp
        if um_to_px(assay.expansion_um, mpp) > FARTHEST_PX:
            found = f"found {assay.expansion_um:g}"
            raise AssayError(assay.name, [f"expansion_um: at most {FARTHEST_PX * mpp:g} at {mpp:g} um/px, {found}"])
        widths = assay.expansion_um, assay.membrane_um, assay.nucleus_edge_um, assay.cytoplasm_edge_um
        return cls(image, context, segmenter, *widths)

    @property
    def texture(self) -> tuple[float, ...]:
        """The context's texture; nothing can be measured without it."""
        if self.context.texture is None:
            raise ValueError("the context has no texture: complete it with ihcscore.survey.estimation.complete_context")
        return self.context.texture

    @property
    def around_um(self) -> float:
        """Distance from its nucleus within which something influences a cell."""
        return max(2 * self.expansion_um + self.membrane_um, REACH_UM)

    @property
    def grid(self) -> Grid:
        """The tiles of the image.

        The halo holds the largest nucleus around a centroid in the core, the neighbors that its cell meets halfway and
        the membrane band, or the reach of the membrane's rays, and around all that the segmenter's influence.
        """
        cell_um = self.segmenter.largest_object_um + self.around_um
        reach_um = cell_um + self.segmenter.influence_um
        halo = int(np.ceil(um_to_px(reach_um, self.image.frame.working_mpp))) + CONTESTED_PX
        height, width = self.image.frame.shape
        return Grid(height, width, halo, self.core_px)


def measure_tile(job: TileJob, tile: Tile) -> MeasuredTile:
    """Find and measure the cells of a tile, and its quality; see `measure_rows`."""
    rgb, rows = _measured(job, tile)
    (y0, x0, y1, x1), (top, left, _, _) = tile.core, tile.window
    owned = {name: rows[name][rows["owned"]] for name in JUDGED}
    core = rgb[y0 - top : y1 - top, x0 - left : x1 - left]
    light, stains = job.context.background, job.context.stains
    return MeasuredTile(rows, measure_quality(core, light, stains, job.image.frame.working_mpp, owned))


def measure_rows(job: TileJob, tile: Tile) -> Rows:
    """Find and measure the cells of a tile.

    Parameters
    ----------
    tile : Tile
        One of ``job.grid``.

    Returns
    -------
    dict of str to array
        Columns of the cell table but ``cell_id`` and ``in_artifact``, ``owned`` (the centroid lies in the core),
        ``contested`` (it lies near the core's border, on either side: `stitch` decides) and ``bordering`` (a contested
        nucleus of another tile can overlap it); sorted by y, then x.
    """
    return _measured(job, tile)[1]


def _measured(job: TileJob, tile: Tile) -> tuple[NDArray[np.uint8], Rows]:
    """Return the pixels of a tile's window and the rows of its cells."""
    mpp = job.image.frame.working_mpp
    y0, x0, _, _ = tile.window
    rgb, nuclei = _nuclei(job, tile)
    spans = LabelRuns.of(nuclei, int(nuclei.max(initial=0)))
    xy = spans.centroids((y0, x0))
    rows = _reported(tile, xy)
    found, spans, xy = len(xy), spans.select(rows), xy[rows]
    near = _around(spans, int(np.ceil(um_to_px(job.around_um, mpp))) + 2, nuclei.shape)
    labels = _renumbered(nuclei[near], rows, found)
    spans, origin = spans.moved(-near[0].start, -near[1].start), (y0 + near[0].start, x0 + near[1].start)
    columns = _measure(job, np.ascontiguousarray(rgb[near]), labels, spans, origin, xy)
    boxes = spans.boxes() + np.array(2 * origin)
    columns |= _places(job, tile, xy) | {"cut_by_border": _cut(boxes, job.image.frame.shape)}
    columns["owned"] = tile.owns(xy)
    columns["contested"] = ~_widened(tile, -CONTESTED_PX).owns(xy)
    columns["bordering"] = _bordering(job, tile, boxes)
    return rgb, columns


def _nuclei(job: TileJob, tile: Tile) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return the pixels and the nuclei's labels of a tile's window."""
    if isinstance(job.segmenter, MapSegmenter):
        read = read_window(tile.window, job.image.frame.shape, job.segmenter)
        light = job.image.read(read)
        maps = compute_maps(light, read, tile.window, np.asarray(job.context.background, np.float64), job.segmenter)
        (y0, x0, y1, x1), (top, left, _, _) = tile.window, read
        pixels = _pixels(job, tile, np.ascontiguousarray(light[y0 - top : y1 - top, x0 - left : x1 - left]))
        return pixels.rgb, job.segmenter.nuclei(maps, pixels)
    pixels = _pixels(job, tile, job.image.read(tile.window))
    return pixels.rgb, job.segmenter.segment(pixels)


def _pixels(job: TileJob, tile: Tile, rgb: NDArray[np.uint8]) -> TilePixels:
    background = np.asarray(job.context.background, np.float64)
    return TilePixels(rgb, job.context.stains, background, job.image.frame.working_mpp, tile.window[:2])


def _around(spans: LabelRuns, margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of all labels with a margin: what lies beyond has no influence."""
    if not len(spans.row):
        return slice(0, 1), slice(0, 1)
    first, last = (int(spans.row.min()), int(spans.start.min())), (int(spans.row.max()) + 1, int(spans.stop.max()))
    top, left = (max(0, at - margin) for at in first)
    bottom, right = (min(length, at + margin) for at, length in zip(last, shape, strict=True))
    return slice(top, bottom), slice(left, right)


def _renumbered(nuclei: NDArray[np.int32], rows: NDArray[np.intp], found: int) -> NDArray[np.int32]:
    """Renumber the reported nuclei 1.. in their order, and the others, which only delimit their cells, after them.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32
        Labels 1..`found`.
    rows : ndarray of shape (n,), int
        The reported ones, counted from 0.
    """
    others = np.delete(np.arange(found), rows)
    number = np.zeros(found + 1, np.int32)
    number[np.concatenate([rows, others]) + 1] = np.arange(1, found + 1)
    labels = np.array(nuclei, order="C")
    renumber_labels(labels, number)
    return labels


def _measure(
    job: TileJob,
    rgb: NDArray[np.uint8],
    nuclei: NDArray[np.int32],
    spans: LabelRuns,
    origin: tuple[int, int],
    xy: NDArray[np.float64],
) -> Rows:
    """Measure the reported nuclei, those of `spans`, and their cells."""
    mpp, count = job.image.frame.working_mpp, len(spans.number)
    cells = expand(nuclei, job.expansion_um, mpp)
    edges = {"nucleus_edge_um": job.nucleus_edge_um, "cytoplasm_edge_um": job.cytoplasm_edge_um}
    part = partition(nuclei, cells, mpp, membrane_um=job.membrane_um, **edges)
    pixels = CellPixels(rgb, LabelRuns.of(cells, count), part)
    light = job.context.background, job.context.stains
    columns: Rows = dict(measure_stains(pixels, spans.areas, *light, mpp))
    of_nuclei, of_cells = trace(spans), trace(pixels.cells)
    columns |= measure_shapes(spans, of_nuclei, mpp)
    levels = both_levels(rgb, job.context.background, job.context.stains)
    at = xy - np.array(origin[::-1], np.float64)
    columns |= measure_membranes(levels, nuclei, at, mpp, job.texture)

    place = (float(origin[1]), float(origin[0])), job.image.frame.scale
    return columns | {"nucleus_wkb": of_nuclei.wkb(*place), "cell_wkb": of_cells.wkb(*place)}


def _reported(tile: Tile, xy: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the nuclei in the core or close to it, sorted by y, then x."""
    near = _widened(tile, CONTESTED_PX).owns(xy)
    rows = np.flatnonzero(near)
    return rows[np.lexsort((xy[rows, 0], xy[rows, 1]))]


def _widened(tile: Tile, margin: int) -> Tile:
    y0, x0, y1, x1 = tile.core
    return dataclasses.replace(tile, core=(y0 - margin, x0 - margin, y1 + margin, x1 + margin))


def _bordering(job: TileJob, tile: Tile, boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which nuclei lie so near the core's border that a contested one of another tile can overlap them."""
    reach = CONTESTED_PX + int(np.ceil(um_to_px(job.segmenter.largest_object_um, job.image.frame.working_mpp)))
    y0, x0, y1, x1 = _widened(tile, -reach).core
    top, left, bottom, right = boxes.T
    return np.asarray((top < y0) | (left < x0) | (bottom > y1) | (right > x1))


def _places(job: TileJob, tile: Tile, xy: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    level0 = job.image.frame.to_level0(xy)
    um = job.image.frame.to_um(level0)
    return {
        "x_px": level0[:, 0],
        "y_px": level0[:, 1],
        "x_um": um[:, 0],
        "y_um": um[:, 1],
        "block_row": np.full(len(xy), tile.row, np.int32),
        "block_col": np.full(len(xy), tile.col, np.int32),
    }


def _cut(boxes: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which boxes touch the image border."""
    top, left, bottom, right = boxes.T
    return np.asarray((top == 0) | (left == 0) | (bottom == shape[0]) | (right == shape[1]))
