"""From stain amounts to the image of a scanner."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihcscore.phantom.fields import Grid
from ihcscore.stains.unmix import mix
from ihcscore.stains.vectors import StainMatrix, unit

SHARPEN_PX = 1.0


@dataclass(frozen=True)
class Light:
    """Color of the background and of the stains.

    Parameters
    ----------
    background : ndarray of shape (3,), dtype float64
        Light without tissue, I0.
    """

    background: NDArray[np.float64]
    stains: StainMatrix


def shifted(rng: np.random.Generator, vector: tuple[float, float, float], degrees: float) -> tuple[float, float, float]:
    """Turn a stain vector by an angle in a random direction.

    Examples
    --------
    >>> shifted(np.random.default_rng(0), (0.0, 1.0, 0.0), 0.0)
    (0.0, 1.0, 0.0)
    """
    start, other = unit(vector), rng.standard_normal(3)
    side = unit(other - (other @ start) * start)
    angle = np.radians(degrees)
    r, g, b = (float(v) for v in np.cos(angle) * start + np.sin(angle) * side)
    return r, g, b


def absorb(
    hematoxylin: NDArray[np.float32],
    dab: NDArray[np.float32],
    deep: NDArray[np.float32],
    extra_od: NDArray[np.float32],
    stains: StainMatrix,
    deep_blur_px: float,
) -> NDArray[np.float32]:
    """Compute the transmittance ``10 ** -od`` (Beer-Lambert).

    Parameters
    ----------
    hematoxylin, dab : ndarray of shape (M, N), dtype float32
        Optical density of the stains.
    deep : ndarray of shape (M, N), dtype float32
        Share of the stain at a pixel that lies out of focus, 0 to 1.
    extra_od : ndarray of shape (M, N, 3), dtype float32
        Optical density per channel of everything else.
    deep_blur_px : float
        Standard deviation of the blur of what is out of focus.

    Returns
    -------
    ndarray of shape (M, N, 3), dtype float32

    Examples
    --------
    >>> zero = np.zeros((1, 1), np.float32)
    >>> absorb(zero, zero + 1, zero, np.zeros((1, 1, 3), np.float32), StainMatrix(), 0.0).round(3)
    array([[[0.538, 0.27 , 0.167]]], dtype=float32)
    """
    amounts = np.zeros((*hematoxylin.shape, 3), np.float32)
    for channel, stain in enumerate((hematoxylin, dab)):
        far = stain * deep
        amounts[..., channel] = stain - far + blurred(far, deep_blur_px)
    od = mix(amounts, stains)
    od += extra_od
    od *= np.float32(-np.log(10))
    return np.exp(od, out=od)


def expose(
    rng: np.random.Generator, passing: NDArray[np.float32], light: Light, grid: Grid, drawn: Mapping[str, float]
) -> NDArray[np.uint8]:
    """Record light with the artifacts of an instrument.

    Parameters
    ----------
    passing : ndarray of shape (M, N, 3), dtype float32
        Share of light that passes. Overwritten.
    drawn : mapping of str to float
        Uses `blur_um`, `chromatic_shift_um`, `stray_light`, `gamma`, `noise_grey`, `sharpen`, `jpeg_quality`,
        `jpeg_color`.

    Returns
    -------
    ndarray of shape (M, N, 3), dtype uint8
    """
    picture = blurred(_fringed(rng, passing, drawn["chromatic_shift_um"] / grid.mpp), drawn["blur_um"] / grid.mpp)
    stray = np.float32(drawn["stray_light"])
    picture *= 1 - stray
    picture += stray
    if drawn["gamma"] != 1:
        np.power(np.maximum(picture, 0), np.float32(drawn["gamma"]), out=picture)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    noise *= np.sqrt(np.maximum(picture, 0))
    noise *= np.float32(drawn["noise_grey"])
    picture *= light.background.astype(np.float32)
    picture += noise
    if drawn["sharpen"] > 0:
        picture += np.float32(drawn["sharpen"]) * (picture - blurred(picture, SHARPEN_PX))
    rgb = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return compressed(rgb, round(drawn["jpeg_quality"]), full_color=drawn["jpeg_color"] >= 0.5)


def blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Blur by a Gaussian; a standard deviation of 0 leaves the image."""
    if sigma_px <= 0:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def compressed(rgb: NDArray[np.uint8], quality: int, *, full_color: bool) -> NDArray[np.uint8]:
    """Pass an image through JPEG, its color at full (4:4:4) or half (4:2:0) resolution; quality 0 leaves it."""
    if quality <= 0:
        return rgb
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_color else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], options)
    bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(bgr[..., ::-1])


def _fringed(rng: np.random.Generator, image: NDArray[np.float32], shift_px: float) -> NDArray[np.float32]:
    """Move red and blue apart, as a lens with lateral color does."""
    angle = rng.uniform(0, 2 * np.pi)
    if shift_px <= 0:
        return image
    height, width = image.shape[:2]
    for channel, way in ((0, 1.0), (2, -1.0)):
        matrix = np.array([[1, 0, way * shift_px * np.cos(angle)], [0, 1, way * shift_px * np.sin(angle)]])
        moved = np.ascontiguousarray(image[..., channel])
        image[..., channel] = cv2.warpAffine(
            moved, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
    return image
