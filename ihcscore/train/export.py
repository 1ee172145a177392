"""Export trained weights as the packaged file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ihcscore.cells.segmentation.network import FORMAT
from ihcscore.train.integers import integer_model, spans
from ihcscore.train.network import RECEPTIVE_PX, STRIDE, NucleusNet
from ihcscore.train.tile_parameters import WORKING_MPP

WATCHED_TILES = 200
"""Tiles on which the range of each layer's values is found."""
AT_ONCE = 8


def export(net: NucleusNet, tiles: NDArray[np.uint8], path: Path, about: Mapping[str, Any]) -> str:
    """Write a network as ONNX, with its metadata as JSON.

    Parameters
    ----------
    net : NucleusNet
        Trained.
    tiles : ndarray of shape (n, M, N, 3), dtype uint8
        Light on which the range of each layer's values is found.
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

    shown = tiles[:: -(-len(tiles) // WATCHED_TILES)]
    light = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255
    batches = (light[k : k + AT_ONCE] for k in range(0, len(light), AT_ONCE))
    model = integer_model(net, spans(net, batches))
    facts = {"format": FORMAT, "mpp": WORKING_MPP, "margin_px": RECEPTIVE_PX, "stride": STRIDE}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
    onnx.save(model, str(path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = json.dumps({"sha256": sha256, **facts, **about}, indent=1) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    return sha256
