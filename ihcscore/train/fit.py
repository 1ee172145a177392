"""The training loop: crops, loss, schedule, checkpoints."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ihcscore.train.command import read_checkpoint, write_checkpoint
from ihcscore.train.network import NucleusNet
from ihcscore.train.tiles import Tiles

CROP = 160
MARGIN = 16
"""Pixels along a crop's border that count for nothing: what decides them lies outside."""
ZOOM, ZOOMED_SHARE = 1.25, 0.5
"""Half of the crops are enlarged or reduced, by so much at most."""
WARM_UP = 200
AVERAGE = 0.999
"""Of the running mean of the weights, which is what is shipped."""
REPORT_STEPS = 100
CHECKPOINT_STEPS = 500


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Parameters
    ----------
    steps : int
        Batches.
    batch : int
        Crops in each.
    rate : float
        Highest learning rate; it rises over `WARM_UP` steps and falls along a cosine.
    seed : int
        Of weights and crops.
    """

    steps: int
    batch: int = 16
    rate: float = 2e-3
    seed: int = 1

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        done = step / self.steps
        return self.rate * min(1.0, (step + 1) / WARM_UP) * (0.5 * (1 + float(np.cos(np.pi * done))) + 0.005)


def load_tiles(paths: Sequence[Path]) -> Tiles:
    """Read shards into memory."""
    parts = [np.load(path) for path in paths]
    return Tiles(*(np.concatenate([part[name] for part in parts]) for name in ("rgb", "height", "weight")))


def crops(rng: np.random.Generator, tiles: Tiles, count: int) -> tuple[Tensor, Tensor]:
    """Draw crops, turned, mirrored, zoomed and tinted at random.

    Returns
    -------
    light : Tensor of shape (count, 3, CROP, CROP)
        0 to 1.
    height : Tensor of shape (count, CROP, CROP)
        0 to 1.
    """
    light = np.empty((count, CROP, CROP, 3), np.uint8)
    height = np.empty((count, CROP, CROP), np.uint8)
    numbers = np.repeat(np.arange(len(tiles.weight)), tiles.weight)
    for k in range(count):
        n = numbers[rng.integers(len(numbers))]
        zoom = ZOOM ** rng.uniform(-1, 1) if rng.random() < ZOOMED_SHARE else 1.0
        side = round(CROP * zoom)
        row, column = rng.integers(0, tiles.rgb.shape[1] - side + 1, 2)
        window = (slice(row, row + side), slice(column, column + side))
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        smooth = cv2.INTER_AREA if side > CROP else cv2.INTER_LINEAR
        for source, target, how in ((tiles.rgb[n], light, smooth), (tiles.height[n], height, cv2.INTER_NEAREST)):
            zoomed = source[window] if side == CROP else cv2.resize(source[window], (CROP, CROP), interpolation=how)
            part = np.rot90(zoomed, turns)
            target[k] = part[::-1] if mirrored else part
        light[k] = _tint(rng, light[k])
    return (
        torch.from_numpy(light).permute(0, 3, 1, 2).float() / 255,
        torch.from_numpy(height).float() / 255,
    )


def _tint(rng: np.random.Generator, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Change gain, offset and exponent of each channel a little."""
    gain, offset = 1 + 0.05 * rng.standard_normal(3), 0.02 * rng.standard_normal(3)
    exponent = np.exp(0.08 * rng.standard_normal() + 0.03 * rng.standard_normal(3))
    table = (np.arange(256)[:, None] / 255) ** exponent * gain + offset
    return np.clip(np.rint(255 * table), 0, 255).astype(np.uint8)[rgb, np.arange(3)]


def loss(logits: Tensor, height: Tensor) -> Tensor:
    """Cross-entropy of the inside and smooth distance of the height."""
    inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    inside, hill = logits[:, 0][inner], torch.sigmoid(logits[:, 1][inner])
    truth = height[inner]
    crossed = functional.binary_cross_entropy_with_logits(inside, (truth > 0).float())
    return crossed + 4 * functional.smooth_l1_loss(hill, truth, beta=0.1)


class Run:
    """Training that can be interrupted and resumes from its last checkpoint.

    Raises ValueError if the checkpoint is damaged, or of a training of another schedule or of other tiles.

    Parameters
    ----------
    checkpoint : Path
        Read if it exists.
    tiles : int
        How many it learns from.
    bf16 : bool, default False
        Multiply with 16-bit floats: half the time on processors made for it, more on others.
    """

    def __init__(self, schedule: Schedule, checkpoint: Path, *, tiles: int, bf16: bool = False) -> None:
        torch.manual_seed(schedule.seed)
        self.schedule = schedule
        self.bf16 = bf16
        self.checkpoint = checkpoint
        self.rng = np.random.default_rng(schedule.seed)
        self.net: NucleusNet = NucleusNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean: NucleusNet = copy.deepcopy(self.net)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), schedule.rate, weight_decay=1e-4)
        self.step = 0
        self.seconds = 0.0
        self.kind: dict[str, object] = {**asdict(schedule), "tiles": tiles, "bf16": bf16}
        if checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state: dict[str, Any] = read_checkpoint(self.checkpoint, self.kind)
        for name in ("net", "mean", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seconds = state["step"], state["seconds"]
        self.rng.bit_generator.state = json.loads(state["chance"])

    def save(self) -> None:
        """Write the checkpoint, all or nothing."""
        state = {name: getattr(self, name).state_dict() for name in ("net", "mean", "optimizer")}
        chance = json.dumps(self.rng.bit_generator.state)
        about = {"kind": self.kind, "step": self.step, "seconds": self.seconds, "chance": chance}
        write_checkpoint(self.checkpoint, {**state, **about})

    def fit(self, tiles: Tiles, report: Callable[[str], None]) -> NucleusNet:
        """Train to the last step and return the averaged network."""
        smooth, before = None, time.monotonic()
        while self.step < self.schedule.steps:
            value = self._advance(tiles)
            smooth = value if smooth is None else 0.98 * smooth + 0.02 * value
            self.seconds += time.monotonic() - before
            before = time.monotonic()
            if self.step % REPORT_STEPS == 0:
                report(f"step {self.step} of {self.schedule.steps}, {self.seconds / 60:.1f} min, loss {smooth:.4f}")
            if self.step % CHECKPOINT_STEPS == 0:
                self.save()
        self.save()
        self.mean.eval()
        return self.mean

    def _advance(self, tiles: Tiles) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.step)
        light, height = crops(self.rng, tiles, self.schedule.batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.net(light.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), height)
        self.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self._average()
        return float(value.detach())

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(AVERAGE, self.step / (self.step + 10))
        for mean, now in zip(self.mean.state_dict().values(), self.net.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)
