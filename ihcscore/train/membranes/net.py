"""The membrane network and its export."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ihcscore.cells.membrane.profiles import RAYS, SAMPLES
from ihcscore.cells.membrane.reader import AROUND, CARD_FILE, PLANES, RAYS_FILE, SLIDE_FILE
from ihcscore.stains.texture import TEXTURE

FARTHEST = 2.5
"""Standard deviations from the mean at which a texture is cut off: the network is not asked about what it never saw."""
FIRST, SECOND, SLIDE_WIDTH = 16, 64, 24
"""Channels of the convolutions and of what answers to the slide."""
GROUP, PAIR = 4, 2
"""Rays, and places along them, that are read together: the convolutions give something for every fourth and second."""


class MembraneNet(nn.Module):
    """Network that predicts where along each ray the cell border lies, and its staining there.

    Every second sample proposes a density and a line; a softmax along the ray chooses between them. The slide's texture
    moves what the convolutions answer to.

    Parameters
    ----------
    mean, spread : Tensor of shape (t,)
        What textures are centerd on and divided by.
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
        """Return what textures add to the biases of the first two convolutions, of shapes (n, 16) and (n, 64)."""
        far = torch.clamp((texture - self.mean) / self.spread, -FARTHEST, FARTHEST)
        both = self.slide(far)
        return both[:, :FIRST], both[:, FIRST:]

    def propose(self, around: Tensor, first: Tensor | None, second: Tensor | None) -> Tensor:
        """Return the proposals for `ihcscore.cells.membrane.reader`, from rays that are already padded circularly."""
        y = self.first(around)
        y = functional.relu(y if first is None else y + first[:, :, None, None])
        y = self.second(y)
        y = functional.relu(y if second is None else y + second[:, :, None, None])
        return cast(Tensor, self.proposal(y))

    def forward(self, around: Tensor, texture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return density, logit of the line, sample, and logits of the position, given each cell's slide texture."""
        y = self.propose(around, *self.moved(texture))
        y = y.reshape(-1, 3, PAIR, GROUP, SAMPLES // 2 // PAIR, RAYS // GROUP).permute(0, 1, 5, 3, 4, 2)
        y = y.flatten(4, 5).flatten(2, 3)
        place = y[:, 0] + self.prior
        chosen = torch.softmax(place, 2)
        od = functional.softplus(4 * (chosen * y[:, 1]).sum(2)) / 4
        steps = 2.0 * torch.arange(SAMPLES // 2)
        return od, (chosen * y[:, 2]).sum(2), (chosen * steps).sum(2), place


class _Rays(nn.Module):
    """The layers over rays, with the biases of one slide."""

    def __init__(self, net: MembraneNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, around: Tensor) -> Tensor:
        return self.net.propose(around, None, None)


class _Slide(nn.Module):
    """The layers that compute these biases, and the offset of each position's logit."""

    def __init__(self, net: MembraneNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, texture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, second = self.net.moved(texture)
        biases = cast(Tensor, self.net.first.bias), cast(Tensor, self.net.second.bias)
        return first[0] + biases[0], second[0] + biases[1], torch.clone(self.net.prior)


def export(net: MembraneNet, folder: Path, about: dict[str, Any]) -> None:
    """Write a network as ONNX, with its metadata as JSON."""
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
