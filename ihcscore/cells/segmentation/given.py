"""Nuclei from another program, given as a label image."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ihcscore.cells.segmentation.base import TilePixels
from ihcscore.geometry import Frame
from ihcscore.io.nuclei import longest_px, why_no_nuclei

LARGEST_LABEL = np.iinfo(np.int64).max


@dataclass(frozen=True)
class GivenNuclei:
    """Takes nuclei from a label image instead of detecting them.

    Raises ValueError if the labels do not fit the image, are not integers from 0 to 2^63 - 1, or are a mask or a
    map of classes instead of one number for each nucleus; see `ihcscore.io.nuclei.why_no_nuclei`.

    Parameters
    ----------
    labels : ndarray of shape (M, N), integer
        0 is background, each other number, below 2^63, a nucleus, in level-0 pixels of the image.
    frame : Frame
        How working pixels lie on it; a working pixel takes the label at its center.

    Attributes
    ----------
    labels_given, labels_too_small : int
        How many nuclei were given, and how many of them hold no center of a working pixel and are lost.
    labels_sha256 : str
        Of the labels.
    """

    labels: NDArray[np.integer]
    frame: Frame
    name: str = "given"
    version: str = "1"
    influence_um: float = 0.0
    mpp: float = field(init=False)
    labels_given: int = field(init=False)
    labels_too_small: int = field(init=False)
    labels_sha256: str = field(init=False)
    largest_object_um: float = field(init=False)
    _sampled: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        expected = (self.frame.height, self.frame.width)
        if self.labels.shape != expected:
            raise ValueError(f"nuclei have shape {self.labels.shape}, the image has {expected}")
        if not np.issubdtype(self.labels.dtype, np.integer) or self.labels.min(initial=0) < 0:
            raise ValueError(f"nuclei must be labels, integers from 0; found {self.labels.dtype}")
        if self.labels.max(initial=0) > LARGEST_LABEL:
            raise ValueError(f"nuclei have labels up to {self.labels.max()}: none may be larger than {LARGEST_LABEL}")
        problem = why_no_nuclei(self.labels, self.frame.mpp)
        if problem is not None:
            raise ValueError(f"the array of nuclei {problem}")
        sampled = sample_labels(self.labels, self.frame).astype(np.int64)
        labels = np.unique(self.labels)
        object.__setattr__(self, "labels_given", int((labels > 0).sum()))
        object.__setattr__(self, "labels_too_small", int((labels > 0).sum() - (np.unique(sampled) > 0).sum()))
        object.__setattr__(self, "labels_sha256", hashlib.sha256(np.ascontiguousarray(self.labels).data).hexdigest())
        object.__setattr__(self, "_sampled", sampled)
        object.__setattr__(self, "mpp", self.frame.working_mpp)
        object.__setattr__(self, "largest_object_um", longest_px(sampled) * self.frame.working_mpp)

    def segment(self, block: TilePixels) -> NDArray[np.int32]:
        """Return the labels of a tile, renumbered 1..n."""
        row, col = block.origin
        height, width = block.rgb.shape[:2]
        part = self._sampled[row : row + height, col : col + width]
        values, labels = np.unique(part, return_inverse=True)
        shift = 0 if len(values) and values[0] == 0 else 1
        return (labels.reshape(part.shape) + shift).astype(np.int32)


def sample_labels(labels: NDArray[np.integer], frame: Frame) -> NDArray[np.integer]:
    """Sample a label image at the center of each working pixel.

    Parameters
    ----------
    labels : ndarray of shape (M, N), integer
        In level-0 pixels. Not modified.
    frame : Frame
        How working pixels lie on them.

    Returns
    -------
    ndarray of shape `frame.shape`, dtype as `labels`
    """
    rows, cols = (
        np.minimum(((np.arange(count) + 0.5) * frame.scale).astype(int), length - 1)
        for count, length in zip(frame.shape, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, cols)]
