"""Quantize a trained network to integers, whose sums are exact and so the same on every processor."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ihcscore.train.network import DEEP_BLOCKS, LIGHT_MEAN, LIGHT_SPREAD, UNSHUFFLE, NucleusNet

MOST_WEIGHT = 64
"""Weights lie within this on either side: without VNNI, processors add two products of a byte and a weight in 16 bits,
and 255 * 64 * 2 just fits."""
TAIL = 1e-4
"""Share of the values at either end of a layer that may lie outside its range."""
SAMPLED = 100_000
"""Values of a layer and a batch whose quantiles decide."""
MOST_LOGIT = 6.0
"""Logits end here: probabilities from 0.0025 to 0.9975."""
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Layer:
    """A convolution with its batch norm in it.

    Parameters
    ----------
    weight : ndarray of shape (outputs, inputs, k, k), dtype float64
    bias : ndarray of shape (outputs,), dtype float64
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """The values that a byte represents: ``scale * (byte - zero)``."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> "Span":
        """Cover a range and 0, which is met exactly.

        Examples
        --------
        >>> Span.of(0, 510), Span.of(-1, 1).zero
        (Span(scale=2.0, zero=0), 128)
        """
        low, high = min(low, 0.0), max(high, 1e-6)
        scale = (high - low) / 255
        return cls(scale, int(np.clip(np.rint(-low / scale), 0, 255)))


LIGHT = Span(1 / (255 * LIGHT_SPREAD), round(255 * LIGHT_MEAN))
CHANCE = Span(1 / 255, 0)


def fold(block: nn.Module) -> Layer:
    """Fold a batch norm into the convolution before it.

    Parameters
    ----------
    block : Module
        A convolution, or a sequence that begins with one and its batch norm.
    """
    parts: list[Any] = [block] if isinstance(block, nn.Conv2d) else list(block.children())
    convolution, norm = parts[0], parts[1] if len(parts) > 1 else None
    bias = np.zeros(len(convolution.weight)) if convolution.bias is None else _numbers(convolution.bias)
    if norm is None:
        return Layer(_numbers(convolution.weight), bias)
    gain = _numbers(norm.weight) / np.sqrt(_numbers(norm.running_var) + norm.eps)
    weight = _numbers(convolution.weight) * gain[:, None, None, None]
    return Layer(weight, (bias - _numbers(norm.running_mean)) * gain + _numbers(norm.bias))


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.detach().double().numpy(), np.float64)


def spans(net: NucleusNet, batches: Iterable[Tensor]) -> dict[str, Span]:
    """Record the range of each layer's output.

    Parameters
    ----------
    net : NucleusNet
        Trained.
    batches : iterable of Tensor of shape (n, 3, M, N)
        Light, 0 to 1, as the network will see it.

    Returns
    -------
    dict of str to Span
        Of every layer that `integer_model` makes.
    """
    blocks = list(net.deep)
    watched: dict[str, nn.Module] = {name: getattr(net, name) for name in ("first", "fine", "down", "back", "merged")}
    watched |= {f"deep{k}": block for k, block in enumerate(blocks)}
    watched |= {f"change{k}": block.get_submodule("change") for k, block in enumerate(blocks)}
    low: dict[str, float] = {}
    high: dict[str, float] = {}

    def see(name: str, values: Tensor) -> None:
        flat = values.detach().flatten()
        ends = torch.quantile(flat[:: max(1, len(flat) // SAMPLED)], torch.tensor([TAIL, 1 - TAIL])).tolist()
        low[name], high[name] = min(low.get(name, 0.0), ends[0]), max(high.get(name, 0.0), ends[1])

    hooks = [
        module.register_forward_hook(lambda _, __, given, name=name: see(name, given))
        for name, module in watched.items()
    ]
    hooks.append(net.merged.register_forward_pre_hook(lambda _, given: see("sum", given[0])))
    net.eval()
    with torch.no_grad():
        for light in batches:
            net(light)
    for hook in hooks:
        hook.remove()
    return {name: Span.of(low[name], high[name]) for name in low} | {"out": Span.of(-MOST_LOGIT, MOST_LOGIT)}


def integer_model(net: NucleusNet, found: dict[str, Span]) -> Any:
    """Write the network as ONNX of 8-bit integers.

    Parameters
    ----------
    net : NucleusNet
        Trained.
    found : dict of str to Span
        From `spans`.

    Returns
    -------
    onnx.ModelProto
        Takes ``(1, M, N, 3)`` of light, uint8, white at 255; gives ``(1, M, N, OUTPUTS)`` of probabilities, uint8.
        Weights have a scale for each output and whole numbers up to `MOST_WEIGHT`; each layer's values are bytes.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(found)
    first = fold(net.first)
    graph.add("Transpose", ["light"], "planes", perm=[0, 3, 1, 2])
    graph.add("SpaceToDepth", ["planes"], "squares", blocksize=UNSHUFFLE)
    fine = graph.conv("first", "squares", LIGHT, Layer(_colors_last(first.weight), first.bias))
    fine = graph.conv("fine", fine, found["first"], fold(net.fine))
    deep, before = graph.conv("down", fine, found["fine"], fold(net.down), stride=2), "down"
    for k in range(DEEP_BLOCKS):
        layer = fold(net.deep[k].get_submodule("change"))
        change = graph.conv(f"change{k}", deep, found[before], layer, rectified=False)
        deep, before = graph.sum(f"deep{k}", (deep, before), (change, f"change{k}"), rectified=True), f"deep{k}"
    back = graph.conv("back", deep, found[before], fold(net.back), rectified=False)
    twice = graph.constant("twice", np.array([1, 1, 2, 2], np.float32))
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    graph.add("Resize", [graph.floats(back, found["back"]), "", twice], "wide", **modes)
    wide = graph.bytes("wide", found["back"])
    both = graph.sum("sum", (wide, "back"), (fine, "fine"), rectified=False)
    merged = graph.conv("merged", both, found["sum"], fold(net.merged))
    out = graph.conv("out", merged, found["merged"], fold(net.out), rectified=False)
    graph.add("Sigmoid", [graph.floats(out, found["out"])], "chance")
    graph.add("DepthToSpace", [graph.bytes("chance", CHANCE)], "pixels", blocksize=UNSHUFFLE, mode="CRD")
    graph.add("Transpose", ["pixels"], "maps", perm=[0, 2, 3, 1])
    light, maps = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1, "rows", "columns", planes])
        for name, planes in (("light", 3), ("maps", len(net.out.weight) // UNSHUFFLE**2))
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, "nuclei", [light], [maps], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def _colors_last(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Order the inputs as ONNX's SpaceToDepth gives them: torch's ``pixel_unshuffle`` has colors outermost."""
    outputs, inputs, *kernel = weight.shape
    parted = weight.reshape(outputs, inputs // UNSHUFFLE**2, UNSHUFFLE**2, *kernel)
    return parted.transpose(0, 2, 1, 3, 4).reshape(weight.shape)


@dataclass
class _Graph:
    """Nodes and constants: bytes between the layers, floats in the formulas, which onnxruntime fuses to integers."""

    found: dict[str, Span]
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def floats(self, name: str, span: Span) -> str:
        """Dequantize bytes; each consumer has its own copy, or onnxruntime does not fuse."""
        new = f"{name}.floats{len(self.nodes)}"
        scale = self.constant(f"{new}.scale", np.float32(span.scale))
        return self.add("DequantizeLinear", [name, scale, self.constant(f"{new}.zero", np.uint8(span.zero))], new)

    def bytes(self, name: str, span: Span) -> str:
        """Round to bytes."""
        scale = self.constant(f"{name}.bytes.scale", np.float32(span.scale))
        zero = self.constant(f"{name}.bytes.zero", np.uint8(span.zero))
        return self.add("QuantizeLinear", [name, scale, zero], f"{name}.bytes")

    def whole(self, name: str, values: NDArray[np.integer[Any]], scale: NDArray[np.float32]) -> str:
        """Constants with a scale for each output."""
        zero = self.constant(f"{name}.zero", np.zeros(len(scale), values.dtype))
        inputs = [self.constant(f"{name}.whole", values), self.constant(f"{name}.scale", scale), zero]
        return self.add("DequantizeLinear", inputs, name, axis=0)

    def conv(self, name: str, given: str, span: Span, layer: Layer, *, stride: int = 1, rectified: bool = True) -> str:
        largest = np.abs(layer.weight).reshape(len(layer.weight), -1).max(axis=1)
        scale = (np.maximum(largest, 1e-9) / MOST_WEIGHT).astype(np.float32)
        weight = np.rint(layer.weight / scale[:, None, None, None]).astype(np.int8)
        sums = (scale * np.float32(span.scale)).astype(np.float32)
        bias = np.clip(np.rint(layer.bias / sums), -(2**30), 2**30).astype(np.int32)
        inputs = [
            self.floats(given, span),
            self.whole(f"{name}.weight", weight, scale),
            self.whole(f"{name}.bias", bias, sums),
        ]
        side = weight.shape[-1]
        self.add("Conv", inputs, name, kernel_shape=[side] * 2, strides=[stride] * 2, pads=[side // 2] * 4)
        return self._end(name, rectified)

    def sum(self, name: str, first: tuple[str, str], second: tuple[str, str], *, rectified: bool) -> str:
        """Add two layers, each given as its bytes and whose span they have."""
        self.add("Add", [self.floats(values, self.found[whose]) for values, whose in (first, second)], name)
        return self._end(name, rectified)

    def _end(self, name: str, rectified: bool) -> str:
        if not rectified:
            return self.bytes(name, self.found[name])
        return self.bytes(self.add("Relu", [name], f"{name}.rectified"), self.found[name])
