"""Train the network that reads membranes along rays, on phantoms alone.

    python -m ihcscore.train.membranes [--out DIR] [--tiles 1600] [--steps 18000] [--seed 12]

Writes ``membranes.onnx`` and ``membranes.json``, which ship in ``ihcscore/membrane/weights``.
"""

import argparse
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ihcscore import __version__
from ihcscore.geometry import frame_for
from ihcscore.io.slides.flat import ArraySlide
from ihcscore.io.working import WorkingImage
from ihcscore.membrane.profiles import BEFORE, RAYS, SAMPLES, STEP_UM, Profiles, read_profiles
from ihcscore.membrane.reader import seen
from ihcscore.phantom import Phantom, PhantomParameters, load_parameters, render
from ihcscore.phantom.labels import centroids_px
from ihcscore.phantom.optics import shifted
from ihcscore.segment.base import BlockPixels
from ihcscore.segment.given import sample_labels
from ihcscore.segment.network import Network
from ihcscore.stains.density import optical_density
from ihcscore.stains.unmix import unmix
from ihcscore.stains.vectors import StainMatrix
from ihcscore.train.variety import DAB, HEMATOXYLIN, WORKING_MPP, source_mpp

PER_SHARD = 20
SIDE_UM = 160.0
MARKERS = ("membranous", "cytoplasmic", "nuclear", "negative")
MARKER_SHARES = (0.68, 0.18, 0.08, 0.06)
TRUE_NUCLEI_SHARE = 0.3
"""Of the tiles whose nuclei are the true ones instead of those the network finds."""
STAIN_ERROR_DEG, LIGHT_ERROR = 1.5, 0.015
"""Stain vectors and background are known about as well as this."""
FINE_UM = 0.25
"""Step at which the truth is read along a ray."""

WIDTH = 16
BATCH = 64
RATE = 6e-3
OD_FLOOR = 0.15
"""Errors of density count relative to it plus this."""
WEIGHTS = (4.0, 1.0, 0.3)
"""Of density, line and place in the loss."""


@dataclasses.dataclass(frozen=True)
class Cells:
    """Cells to learn from.

    Parameters
    ----------
    seen : ndarray of shape (n, 2, 32, 24), dtype float16
        See `ihcscore.membrane.reader.seen`.
    od, line, step : ndarray of shape (n, 32), dtype float32
        DAB OD of the cell's own membrane, share of it that light shows stained, sample at which it lies; NaN where the
        ray meets none.
    """

    seen: NDArray[np.float16]
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
        "marker_od": float(np.exp(rng.uniform(np.log(0.2), np.log(2.0)))),
        "marker_spread": (0.1, 0.5),
        "positive_share": (0.1, 1.5),
        "cytoplasm_um": (2.5, 12),
        "membrane_um": (0.8, 1.6),
        "tumor_coverage": (0.15, 0.6),
        "elongation": (1.0, 2.4),
        "alignment": (0, 1),
        "background": (200, 255),
        "noise_grey": (0.5, 3.5),
        "jpeg_quality": 0.0 if rng.random() < 0.15 else float(rng.uniform(65, 97)),
    }
    if marker == "membranous":
        leak = rng.uniform(0, 1, 2) ** 1.5
        drawn |= {"cytoplasm_leak": 0.65 * float(leak[0]), "nucleus_leak": 0.4 * float(leak[1])}
        drawn |= {"completeness": _completeness(rng)}
    return dataclasses.replace(load_parameters(marker), size_px=(side, side), mpp=mpp, **drawn)


def _completeness(rng: np.random.Generator) -> float:
    """Whole membranes, hardly any, and all between."""
    kind = rng.random()
    if kind < 0.3:
        return 1.0
    return float(np.exp(rng.uniform(np.log(0.005), 0)) if kind < 0.65 else rng.uniform(0.1, 1))


def training_cells(seed: int, number: int) -> Cells:
    """Render one tile and read its cells.

    Parameters
    ----------
    seed, number : int
        Of the training run and of the tile.
    """
    rng = np.random.default_rng([seed, number])
    phantom = render(tile_parameters(rng), int(rng.integers(2**62)))
    background = np.clip(phantom.background * (1 + LIGHT_ERROR * rng.uniform(-1, 1, 3)), 1, 255)
    turned = [
        shifted(rng, vector, STAIN_ERROR_DEG * rng.random())
        for vector in (phantom.stains.hematoxylin, phantom.stains.dab)
    ]
    size = phantom.nuclei.shape
    frame = frame_for(size[1], size[0], mpp=phantom.parameters.mpp, working_mpp=WORKING_MPP)
    rgb = WorkingImage(ArraySlide(phantom.rgb, frame.mpp), frame).read((0, 0, *frame.shape))
    stains = unmix(optical_density(rgb, background, clip=False), StainMatrix(*turned))
    if rng.random() < TRUE_NUCLEI_SHARE:
        nuclei = np.asarray(sample_labels(phantom.nuclei, frame), np.int32)
    else:
        nuclei = Network().segment(BlockPixels(rgb, stains, background, frame.working_mpp))
    xy = np.column_stack(centroids_px(nuclei)) if nuclei.any() else np.zeros((0, 2))
    dab = np.ascontiguousarray(stains[..., 1], np.float32)
    profiles = read_profiles(dab, nuclei, xy, range(len(xy)), frame.working_mpp)
    return _with_truth(phantom, profiles, frame.to_level0(xy))


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
    return Cells(seen(profiles)[good].astype(np.float16), *(v[good] for v in values))


def make_shard(folder: Path, seed: int, shard: int) -> Path:
    """Render `PER_SHARD` tiles into a file, unless it is there."""
    path = folder / f"cells_{seed}_{shard:04d}.npz"
    if not path.exists():
        cv2.setNumThreads(1)
        cells = _joined([training_cells(seed, shard * PER_SHARD + k) for k in range(PER_SHARD)])
        part = path.with_suffix(".part.npz")
        np.savez(part, **{f.name: getattr(cells, f.name) for f in dataclasses.fields(Cells)})
        part.replace(path)
    return path


def _joined(parts: Sequence[Cells]) -> Cells:
    return Cells(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Cells)))


class MembraneNet(nn.Module):
    """Say where along each ray the border lies, and what it is like there.

    Every second sample proposes a density and a line; a softmax along the ray chooses between them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, WIDTH, (3, 5), (1, 2), (0, 2)), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, 1, (0, 1)), nn.ReLU()
        )
        self.proposal = nn.Conv2d(WIDTH, 3, 1)
        self.prior = nn.Parameter(torch.zeros(SAMPLES // 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give density, logit of the line, sample, and the logits of the place."""
        round_ = torch.cat([x[:, :, -2:], x, x[:, :, :2]], 2)  # rays go round: two more for two convolutions of three
        y = self.proposal(self.features(round_))
        place = y[:, 0] + self.prior
        chosen = torch.softmax(place, 2)
        od = functional.softplus(4 * (chosen * y[:, 1]).sum(2)) / 4
        steps = 2.0 * torch.arange(SAMPLES // 2)
        return od, (chosen * y[:, 2]).sum(2), (chosen * steps).sum(2), place


class _Shipped(nn.Module):
    def __init__(self, net: MembraneNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        od, line, step, _ = self.net(x)
        return od, torch.sigmoid(line), step


def loss(found: tuple[Tensor, Tensor, Tensor, Tensor], od: Tensor, line: Tensor, step: Tensor) -> Tensor:
    """Add up the errors of density, line and place over the rays that meet a membrane."""
    ok = torch.isfinite(od)
    density, logit, _, place = (value[ok] for value in found)
    wrong = ((density - od[ok]) ** 2 / (OD_FLOOR + density.detach())).mean()
    crossed = functional.binary_cross_entropy_with_logits(logit, line[ok].clamp(0, 1))
    at = (step[ok] / 2).round().long().clamp(0, SAMPLES // 2 - 1)
    parts = (wrong, crossed, functional.cross_entropy(place, at))
    return torch.stack([weight * part for weight, part in zip(WEIGHTS, parts, strict=True)]).sum()


def fit(cells: Cells, steps: int, seed: int, report: Callable[[str], None]) -> MembraneNet:
    """Train on random cells along a cosine of falling rates."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = MembraneNet()
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-4)
    recent = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (0.5 * (1 + float(np.cos(np.pi * step / steps))) + 0.002)
        rows = rng.integers(0, len(cells.od), BATCH)
        truth = (torch.from_numpy(values[rows]) for values in (cells.od, cells.line, cells.step))
        value = loss(net(torch.from_numpy(cells.seen[rows].astype(np.float32))), *truth)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        recent.append(float(value.detach()))
        if (step + 1) % 1000 == 0:
            report(f"step {step + 1} of {steps}, loss {np.mean(recent[-1000:]):.4f}")
    return net.eval()


def export(net: MembraneNet, path: Path, about: dict[str, Any]) -> None:
    """Write a network as ONNX, and beside it what it is, as JSON."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own future
        torch.onnx.export(
            _Shipped(net).eval(),
            (torch.zeros(2, 2, RAYS, SAMPLES),),
            str(path),
            input_names=["profiles"],
            output_names=["od", "line", "step"],
            dynamic_axes={name: {0: "cells"} for name in ("profiles", "od", "line", "step")},
            opset_version=17,
            dynamo=False,
        )
    facts = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **about}
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Render, read, train, write."""
    parser = argparse.ArgumentParser(prog="python -m ihcscore.train.membranes", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("ihcscore-train"), help="folder of cells and weights")
    parser.add_argument("--tiles", type=int, default=1600, help=f"rounded up to {PER_SHARD}")
    parser.add_argument("--steps", type=int, default=18_000)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that render")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    given = parser.parse_args(arguments)
    folder = given.out / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    shards = -(-given.tiles // PER_SHARD)
    paths = []
    with ProcessPoolExecutor(given.workers) as pool:
        for path in pool.map(make_shard, [folder] * shards, [given.seed] * shards, range(shards)):
            paths.append(path)
            _say(f"{len(paths)} of {shards} shards of cells")
    cells = _joined([Cells(**np.load(path)) for path in paths])
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
    path = given.out / "membranes.onnx"
    export(net, path, about)
    _say(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
