"""One canonical block to the rows of the cell table, and the rows of all blocks to one table."""

import dataclasses
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ihcscore.assay import Assay
from ihcscore.compartments import expand, partition
from ihcscore.context import SlideContext
from ihcscore.geometry import um_to_px
from ihcscore.grid import CORE_PX, Block, Grid
from ihcscore.io.working import WorkingImage
from ihcscore.maps import CanonicalMaps
from ihcscore.measure import CellPixels, measure_shapes, measure_stains
from ihcscore.outlines import trace
from ihcscore.schema import COLUMNS
from ihcscore.segment.base import BlockPixels, MapSegmenter, Segmenter
from ihcscore.spans import Spans
from ihcscore.stains.density import optical_density
from ihcscore.stains.unmix import unmix

CONTESTED_PX = 12
"""How far outside its core a block still reports nuclei, in case the neighbour sees them differently."""


COMPARED = ("contested", "block_row", "block_col", "nucleus_wkb")
"""What tells whether two rows are the same nucleus."""


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
    maps : CanonicalMaps, optional
        Of a `MapSegmenter`.
    """

    image: WorkingImage
    context: SlideContext
    segmenter: Segmenter
    expansion_um: float
    membrane_um: float
    nucleus_edge_um: float
    core_px: int = CORE_PX
    maps: CanonicalMaps | None = None

    @classmethod
    def of(cls, image: WorkingImage, context: SlideContext, segmenter: Segmenter, assay: Assay) -> "Job":
        """Make a job from an assay."""
        maps = None
        if isinstance(segmenter, MapSegmenter):
            maps = CanonicalMaps(image, np.asarray(context.background, np.float64), segmenter)
        widths = assay.expansion_um, assay.membrane_um, assay.nucleus_edge_um
        return cls(image, context, segmenter, *widths, maps=maps)

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
        ``contested`` (it lies near the core's border, on either side: `settle` decides) and ``bordering`` (a contested
        nucleus of another block can reach it); sorted by y, then x.
    """
    mpp = job.image.frame.working_mpp
    y0, x0, _, _ = block.window
    rgb = job.image.read(block.window)
    nuclei = _nuclei(job, block, rgb)
    spans = Spans.of(nuclei, int(nuclei.max(initial=0)))
    xy = spans.centroids((y0, x0))
    rows = _reported(block, xy)
    found, spans, xy = len(xy), spans.select(rows), xy[rows]
    near = _around(spans, int(np.ceil(um_to_px(2 * job.expansion_um + job.membrane_um, mpp))) + 2, nuclei.shape)
    labels = _renumbered(nuclei[near], rows, found)
    origin = (y0 + near[0].start, x0 + near[1].start)
    columns = _measure(job, rgb[near], labels, spans, origin)
    columns |= _places(job, block, xy) | {"cut_by_border": _cut(block, spans, job.image.frame.shape)}
    columns["owned"] = block.owns(xy)
    columns["contested"] = ~_widened(block, -CONTESTED_PX).owns(xy)
    columns["bordering"] = _bordering(job, block, spans)
    return columns


def _nuclei(job: Job, block: Block, rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Label the nuclei in a block's window."""
    if isinstance(job.segmenter, MapSegmenter) and job.maps is not None:
        return job.segmenter.nuclei(job.maps.window(block.window))
    background = np.asarray(job.context.background, np.float64)
    stains = unmix(optical_density(rgb, background, clip=False), job.context.stains)
    mpp = job.image.frame.working_mpp
    return job.segmenter.segment(BlockPixels(rgb, stains, background, mpp, block.window[:2]))


def _around(spans: Spans, margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns that hold all labels and a margin around them: what lies beyond cannot matter."""
    if not len(spans.row):
        return slice(0, 1), slice(0, 1)
    first, last = (int(spans.row.min()), int(spans.start.min())), (int(spans.row.max()) + 1, int(spans.stop.max()))
    top, left = (max(0, at - margin) for at in first)
    bottom, right = (min(length, at + margin) for at, length in zip(last, shape, strict=True))
    return slice(top, bottom), slice(left, right)


def _renumbered(nuclei: NDArray[np.int32], rows: NDArray[np.intp], found: int) -> NDArray[np.integer]:
    """Number the reported nuclei 1.. in their order, and the others, which only delimit their cells, after them.

    Parameters
    ----------
    nuclei : ndarray of shape (M, N), dtype int32
        Labels 1..`found`.
    rows : ndarray of shape (n,), int
        The reported ones, counted from 0.
    """
    others = np.delete(np.arange(found), rows)
    number = np.zeros(found + 1, np.uint16 if found < 2**16 else np.int32)
    number[np.concatenate([rows, others]) + 1] = np.arange(1, found + 1)
    return np.asarray(number.take(nuclei))


def _measure(
    job: Job,
    rgb: NDArray[np.uint8],
    nuclei: NDArray[np.integer],
    spans: Spans,
    origin: tuple[int, int],
) -> dict[str, NDArray[Any]]:
    """Measure the reported nuclei, those of `spans`, and their cells."""
    mpp, count = job.image.frame.working_mpp, len(spans.number)
    cells = expand(nuclei, job.expansion_um, mpp)
    part = partition(nuclei, cells, mpp, membrane_um=job.membrane_um, nucleus_edge_um=job.nucleus_edge_um)
    pixels = CellPixels.of(rgb, cells, part, count)
    columns: dict[str, NDArray[Any]] = dict(measure_stains(pixels, job.context.background, job.context.stains, mpp))
    of_nuclei, of_cells = trace(_up_to(count, nuclei), spans.areas), trace(_up_to(count, cells), pixels.areas)
    columns |= measure_shapes(spans, of_nuclei, mpp)

    def to_level0(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return job.image.frame.to_level0(xy + np.array(origin[::-1], np.float64))

    return columns | {"nucleus_wkb": of_nuclei.wkb(to_level0), "cell_wkb": of_cells.wkb(to_level0)}


def _up_to(count: int, labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Labels as OpenCV traces them, without those above `count`."""
    return np.asarray(np.multiply(labels, labels <= count, dtype=np.int32))


def _reported(block: Block, xy: NDArray[np.float64]) -> NDArray[np.intp]:
    """Nuclei in the core or close to it, sorted by y, then x."""
    near = _widened(block, CONTESTED_PX).owns(xy)
    rows = np.flatnonzero(near)
    return rows[np.lexsort((xy[rows, 0], xy[rows, 1]))]


def _widened(block: Block, margin: int) -> Block:
    y0, x0, y1, x1 = block.core
    return dataclasses.replace(block, core=(y0 - margin, x0 - margin, y1 + margin, x1 + margin))


def _bordering(job: Job, block: Block, spans: Spans) -> NDArray[np.bool_]:
    """Tell which nuclei reach so near the border of the core that a contested one of another block can meet them."""
    reach = CONTESTED_PX + int(np.ceil(um_to_px(job.segmenter.largest_object_um, job.image.frame.working_mpp)))
    y0, x0, y1, x1 = _widened(block, -reach).core
    top, left, bottom, right = spans.boxes().T
    above, before = block.window[:2]
    inside = (top + above >= y0) & (left + before >= x0) & (bottom + above <= y1) & (right + before <= x1)
    return np.asarray(~inside)


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


def _cut(block: Block, spans: Spans, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which nuclei touch the image's edge."""
    y0, x0, _, _ = block.window
    top, left, bottom, right = spans.boxes().T
    return np.asarray((top + y0 == 0) | (left + x0 == 0) | (bottom + y0 == shape[0]) | (right + x0 == shape[1]))


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
    near = np.flatnonzero(table["bordering"])
    pairs = near[_same_nucleus({name: table[name][near] for name in COMPARED})]
    for first, second in pairs.tolist():
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
    first, second = shapely.STRtree(nuclei).query(nuclei[contested])
    first = contested[first]
    block = _numbered(zip(table["block_row"].tolist(), table["block_col"].tolist(), strict=True))
    outline = _numbered(table["nucleus_wkb"])
    other = block[first] != block[second]
    first, second = first[other], second[other]
    same = outline[first] == outline[second]
    # Mostly blocks agree: what both saw, and saw as two nuclei, are two.
    seen = np.unique(outline * (block.max() + 1) + block)
    apart = np.isin(outline[first] * (block.max() + 1) + block[second], seen) & ~same
    differ = np.flatnonzero(~same & ~apart)
    a, b = nuclei[first[differ]], nuclei[second[differ]]
    shared = shapely.area(shapely.intersection(a, b))
    same[differ] = shared > 0.5 * np.minimum(shapely.area(a), shapely.area(b))
    return np.column_stack([first[same], second[same]])


def _numbered(values: Iterable[Hashable]) -> NDArray[np.int64]:
    """Give equal values equal numbers, from 0."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values], np.int64)
