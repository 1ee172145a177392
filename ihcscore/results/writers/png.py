"""Pictures to PNG."""

import numpy as np
from imagecodecs import png_encode
from numpy.typing import NDArray

LEVEL = 1
"""Fast rather than small: what is drawn on a photograph compresses little more at a higher one."""
HUFFMAN, ABOVE = 2, 32
"""Strategy and filter that suit a photograph: half the time, and no larger."""


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """Encode an RGB image of shape (M, N, 3), dtype uint8, as PNG."""
    return bytes(png_encode(np.ascontiguousarray(rgb), level=LEVEL, strategy=HUFFMAN, filter=ABOVE))
