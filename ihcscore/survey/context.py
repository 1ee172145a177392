"""Background and stain vectors of a slide, an image or a group of tiles, and how they were obtained."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihcscore.errors import IhcscoreError
from ihcscore.stains.background import DARKEST_BACKGROUND
from ihcscore.stains.estimate import DOUBT
from ihcscore.stains.plane import Plane
from ihcscore.stains.texture import TEXTURE
from ihcscore.stains.vectors import StainMatrix

DEFAULT_STAINS = "default: Ruifrok & Johnston 2001"
NO_GLASS = "no glass found, so the background is 255: give --background R,G,B or group it with tiles with glass"
NOT_ESTIMATED = "stains not estimated"
ABOUT_ESTIMATE = (NOT_ESTIMATED, DOUBT)
"""Texts in warnings that are about an estimate; they no longer hold where other vectors replace it."""


@dataclass(frozen=True)
class SlideContext:
    """Background and stain vectors, and how they were obtained.

    Parameters
    ----------
    background : tuple of 3 float
        Light without tissue, I0.
    background_origin : str
        "given", "glass ..." or why the fallback was taken.
    stains : StainMatrix
        Stain vectors.
    stains_origin : str
        "default", "given", "estimated ..." or why the fallback was taken.
    appearance : str
        What the colors look like: the status of the stain estimate.
    warnings : tuple of str
        What the user should know.
    plane : tuple of 4 float, optional
        Where the stained colors lie, as they are and not as `stains` has them (`ihcscore.stains.plane`); None where
        they do not look like two stains, and until it is estimated.
    texture : tuple of float, optional
        How dense and how sharp the DAB's lines and grains are, as `ihcscore.stains.texture.describe` says; None until
        it is measured. Both are an image's own, whatever it shares with others.
    """

    background: tuple[float, float, float]
    background_origin: str
    stains: StainMatrix
    stains_origin: str
    appearance: str = ""
    warnings: tuple[str, ...] = ()
    plane: Plane | None = None
    texture: tuple[float, ...] | None = None

    @property
    def light(self) -> tuple[tuple[float, float, float], StainMatrix]:
        """Background and vectors: what densities mean, and what images of a group share."""
        return self.background, self.stains

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "background": list(self.background),
            "background_origin": self.background_origin,
            "stains": self.stains.to_dict(),
            "stains_origin": self.stains_origin,
            "appearance": self.appearance,
            "warnings": list(self.warnings),
            "plane": None if self.plane is None else list(self.plane),
            "texture": None if self.texture is None else list(self.texture),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SlideContext":
        """Read what `to_dict` returned. Raises ValueError if background or stains are missing or make no sense."""
        background = data.get("background")
        usable = isinstance(background, list | tuple) and len(background) == 3 and all(map(_is_light, background))
        if not usable or background is None:
            raise ValueError(f"background must be three numbers from {DARKEST_BACKGROUND} to 255, found {background!r}")
        red, green, blue = (float(v) for v in background)
        return cls(
            (red, green, blue),
            str(data.get("background_origin", "given")),
            StainMatrix.from_dict(data.get("stains", {})),
            str(data.get("stains_origin", "given")),
            str(data.get("appearance", "")),
            tuple(str(text) for text in _texts(data.get("warnings", ()))),
            _plane(data.get("plane")),
            _texture(data.get("texture")),
        )


def _texts(values: Any) -> Sequence[Any]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"warnings must be a list, found {values!r}")
    return values


def _plane(values: Any) -> Plane | None:
    if values is None:
        return None
    try:
        x, y, z, distance = (float(v) for v in (*values, 0.0)[: max(4, len(values))])  # until 0.15 it had no distance
    except (TypeError, ValueError):
        raise ValueError(f"plane must be four numbers, found {values!r}") from None
    return x, y, z, distance


def _texture(values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        found = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        found = ()
    if len(found) != len(TEXTURE) or not all(map(math.isfinite, found)):
        wrong = f"found {values!r}: leave it out if it is of an earlier version"
        raise ValueError(f"texture must be {len(TEXTURE)} numbers, {wrong}")
    return found


def _is_light(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and DARKEST_BACKGROUND <= value <= 255


def load_context(path: str | Path) -> SlideContext:
    """Read a context from a file that `ihcscore stains` wrote, or from the summary.json of a result.

    Raises
    ------
    IhcscoreError
        If the file cannot be read or holds no context.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text("utf-8-sig"))
        return SlideContext.from_dict(data.get("context", data))
    except OSError as error:
        raise IhcscoreError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise IhcscoreError(
            f"{path.name}: holds no background and stains ({error}); write one with 'ihcscore stains'"
        ) from error
