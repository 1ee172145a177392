"""Networks on the processor, one thread each."""

from typing import TYPE_CHECKING, Any

from ihcscore.errors import WeightsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def open_session(data: bytes, name: str) -> "InferenceSession":
    """Make a network ready.

    Parameters
    ----------
    data : bytes
        ONNX.
    name : str
        What a message calls it.

    Returns
    -------
    onnxruntime.InferenceSession

    Raises
    ------
    WeightsError
        If onnxruntime cannot read it.
    """
    import onnxruntime  # 0.1 s, and only networks need it

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # workers are processes; sums keep one order
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public root
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{name}: is not a network that onnxruntime reads ({reason})") from error


def run_and_release(session: "InferenceSession", inputs: dict[str, Any]) -> list[Any]:
    """Run a network on something large, and give back the memory that onnxruntime would keep for the next time.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    inputs : dict of str to ndarray

    Returns
    -------
    list of ndarray
        Its outputs.
    """
    import onnxruntime

    options: Any = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return list(session.run(None, inputs, options))
