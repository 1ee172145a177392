"""One canonical block to the rows of the cell table, and the rows of all blocks to one table."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.assay import Assay
from ihcscore.compartments import expand, partition
from ihcscore.context import SlideContext
from ihcscore.geometry import centroids, um_to_px
from ihcscore.grid import CORE_PX, Block, Grid
from ihcscore.io.working import WorkingImage
from ihcscore.measure import CellPixels, measure_shapes, measure_stains
from ihcscore.outlines import outlines
from ihcscore.schema import COLUMNS
from ihcscore.segment.base import BlockPixels, Segmenter
from ihcscore.stains.density import optical_density
from ihcscore.stains.unmix import unmix

CONTESTED_PX = 12
"""How far outside its core a block still reports nuclei, in case the neighbour sees them differently."""


@dataclass(frozen=True)
class Job:
    """Everything a block needs to be measured; the same for all blocks of an image.

    Parameters
    ----------
    image : WorkingImage
    context : SlideContext
    segmenter : Segmenter
    expansion_um, membrane_um, nucleus_edge_um : float
        As in `Assay`.
    core_px : int
        Side of a block's core, working pixels.
    """

    image: WorkingImage
    context: SlideContext
    segmenter: Segmenter
    expansion_um: float
    membrane_um: float
    nucleus_edge_um: float
    core_px: int = CORE_PX

    @classmethod
    def of(cls, image: WorkingImage, context: SlideContext, segmenter: Segmenter, assay: Assay) -> "Job":
        """Make a job from an assay."""
        return cls(image, context, segmenter, assay.expansion_um, assay.membrane_um, assay.nucleus_edge_um)

    @property
    def grid(self) -> Grid:
        """The canonical blocks.

        The halo holds the largest nucleus, from a centroid in the core, the neighbours that its cell meets halfway, the
        membrane band, and around all that the segmenter's influence.
        """
        cell_um = self.segmenter.largest_object_um + 2 * self.expansion_um + self.membrane_um
        reach_um = cell_um + self.segmenter.influence_um
        halo = int(np.ceil(um_to_px(reach_um, self.image.frame.working_mpp))) + CONTESTED_PX
        height, width = self.image.frame.shape
        return Grid(height, width, halo, self.core_px)


def measure_block(job: Job, block: Block) -> dict[str, NDArray[Any]]:
    """Find and measure the cells of a block.

    Parameters
    ----------
    job : Job
    block : Block
        One of ``job.grid``.

    Returns
    -------
    dict of str to ndarray
        Columns of `ihcscore.schema` but ``cell_id``, and ``owned`` (the centroid lies in the core) and
        ``contested`` (it lies near the core's border, on either side: `settle` decides); sorted by y, then x.
    """
    mpp = job.image.frame.working_mpp
    y0, x0, _, _ = block.window
    rgb = job.image.read(block.window)
    od = optical_density(rgb, job.context.background, clip=False)
    stains = unmix(od, job.context.stains)
    background = np.asarray(job.context.background, np.float64)
    nuclei = job.segmenter.segment(BlockPixels(rgb, stains, background, mpp, (y0, x0)))
    xy = centroids(nuclei, int(nuclei.max(initial=0)), (y0, x0))
    rows = _reported(block, xy)
    row_of = np.zeros(len(xy) + 1, np.int32)
    row_of[rows + 1] = np.arange(1, len(rows) + 1)
    ours = row_of[nuclei]
    cut = _cut(block, ours, job.image.frame.shape, len(rows))

    near = _around(ours, int(np.ceil(um_to_px(2 * job.expansion_um + job.membrane_um, mpp))) + 2)
    columns = _measure(job, nuclei[near], od[near], stains[near], row_of, len(rows))
    columns |= _places(job, block, xy[rows]) | {"cut_by_border": cut}
    origin = np.array([x0 + near[1].start, y0 + near[0].start], np.float64)
    for name in ("nucleus_wkb", "cell_wkb"):
        columns[name] = _wkb(job, origin, columns[name])
    columns["owned"] = block.owns(xy[rows])
    columns["contested"] = ~_widened(block, -CONTESTED_PX).owns(xy[rows])
    return columns


def _around(labels: NDArray[np.int32], margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold all labels and a margin around them: what lies beyond cannot matter."""
    slices = []
    for axis, length in ((1, labels.shape[0]), (0, labels.shape[1])):
        filled = np.flatnonzero(labels.any(axis=axis))
        first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, 0)
        slices.append(slice(max(0, first - margin), min(length, last + 1 + margin)))
    return slices[0], slices[1]


def _measure(
    job: Job,
    nuclei: NDArray[np.int32],
    od: NDArray[np.float32],
    stains: NDArray[np.float32],
    row_of: NDArray[np.int32],
    count: int,
) -> dict[str, NDArray[Any]]:
    """Measure the reported nuclei and their cells; outlines are in pixels of these arrays."""
    mpp = job.image.frame.working_mpp
    cells = expand(nuclei, job.expansion_um, mpp)
    part = partition(nuclei, cells, mpp, membrane_um=job.membrane_um, nucleus_edge_um=job.nucleus_edge_um)
    nuclei, cells = row_of[nuclei], row_of[cells]
    pixels = CellPixels.of(cells, part, count)
    shapes = outlines(nuclei, count)
    columns: dict[str, NDArray[Any]] = dict(measure_stains(pixels, od, stains, mpp))
    columns |= measure_shapes(pixels, cells.shape[1], shapes, mpp)
    return columns | {"nucleus_wkb": shapes, "cell_wkb": outlines(cells, count)}


def _reported(block: Block, xy: NDArray[np.float64]) -> NDArray[np.intp]:
    """Nuclei in the core or close to it, sorted by y, then x."""
    near = _widened(block, CONTESTED_PX).owns(xy)
    rows = np.flatnonzero(near)
    return rows[np.lexsort((xy[rows, 0], xy[rows, 1]))]


def _widened(block: Block, margin: int) -> Block:
    y0, x0, y1, x1 = block.core
    return dataclasses.replace(block, core=(y0 - margin, x0 - margin, y1 + margin, x1 + margin))


def _places(job: Job, block: Block, xy: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    level0 = job.image.frame.to_level0(xy)
    um = job.image.frame.to_um(level0)
    return {
        "x_px": level0[:, 0],
        "y_px": level0[:, 1],
        "x_um": um[:, 0],
        "y_um": um[:, 1],
        "block_row": np.full(len(xy), block.row, np.int32),
        "block_col": np.full(len(xy), block.col, np.int32),
    }


def _cut(block: Block, nuclei: NDArray[np.int32], shape: tuple[int, int], count: int) -> NDArray[np.bool_]:
    """Tell which nuclei touch the image's edge."""
    y0, x0, y1, x1 = block.window
    edges = [
        nuclei[0] if y0 == 0 else None,
        nuclei[-1] if y1 == shape[0] else None,
        nuclei[:, 0] if x0 == 0 else None,
        nuclei[:, -1] if x1 == shape[1] else None,
    ]
    cut = np.zeros(count + 1, bool)
    for edge in edges:
        if edge is not None:
            cut[edge] = True
    return cut[1:]


def _wkb(job: Job, origin: NDArray[np.float64], shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    return np.asarray(shapely.to_wkb(shapely.transform(shapes, lambda xy: job.image.frame.to_level0(xy + origin))))


def settle(parts: list[dict[str, NDArray[Any]]]) -> pd.DataFrame:
    """Put the blocks' rows together, so that every nucleus stands in the table once.

    Parameters
    ----------
    parts : list of dict
        What `measure_block` gave for each block, in any order.

    Returns
    -------
    DataFrame
        The cell table, in block order.

    Notes
    -----
    Two rows of different blocks are the same nucleus when their outlines share more than half of the smaller one. Rows
    are taken by rank - owned ones first, then the larger, then those of the earlier block - and each stands unless it
    is the same nucleus as one that stands. What only one block saw stands, whichever owns it.
    """
    parts = sorted(parts, key=_position)
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    keep = _stands(table)
    ids = cell_ids(table["x_px"][keep], table["y_px"][keep])
    columns = {c.name: ids if c.name == "cell_id" else table[c.name][keep] for c in COLUMNS}
    return pd.DataFrame({c.name: _series(columns[c.name], c.dtype) for c in COLUMNS})


def cell_ids(x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> list[str]:
    """Make UUIDs (version 8) of centroids: level-0 pixels x 1024, x before y.

    Examples
    --------
    >>> cell_ids(np.array([1.0]), np.array([2.5]))
    ['00000000-0400-8000-8000-000000000a00']
    """
    xs, ys = (np.rint(np.asarray(v) * 1024).astype(np.int64).tolist() for v in (x_px, y_px))
    return [f"{x >> 16:08x}-{x & 0xFFFF:04x}-8000-8000-{y:012x}" for x, y in zip(xs, ys, strict=True)]


def _series(values: Any, dtype: str) -> pd.Series:
    return pd.Series(values, dtype="object" if dtype == "bytes" else dtype)


def _position(part: dict[str, NDArray[Any]]) -> tuple[int, int]:
    return (int(part["block_row"][0]), int(part["block_col"][0])) if len(part["block_row"]) else (-1, -1)


def _stands(table: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Tell which rows stay: from the best rank down, each that is not the same nucleus as one that stays."""
    stands = np.ones(len(table["owned"]), bool)
    rivals: dict[int, list[int]] = {}
    for first, second in _same_nucleus(table).tolist():
        rivals.setdefault(first, []).append(second)
        rivals.setdefault(second, []).append(first)
    area, row, col = table["Nucleus: Area µm^2"], table["block_row"], table["block_col"]
    decided: set[int] = set()
    for k in sorted(rivals, key=lambda k: (not table["owned"][k], -area[k], row[k], col[k], k)):
        stands[k] = not any(other in decided and stands[other] for other in rivals[k])
        decided.add(k)
    return stands


def _same_nucleus(table: dict[str, NDArray[Any]]) -> NDArray[np.intp]:
    """Pairs of rows of different blocks that are the same nucleus, one of them contested; shape (n, 2)."""
    contested = np.flatnonzero(table["contested"])
    if not len(contested):
        return np.zeros((0, 2), np.intp)
    nuclei = shapely.from_wkb(table["nucleus_wkb"])
    mine = nuclei[contested]
    first, second = shapely.STRtree(nuclei).query(mine, predicate="intersects")
    block = np.column_stack([table["block_row"], table["block_col"]])
    other = (block[contested[first]] != block[second]).any(axis=1)
    first, second = first[other], second[other]
    same = table["nucleus_wkb"][contested[first]] == table["nucleus_wkb"][second]
    differ = np.flatnonzero(~same)  # mostly none: blocks nearly always agree
    a, b = mine[first[differ]], nuclei[second[differ]]
    shared = shapely.area(shapely.intersection(a, b))
    same[differ] = shared > 0.5 * np.minimum(shapely.area(a), shapely.area(b))
    return np.column_stack([contested[first[same]], second[same]])
