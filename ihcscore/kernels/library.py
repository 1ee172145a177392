"""Load the compiled library and call its kernels with checked types."""

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ihcscore.errors import IhcscoreError
from ihcscore.kernels.sources import digest

FILE = Path(__file__).with_name("_kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))
INSTALL = "install ihcscore again (in a copy of its sources: pip install -e .)"

_N, _I32, _F32, _F64 = ctypes.c_int64, ctypes.c_int32, ctypes.c_float, ctypes.c_double


def _array(dtype: type[np.generic]) -> Any:
    return np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS")  # a call with another type or layout is refused


_U8S, _I32S, _I64S = (_array(dtype) for dtype in (np.uint8, np.int32, np.int64))
_F32S, _F64S = _array(np.float32), _array(np.float64)

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "transform": (_N, _F32S, _F32S, _F32S),
    "levels_of_light": (_N, _U8S, _F32S, _F32, _F32, _U8S),
    "quantised_stains": (_N, _U8S, _F32S, _F32, _I32S, _U8S, _U8S),
    "find_spans": (_N, _N, _I32S, _I32, _N, _I32S, _I32S, _I32S, _I32S),
    "sort_spans": (_N, _I32S, _I32S, _I32S, _I32S, _N, _I64S, _I64S, _I64S, _I64S),
    "sum_spans": (_N, _I64S, _I64S, _I64S, _I64S, _I64S),
    "write_wkb": (_N, _I64S, _F64S, _F64, _F64, _F64, _U8S, _I64S),
    "grow": (_N, _N, _I32S, _I32, _I32S),
    "near_border": (_N, _N, _I32S, _N, _I64S, _I32, _U8S),
    "partition": (_N, _I32S, _I32S, _U8S, _U8S),
    "measure_cells": (
        *(_N, _I64S, _I64S, _I64S, _I64S, _N, _U8S, _U8S, _F32S, _F32S, _F32, _F64, _F64, _F64S),
        *(_I64S, _I64S, _F64S, _F64S, _F64S),
    ),
    "hills": (_N, _N, _U8S, _U8S, _I32, _U8S, _I32, _I32, _U8S, _U8S, _I32S),
    "sizes": (_N, _N, _I32S, _N, _I64S, _I64S, _I64S),
    "highest": (_N, _I32S, _U8S, _N, _U8S),
    "renumber": (_N, _I32S, _N, _I32S),
    "trace": (_N, _I64S, _I64S, _I64S, _I64S, _I32, _I32, _F64S, _I64S, _I64S),
    "read_profiles": (_N, _I32, _I32, _U8S, _I32S, _I32, _I32S, _I32S, _U8S, _U8S, _I32S),
    "find_borders": (_N, _U8S, _U8S, _F32S, _F32S, _F32S, _F32, _F32, _U8S, _F32S, _F32S),
    "sum_up_borders": (_N, _F32S, _U8S, _F32S, _F32S, _F32S, _F32, _N, _F64S, _F32S),
    "ring_texts": (_N, _I64S, _I64S, _U8S, _I64S),
    "seen_profiles": (_N, _U8S, _U8S, _F32S, _F32S, _N, _F32S),
    "read_proposals": (_N, _F32S, _F32S, _F32S, _F32S, _F32S),
}
"""Argument types of each kernel, as in the C files; only the wrappers beside these call them."""


def run(kernel: str, *arguments: Any) -> int:
    """Call a kernel with arguments of the types in `SIGNATURES` and return its result.

    Raises MemoryError if a kernel has not enough, IhcscoreError if the compiled library is missing or was compiled from
    other sources, ctypes.ArgumentError for arrays of another type or layout.
    """
    found = int(getattr(_library(), f"ihc_{kernel}")(*arguments))
    if found < 0:
        raise MemoryError(f"not enough memory for {kernel}")
    return found


def check_shapes(**expected: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Raise ValueError where an array, by name, has another shape than it must have: (found, wanted)."""
    wrong = [f"{name} has shape {found}, not {wanted}" for name, (found, wanted) in expected.items() if found != wanted]
    if wrong:
        raise ValueError("; ".join(wrong))


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(FILE))
    except OSError as error:
        raise IhcscoreError(f"{FILE.name}, the compiled part of ihcscore, is missing: {INSTALL}") from error
    library.ihc_sources.restype = ctypes.c_char_p
    if library.ihc_sources() != digest(FILE.parent).encode():
        raise IhcscoreError(f"{FILE.name} was compiled from other sources than those beside it: {INSTALL}")
    for name, signature in SIGNATURES.items():
        kernel = getattr(library, f"ihc_{name}")
        kernel.argtypes, kernel.restype = signature, ctypes.c_int64
    return library
