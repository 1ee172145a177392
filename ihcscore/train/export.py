"""From trained weights to the one file that ships."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ihcscore.segment.network import FORMAT
from ihcscore.train.network import LIGHT_MEAN, LIGHT_SPREAD, RECEPTIVE_PX, STRIDE, UNSHUFFLE, WIDTH, NucleusNet
from ihcscore.train.variety import WORKING_MPP


class _Shipped(nn.Module):
    """Bytes in, bytes out: ``(1, M, N, 3)`` of light to ``(1, M, N, outputs)``, uint8.

    The first convolution takes the pixels as they lie, by strides, instead of squares of them, and its weights hold the
    scale of the light: a tenth of the time less.
    """

    def __init__(self, net: NucleusNet) -> None:
        super().__init__()
        self.net = net
        width, side = WIDTH, 3 * UNSHUFFLE
        weight = net.state_dict()["first.0.weight"].reshape(width, 3, UNSHUFFLE, UNSHUFFLE, 3, 3)
        direct = nn.Conv2d(3, width, side, UNSHUFFLE, UNSHUFFLE, bias=False)
        weight = weight.permute(0, 1, 4, 2, 5, 3).reshape(width, 3, side, side)
        direct.weight = nn.Parameter(weight / (255 * LIGHT_SPREAD))
        self.first = nn.Sequential(direct, *list(net.first.children())[1:])

    def forward(self, light: Tensor) -> Tensor:
        logits = self.net.after(self.first(light.permute(0, 3, 1, 2).float() - 255 * LIGHT_MEAN))
        return torch.round(torch.sigmoid(logits) * 255).to(torch.uint8).permute(0, 2, 3, 1)


def export(net: NucleusNet, path: Path, about: Mapping[str, Any]) -> str:
    """Write a network as ONNX, and beside it what it is, as JSON.

    Parameters
    ----------
    net : NucleusNet
        Trained.
    path : Path
        Ends in ``.onnx``.
    about : mapping
        Goes into the JSON file.

    Returns
    -------
    str
        SHA-256 of the ONNX file.
    """
    import onnx

    shipped = _Shipped(net.eval()).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own future
        torch.onnx.export(
            shipped,
            (torch.zeros(1, 8 * STRIDE, 9 * STRIDE, 3, dtype=torch.uint8),),
            str(path),
            input_names=["light"],
            output_names=["maps"],
            dynamic_axes={"light": {1: "rows", 2: "columns"}, "maps": {1: "rows", 2: "columns"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    facts = {"format": FORMAT, "mpp": WORKING_MPP, "margin_px": RECEPTIVE_PX, "stride": STRIDE}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
    onnx.save(model, str(path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps({"sha256": sha256, **facts, **about}, indent=1) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    return sha256
