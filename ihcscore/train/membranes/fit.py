"""The training of the membrane network: cells, loss, stages, checkpoints."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from ihcscore.cells.membrane.profiles import RAYS, SAMPLES, Profiles
from ihcscore.cells.membrane.reader import encode_profiles
from ihcscore.train.command import read_checkpoint, write_checkpoint
from ihcscore.train.membranes.cells import Cells
from ihcscore.train.membranes.net import MembraneNet

TEXTURE_NOISE = 0.2
"""Noise added to textures, in standard deviations: one tile's must not be known by heart."""
LEAST_SPREAD = 1e-3
AVERAGE = 0.998
"""Of the running mean of the weights, which is what is shipped."""

BATCH = 64
REPORT_STEPS = 1000
DEGREES = (0.02, 0.4, 0.7, 0.95)
"""Completeness that parts cells into five kinds. Half of the cells of a step are drawn evenly from them: of strongly
stained cells almost half are complete and one in seventy has a tenth of its border stained, and what is rare is taken
for what is common."""
OD_FLOOR = 0.15
"""Errors of density count relative to it plus this."""
ROUNDED = 0.02
"""Below this, distances count as squares do."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the training: its share of the steps, its first learning rate, and the weights of the loss's parts."""

    share: float
    rate: float
    weights: tuple[float, float, float, float]


STAGES = (
    Stage(1 / 2, 6e-3, (4.0, 1.0, 0.3, 4.0)),
    Stage(1 / 6, 2e-3, (4.0, 4.0, 0.3, 4.0)),
    Stage(1 / 6, 2e-3, (4.0, 8.0, 0.3, 4.0)),
    Stage(1 / 6, 2e-3, (4.0, 8.0, 0.3, 10.0)),
)
"""Weights of density, line, place and the cell's mean density. The cells' densities make scores right to within what a
slide shows; lines lose a little by it, so they come first."""


def loss(
    found: tuple[Tensor, Tensor, Tensor, Tensor], od: Tensor, line: Tensor, step: Tensor, weights: Sequence[float]
) -> Tensor:
    """Add up the errors of density, line and place over the rays that meet a membrane, and of each cell's density."""
    ok = torch.isfinite(od)
    means = (torch.where(ok, values, 0).sum(1) / ok.sum(1).clamp(min=1) for values in (found[0], od))
    density, logit, _, place = (value[ok] for value in found)
    crossed = functional.binary_cross_entropy_with_logits(logit, line[ok].clamp(0, 1))
    at = (step[ok] / 2).round().long().clamp(0, SAMPLES // 2 - 1)
    parts = (_squares(density, od[ok]), crossed, functional.cross_entropy(place, at), _distances(*means))
    return torch.stack([weight * part for weight, part in zip(weights, parts, strict=True)]).sum()


def _squares(found: Tensor, true: Tensor) -> Tensor:
    """Of rays: their mean is what a cell's density is made of."""
    return ((found - true) ** 2 / (OD_FLOOR + found.detach())).mean()


def _distances(found: Tensor, true: Tensor) -> Tensor:
    """Of cells: a class is right more often if as many are too dense as too pale, whatever the threshold."""
    apart = (found - true) / (OD_FLOOR + found.detach())
    return (torch.sqrt(apart**2 + ROUNDED**2) - ROUNDED).mean()


class Run:
    """Training that resumes after the last completed stage.

    Raises ValueError if the checkpoint is damaged, or of a training of other cells, steps, seed or stages.

    Parameters
    ----------
    steps : int
        Of all stages.
    seed : int
        Of weights, draws of cells and noise.
    checkpoint : Path
        Read if it exists.
    """

    def __init__(self, cells: Cells, steps: int, seed: int, checkpoint: Path) -> None:
        torch.manual_seed(seed)
        self.cells, self.kinds, self.textures = cells, _kinds(cells), torch.from_numpy(cells.texture)
        self.checkpoint, self.steps, self.seed = checkpoint, steps, seed
        self.net = MembraneNet(self.textures.mean(0), self.textures.std(0) + LEAST_SPREAD)
        self.finished = 0
        self.seconds = 0.0
        self.kind: dict[str, object] = {"cells": len(cells.od), "steps": steps, "seed": seed, "stages": repr(STAGES)}
        if checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state: dict[str, Any] = read_checkpoint(self.checkpoint, self.kind)
        self.net.load_state_dict(state["net"])
        self.finished, self.seconds = state["finished"], state["seconds"]

    def _save(self) -> None:
        state = {"kind": self.kind, "net": self.net.state_dict(), "finished": self.finished, "seconds": self.seconds}
        write_checkpoint(self.checkpoint, state)

    def fit(self, report: Callable[[str], None]) -> MembraneNet:
        """Train in `STAGES`, each along a cosine schedule; return the running mean of the weights."""
        for number in range(self.finished, len(STAGES)):
            began = time.monotonic()
            self.net = self._trained(number, report)
            self.finished += 1
            self.seconds += time.monotonic() - began
            self._save()
        return self.net.eval()

    def _trained(self, number: int, report: Callable[[str], None]) -> MembraneNet:
        stage, rng = STAGES[number], np.random.default_rng([self.seed, number])
        steps = max(1, round(stage.share * self.steps))
        mean = AveragedModel(self.net, avg_fn=_towards)
        optimizer = torch.optim.AdamW(self.net.parameters(), stage.rate, weight_decay=1e-4)
        recent = []
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = stage.rate * (0.5 * (1 + float(np.cos(np.pi * step / steps))) + 0.002)
            value = self._loss(rng, stage.weights)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            mean.update_parameters(self.net)
            recent.append(float(value.detach()))
            if (step + 1) % REPORT_STEPS == 0:
                smooth = np.mean(recent[-REPORT_STEPS:])
                report(f"stage {number + 1} of {len(STAGES)}: step {step + 1} of {steps}, loss {smooth:.4f}")
        return cast(MembraneNet, mean.module)

    def _loss(self, rng: np.random.Generator, weights: Sequence[float]) -> Tensor:
        """Draw cells and compute the loss."""
        cells = self.cells
        rows = np.append(rng.integers(0, len(cells.od), BATCH // 2), _evenly(rng, self.kinds, BATCH // 2))
        level = np.ascontiguousarray(cells.level[rows].swapaxes(0, 1))
        profiles = Profiles(level, cells.other[rows], np.zeros((BATCH, RAYS), np.float32))
        around = torch.from_numpy(encode_profiles(profiles))
        noise = torch.from_numpy(rng.standard_normal((BATCH, cells.texture.shape[1]), np.float32))
        found = self.net(around, self.textures[rows] + TEXTURE_NOISE * self.net.spread * noise)
        od, line, place = (torch.from_numpy(values[rows]) for values in (cells.od, cells.line, cells.step))
        return loss(found, od, line, place, weights)


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
