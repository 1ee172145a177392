"""Train the network that reads membranes along rays, on phantoms alone.

    python -m ihcscore.train.membranes [--out DIR] [--tiles 35200] [--steps 135000] [--seed 13]

Writes ``membranes.onnx``, ``slide.onnx`` and ``membranes.json``, which ship in ``ihcscore/membrane/weights``.
"""

import argparse
import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from ihcscore import __version__
from ihcscore.geometry import frame_for
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.working import WorkingImage
from ihcscore.membrane.profiles import BEFORE, RAYS, SAMPLES, STEP_UM, Profiles, read_profiles
from ihcscore.membrane.reader import AROUND, CARD_FILE, PLANES, RAYS_FILE, SLIDE_FILE, seen
from ihcscore.phantom import Phantom, PhantomParameters, load_parameters, render
from ihcscore.phantom.labels import centroids_px
from ihcscore.phantom.optics import shifted
from ihcscore.segment.base import BlockPixels
from ihcscore.segment.given import sample_labels
from ihcscore.segment.network import Network
from ihcscore.stains.levels import both_levels
from ihcscore.stains.texture import PLACE_PX, TEXTURE, Place, look_closely, summary
from ihcscore.stains.unmix import unmix_light
from ihcscore.stains.vectors import StainMatrix
from ihcscore.train.variety import DAB, HEMATOXYLIN, WORKING_MPP, source_mpp

PER_SHARD = 20
SIDE_UM = 128.0
MARKERS = ("membranous", "cytoplasmic", "nuclear", "negative")
MARKER_SHARES = (0.68, 0.18, 0.08, 0.06)
TYPICAL_SHARE = 0.25
"""Of the tiles whose marker is as dense, and as spread over cells and their parts, as the presets say; of others it is
spread more widely. What a slide does not show is guessed from what is common."""
TRUE_NUCLEI_SHARE = 0.3
"""Of the tiles whose nuclei are the true ones instead of those the network finds."""
BLUR_UM, SHARPEN = (0.18, 0.65), (0.0, 0.7, 1.2)
"""Wider than the presets: how sharp a slide is decides how dense its membranes look. Most it is sharpened, one of
three."""
STAIN_ERROR_DEG, LIGHT_ERROR = 1.5, 0.015
"""Stain vectors and background are known about as well as this,"""
DEFAULT_LIGHT, DEFAULT_LIGHT_SHARE = 255.0, 0.5
"""but in half of the tiles the background is taken for white, as assays do by default."""
FINE_UM = 0.25
"""Step at which the truth is read along a ray."""

CLEAN_OD = 0.4
"""Tiles whose DAB hardly ever reaches it are mixed into others' textures as unstained tissue."""
PARTS, MIXED = 3, 2
"""Further textures of each tile: of a part of it, of a part of it among unstained tissue."""
TISSUE_OD, TISSUE_SHARE = 0.1, 0.15
"""A place is tissue if more than this share of it is stained."""
TEXTURE_NOISE = 0.2
"""Noise added to textures, in standard deviations: one tile's must not be known by heart."""
FARTHEST = 2.5
"""Standard deviations from the mean at which a texture is cut off: the network is not asked about what it never saw."""
LEAST_SPREAD = 1e-3
AVERAGE = 0.998
"""Of the running mean of the weights, which is what is shipped."""

FIRST, SECOND, SLIDE_WIDTH = 16, 64, 24
"""Channels of the convolutions and of what answers to the slide."""
GROUP, PAIR = 4, 2
"""Rays, and places along them, that are read together: the convolutions give something for every fourth and second."""
BATCH = 64
DEGREES = (0.02, 0.4, 0.7, 0.95)
"""Completeness that parts cells into five kinds. Half of the cells of a step are drawn evenly from them: of strongly
stained cells almost half are complete and one in seventy has a tenth of its border stained, and what is rare is taken
for what is common."""
OD_FLOOR = 0.15
"""Errors of density count relative to it plus this."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training: its share of the steps, its first learning rate, and the weights of the loss's parts."""

    share: float
    rate: float
    weights: tuple[float, float, float, float]


STAGES = (
    Stage(6 / 9, 6e-3, (4.0, 1.0, 0.3, 12.0)),
    Stage(2 / 9, 2e-3, (4.0, 2.0, 0.3, 12.0)),
    Stage(1 / 9, 2e-3, (4.0, 4.0, 0.3, 12.0)),
)
"""Weights of density, line, place and the cell's mean density. The cells' densities make scores right to within what a
slide shows; lines lose a little by it, and get it back at the end."""


@dataclasses.dataclass(frozen=True)
class Cells:
    """Cells to learn from.

    Parameters
    ----------
    seen : ndarray of shape (n, 3, 24, 32), dtype float16
        See `ihcscore.membrane.reader.seen`; without the rays that stand there twice.
    texture : ndarray of shape (n, t), dtype float32
        See `ihcscore.stains.texture`: of the cell's tile, or of parts of it, alone or among unstained tissue.
    od, line, step : ndarray of shape (n, 32), dtype float32
        DAB OD of the cell's own membrane, share of it that light shows stained, sample at which it lies; NaN where the
        ray meets none.
    """

    seen: NDArray[np.float16]
    texture: NDArray[np.float32]
    od: NDArray[np.float32]
    line: NDArray[np.float32]
    step: NDArray[np.float32]


def tile_parameters(rng: np.random.Generator) -> PhantomParameters:
    """Draw the parameters of one tile: the presets, wider in what changes how a membrane looks."""
    marker = str(rng.choice(MARKERS, p=MARKER_SHARES))
    mpp = source_mpp(rng)
    side = int(np.ceil(SIDE_UM / mpp))
    drawn: dict[str, Any] = {
        "nucleus_radius_um": float(np.exp(rng.uniform(np.log(2.8), np.log(5.5)))),
        "hematoxylin_od": float(np.exp(rng.uniform(np.log(0.07), np.log(0.6)))),
        "hematoxylin_vector": HEMATOXYLIN[rng.integers(len(HEMATOXYLIN))],
        "dab_vector": DAB[rng.integers(len(DAB))],
        "stain_shift_deg": (0, 4),
        "membrane_um": (0.8, 1.6),
        "tumor_coverage": (0.15, 0.6),
        "elongation": (1.0, 2.4),
        "alignment": (0, 1),
        "background": (200, 255),
        "blur_um": BLUR_UM,
        "sharpen": (0, float(rng.choice(SHARPEN))),
        "noise_grey": (0.5, 3.5),
        "jpeg_quality": 0.0 if rng.random() < 0.15 else float(rng.uniform(65, 97)),
    }
    if rng.random() >= TYPICAL_SHARE:
        drawn |= _wide_marker(rng, marker)
    return dataclasses.replace(load_parameters(marker), size_px=(side, side), mpp=mpp, **drawn)


def _wide_marker(rng: np.random.Generator, marker: str) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "marker_od": float(np.exp(rng.uniform(np.log(0.2), np.log(2.2)))),
        "marker_spread": (0.1, 0.5),
        "positive_share": (1, 1) if rng.random() < 0.5 else (0.05, 1.1),
        "cytoplasm_um": (2.5, 12),
    }
    if marker == "membranous":
        leak = rng.uniform(0, 1, 2) ** 2
        drawn |= {"cytoplasm_leak": 0.65 * float(leak[0]), "nucleus_leak": 0.4 * float(leak[1])}
        drawn |= {"completeness": _completeness(rng)}
    return drawn


def _completeness(rng: np.random.Generator) -> float:
    """Whole membranes, hardly any, and all between."""
    kind = rng.random()
    if kind < 0.25:
        return 1.0
    return float(np.exp(rng.uniform(np.log(0.005), 0)) if kind < 0.6 else rng.uniform(0.05, 1))


def training_cells(seed: int, numbers: Sequence[int]) -> Cells:
    """Render some tiles and read their cells.

    Parameters
    ----------
    seed : int
        Of the training run.
    numbers : sequence of int
        Of the tiles.
    """
    tiles = [_tile(seed, number) for number in numbers]
    rng = np.random.default_rng([seed, *numbers])
    clean = [places for _, places in tiles if _densest(places) < CLEAN_OD]
    found = []
    for cells, places in tiles:
        textures = np.array(_textures(rng, places, clean), np.float32)
        found.append(dataclasses.replace(cells, texture=textures[rng.integers(0, len(textures), len(cells.od))]))
    return _joined(found)


def _textures(rng: np.random.Generator, own: list[Place], clean: list[list[Place]]) -> list[tuple[float, ...]]:
    """Describe a tile as a whole, in parts, and among unstained tissue: slides are more varied than tiles."""

    def some(places: list[Place], share: float, least: int) -> list[Place]:
        number = min(len(places), max(least, int(share * len(places))))
        return [places[k] for k in rng.choice(len(places), number, replace=False)]

    parts = [some(own, rng.uniform(0.3, 0.9), 4) for _ in range(PARTS)]
    mixed = [some(own, rng.uniform(0.3, 1), 4) for _ in range(MIXED)]
    for part in mixed if clean else ():
        part += some(clean[rng.integers(len(clean))], rng.uniform(0, 0.7), 0)
    return [summary(places) for places in (own, *parts, *mixed)]


def _densest(places: list[Place]) -> float:
    return float(np.percentile(np.concatenate([place["density"] for place in places]), 99.5))


def _tile(seed: int, number: int) -> tuple[Cells, list[Place]]:
    """Render a tile and look at its places; the cells' textures are still missing."""
    rng = np.random.default_rng([seed, number])
    phantom = render(tile_parameters(rng), int(rng.integers(2**62)))
    if rng.random() < DEFAULT_LIGHT_SHARE:
        background = np.full(3, DEFAULT_LIGHT)
    else:
        background = np.clip(phantom.background * (1 + LIGHT_ERROR * rng.uniform(-1, 1, 3)), 1, 255)
    turned = [
        shifted(rng, vector, STAIN_ERROR_DEG * rng.random())
        for vector in (phantom.stains.hematoxylin, phantom.stains.dab)
    ]
    size = phantom.nuclei.shape
    frame = frame_for(size[1], size[0], mpp=phantom.parameters.mpp, working_mpp=WORKING_MPP)
    rgb = WorkingImage(ArraySlide(phantom.rgb, frame.mpp), frame).read((0, 0, *frame.shape))
    matrix = StainMatrix(*turned)
    stains = unmix_light(rgb, background, matrix)
    if rng.random() < TRUE_NUCLEI_SHARE:
        nuclei = np.asarray(sample_labels(phantom.nuclei, frame), np.int32)
    else:
        nuclei = Network().segment(BlockPixels(rgb, matrix, background, frame.working_mpp))
    xy = np.column_stack(centroids_px(nuclei)) if nuclei.any() else np.zeros((0, 2))
    levels = both_levels(rgb, background, matrix)
    profiles = read_profiles(levels, nuclei, xy, range(len(xy)), frame.working_mpp)
    places = look_closely(_tissue(rgb, stains), background, matrix)
    return _with_truth(phantom, profiles, frame.to_level0(xy)), places


def _tissue(rgb: NDArray[np.uint8], stains: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """Cut a tile into places, and leave out those that are glass."""
    stained = np.maximum(stains[..., :2], 0).sum(axis=2) > TISSUE_OD
    rows, columns = (range(0, length - PLACE_PX + 1, PLACE_PX) for length in rgb.shape[:2])
    boxes = [(slice(y, y + PLACE_PX), slice(x, x + PLACE_PX)) for y in rows for x in columns]
    kept = [box for box in boxes if stained[box].mean() > TISSUE_SHARE]
    return [rgb[box] for box in kept or boxes]


def _with_truth(phantom: Phantom, profiles: Profiles, xy: NDArray[np.float64]) -> Cells:
    """Look along each ray for the true membrane of the cell whose nucleus the centroid lies in."""
    mpp = phantom.parameters.mpp
    last = np.array(phantom.cells.shape[::-1]) - 1
    x, y = np.clip(xy.astype(int), 0, last).T
    own = phantom.nuclei[y, x]
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    fine = np.arange(0, 28, FINE_UM)
    ways = [
        np.rint(np.clip((xy[:, k] - 0.5)[:, None, None] + way[None, :, None] * fine / mpp, 0, last[k])).astype(int)
        for k, way in ((0, np.cos(angle)), (1, np.sin(angle)))
    ]
    on = (phantom.membranes[ways[1], ways[0]] == own[:, None, None]) & (own > 0)[:, None, None]
    starts = np.diff(on.astype(np.int8), axis=2, prepend=0) == 1
    on &= np.cumsum(starts, axis=2) == 1  # the first crossing
    number = on.sum(axis=2)

    def mean(values: NDArray[Any]) -> NDArray[np.float32]:
        total = (values * on).sum(axis=2)
        return np.asarray(np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0), np.float32)

    line = np.zeros(on.shape) if phantom.stained is None else phantom.stained[ways[1], ways[0]]
    step = (mean(fine) - profiles.edge_um) / STEP_UM + BEFORE
    good = number.any(axis=1)
    values = mean(phantom.dab[ways[1], ways[0]]), mean(line), step.astype(np.float32)
    missing = np.zeros((int(good.sum()), 0), np.float32)
    rays = seen(profiles)[good, ..., AROUND:-AROUND]
    return Cells(rays.astype(np.float16), missing, *(v[good] for v in values))


def make_shard(folder: Path, seed: int, shard: int) -> Path:
    """Render `PER_SHARD` tiles into a file, unless it is there."""
    path = folder / f"cells_{seed}_{shard:04d}.npz"
    if not path.exists():
        cv2.setNumThreads(1)
        cells = training_cells(seed, range(shard * PER_SHARD, (shard + 1) * PER_SHARD))
        part = path.with_suffix(".part.npz")
        np.savez(part, **{f.name: getattr(cells, f.name) for f in dataclasses.fields(Cells)})
        part.replace(path)
    return path


def _joined(parts: Sequence[Cells]) -> Cells:
    return Cells(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Cells)))


def read_cells(paths: Sequence[Path]) -> Cells:
    """Read what `make_shard` wrote; memory for one copy is taken, 5 kB for each cell."""

    def joined(name: str) -> NDArray[Any]:
        parts = (np.load(path)[name] for path in paths)
        first = next(parts)
        out = np.empty((number, *first.shape[1:]), first.dtype)
        start = 0
        for part in itertools.chain([first], parts):
            out[start : start + len(part)] = part
            start += len(part)
        return out

    number = sum(len(np.load(path)["od"]) for path in paths)
    return Cells(*(joined(f.name) for f in dataclasses.fields(Cells)))


class MembraneNet(nn.Module):
    """Say where along each ray the border lies, and what it is like there.

    Every second sample proposes a density and a line; a softmax along the ray chooses between them. The slide's texture
    moves what the convolutions answer to.

    Parameters
    ----------
    mean, spread : Tensor of shape (t,)
        What textures are centred on and divided by.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.slide = nn.Sequential(
            nn.Linear(len(mean), SLIDE_WIDTH),
            nn.ReLU(),
            nn.Linear(SLIDE_WIDTH, SLIDE_WIDTH),
            nn.ReLU(),
            nn.Linear(SLIDE_WIDTH, FIRST + SECOND),
        )
        self.first = nn.Conv2d(PLANES, FIRST, (5, 4), 2, (2, 0))
        self.second = nn.Conv2d(FIRST, SECOND, 3, 2, (1, 0))
        self.proposal = nn.Conv2d(SECOND, 3 * PAIR * GROUP, 1)
        self.prior = nn.Parameter(torch.zeros(SAMPLES // 2))

    def moved(self, texture: Tensor) -> tuple[Tensor, Tensor]:
        """Give what textures add to the biases of the first two convolutions, of shapes (n, 16) and (n, 64)."""
        far = torch.clamp((texture - self.mean) / self.spread, -FARTHEST, FARTHEST)
        both = self.slide(far)
        return both[:, :FIRST], both[:, FIRST:]

    def propose(self, around: Tensor, first: Tensor | None, second: Tensor | None) -> Tensor:
        """Give the proposals that `ihcscore.membrane.reader.settled` takes, of rays that already go round."""
        y = self.first(around)
        y = functional.relu(y if first is None else y + first[:, :, None, None])
        y = self.second(y)
        y = functional.relu(y if second is None else y + second[:, :, None, None])
        return cast(Tensor, self.proposal(y))

    def read(self, x: Tensor, first: Tensor | None, second: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give density, logit of the line, sample, and the logits of the place."""
        y = self.propose(torch.cat([x[..., -AROUND:], x, x[..., :AROUND]], 3), first, second)
        y = y.reshape(-1, 3, PAIR, GROUP, SAMPLES // 2 // PAIR, RAYS // GROUP).permute(0, 1, 5, 3, 4, 2)
        y = y.flatten(4, 5).flatten(2, 3)
        place = y[:, 0] + self.prior
        chosen = torch.softmax(place, 2)
        od = functional.softplus(4 * (chosen * y[:, 1]).sum(2)) / 4
        steps = 2.0 * torch.arange(SAMPLES // 2)
        return od, (chosen * y[:, 2]).sum(2), (chosen * steps).sum(2), place

    def forward(self, x: Tensor, texture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Do as `read`, each cell with the texture of its slide."""
        return self.read(x, *self.moved(texture))


class _Rays(nn.Module):
    """What reads the rays of one slide, once its biases are those of the slide."""

    def __init__(self, net: MembraneNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, around: Tensor) -> Tensor:
        return self.net.propose(around, None, None)


class _Slide(nn.Module):
    """What gives these biases, and what is added to the logits of each place."""

    def __init__(self, net: MembraneNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, texture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, second = self.net.moved(texture)
        biases = cast(Tensor, self.net.first.bias), cast(Tensor, self.net.second.bias)
        return first[0] + biases[0], second[0] + biases[1], torch.clone(self.net.prior)


def loss(
    found: tuple[Tensor, Tensor, Tensor, Tensor], od: Tensor, line: Tensor, step: Tensor, weights: Sequence[float]
) -> Tensor:
    """Add up the errors of density, line and place over the rays that meet a membrane, and of each cell's density."""
    ok = torch.isfinite(od)
    means = (torch.where(ok, values, 0).sum(1) / ok.sum(1).clamp(min=1) for values in (found[0], od))
    density, logit, _, place = (value[ok] for value in found)
    crossed = functional.binary_cross_entropy_with_logits(logit, line[ok].clamp(0, 1))
    at = (step[ok] / 2).round().long().clamp(0, SAMPLES // 2 - 1)
    parts = (_apart(density, od[ok]), crossed, functional.cross_entropy(place, at), _apart(*means))
    return torch.stack([weight * part for weight, part in zip(weights, parts, strict=True)]).sum()


def _apart(found: Tensor, true: Tensor) -> Tensor:
    return ((found - true) ** 2 / (OD_FLOOR + found.detach())).mean()


def fit(cells: Cells, steps: int, seed: int, report: Callable[[str], None]) -> MembraneNet:
    """Train on random cells in `STAGES`, each along a cosine of falling rates; give the running mean of the weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    textures = torch.from_numpy(cells.texture)
    net = MembraneNet(textures.mean(0), textures.std(0) + LEAST_SPREAD)
    for stage in STAGES:
        net = _train(net, cells, stage, max(1, round(stage.share * steps)), rng, report)
    return net.eval()


def _train(
    net: MembraneNet,
    cells: Cells,
    stage: Stage,
    steps: int,
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> MembraneNet:
    kinds = _kinds(cells)
    textures = torch.from_numpy(cells.texture)
    mean = AveragedModel(net, avg_fn=_towards)
    optimizer = torch.optim.AdamW(net.parameters(), stage.rate, weight_decay=1e-4)
    recent = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = stage.rate * (0.5 * (1 + float(np.cos(np.pi * step / steps))) + 0.002)
        rows = np.append(rng.integers(0, len(cells.od), BATCH // 2), _evenly(rng, kinds, BATCH // 2))
        od, line, place = (torch.from_numpy(values[rows]) for values in (cells.od, cells.line, cells.step))
        blurred = textures[rows] + TEXTURE_NOISE * net.spread * torch.randn(BATCH, textures.shape[1])
        found = net(torch.from_numpy(cells.seen[rows].astype(np.float32)), blurred)
        value = loss(found, od, line, place, stage.weights)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        mean.update_parameters(net)
        recent.append(float(value.detach()))
        if (step + 1) % 1000 == 0:
            report(f"step {step + 1} of {steps}, loss {np.mean(recent[-1000:]):.4f}")
    return cast(MembraneNet, mean.module)


def _kinds(cells: Cells) -> list[NDArray[np.intp]]:
    """Part the cells by how much of their border is stained; kinds that there are none of are left out."""
    known = np.isfinite(cells.line)
    share = np.where(known, cells.line, 0).sum(axis=1) / known.sum(axis=1)
    kind = np.digitize(share, DEGREES)
    return [rows for k in range(len(DEGREES) + 1) if len(rows := np.flatnonzero(kind == k))]


def _evenly(rng: np.random.Generator, kinds: list[NDArray[np.intp]], number: int) -> NDArray[np.intp]:
    """Draw cells, each kind as often as another."""
    chosen = rng.integers(0, len(kinds), number)
    return np.array([kinds[k][rng.integers(len(kinds[k]))] for k in chosen])


def _towards(mean: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
    """Move the mean of the weights towards what they are now, faster in the beginning."""
    return mean + (now - mean) * max(1 - AVERAGE, 20 / (20 + int(steps)))


def export(net: MembraneNet, folder: Path, about: dict[str, Any]) -> None:
    """Write a network as ONNX, and beside it what it is, as JSON."""
    rays, slide = folder / RAYS_FILE, folder / SLIDE_FILE
    _export(_Rays(net), torch.zeros(2, PLANES, SAMPLES, RAYS + 2 * AROUND), rays, "profiles", ("proposals",))
    _export(_Slide(net), torch.zeros(1, len(TEXTURE)), slide, "texture", ("first", "second", "prior"))
    facts = {"sha256": hashlib.sha256(rays.read_bytes() + slide.read_bytes()).hexdigest(), **about}
    (folder / CARD_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _export(net: nn.Module, example: Tensor, path: Path, given: str, names: tuple[str, ...]) -> None:
    of_cells = {name: {0: "cells"} for name in (given, *names)} if len(example) > 1 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own future
        torch.onnx.export(
            net.eval(),
            (example,),
            str(path),
            input_names=[given],
            output_names=list(names),
            dynamic_axes=of_cells,
            opset_version=17,
            dynamo=False,
        )


def main(arguments: list[str] | None = None) -> None:
    """Render, read, train, write."""
    parser = argparse.ArgumentParser(prog="python -m ihcscore.train.membranes", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("ihcscore-train"), help="folder of cells and weights")
    parser.add_argument("--tiles", type=int, default=35_200, help=f"rounded up to {PER_SHARD}")
    parser.add_argument("--steps", type=int, default=135_000)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that render")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    given = parser.parse_args(arguments)
    folder = given.out / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    shards = -(-given.tiles // PER_SHARD)
    paths = []
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:  # a fork of torch can hang
        for path in pool.map(make_shard, [folder] * shards, [given.seed] * shards, range(shards)):
            paths.append(path)
            _say(f"{len(paths)} of {shards} shards of cells")
    cells = read_cells(paths)
    torch.set_num_threads(given.threads)
    began = time.monotonic()
    net = fit(cells, given.steps, given.seed, _say)
    about = {
        "seed": given.seed,
        "tiles": shards * PER_SHARD,
        "cells": len(cells.od),
        "steps": given.steps,
        "hours": round((time.monotonic() - began) / 3600, 2),
        "versions": {
            "ihcscore": __version__,
            **{name: importlib.metadata.version(name) for name in ("torch", "numpy")},
        },
    }
    export(net, given.out, about)
    sizes = [f"{name}: {(given.out / name).stat().st_size / 1e3:.0f} kB" for name in (RAYS_FILE, SLIDE_FILE)]
    _say(", ".join(sizes))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
