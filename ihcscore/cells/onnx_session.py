"""Run networks on the processor with onnxruntime, one thread each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ihcscore.errors import WeightsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def open_session(
    data: bytes, name: str, weights: Mapping[str, NDArray[np.float32]] | None = None
) -> "InferenceSession":
    """Open a network for inference. Raises WeightsError if onnxruntime cannot read it.

    Parameters
    ----------
    data : bytes
        ONNX.
    name : str
        What a message calls it.
    weights : mapping of str to ndarray, optional
        Take the place of the network's own weights of these names.
    """
    import onnxruntime  # 0.1 s, and only networks need it

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # workers are processes; sums keep one order
    options.log_severity_level = 4
    values = {key: onnxruntime.OrtValue.ortvalue_from_numpy(weight) for key, weight in (weights or {}).items()}
    for key, value in values.items():
        options.add_initializer(key, value)
    try:
        session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        session.borrowed_weights = values  # onnxruntime does not keep them
        return session
    except Exception as error:  # onnxruntime's errors share no public root
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{name}: is not a network that onnxruntime reads ({reason})") from error


def run_and_release(session: "InferenceSession", inputs: dict[str, Any]) -> list[Any]:
    """Run a network and return memory that onnxruntime would otherwise keep.

    Returns
    -------
    list of ndarray
        Its outputs.
    """
    import onnxruntime

    options: Any = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return list(session.run(None, inputs, options))
