"""Stain vectors: the color of a stain as optical density per channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RUIFROK_HEMATOXYLIN = (0.65, 0.70, 0.29)
RUIFROK_DAB = (0.27, 0.57, 0.78)
MIN_ANGLE_DEG = 5.0


def unit(vector: ArrayLike) -> NDArray[np.float64]:
    """Scale a vector to length 1. Raises ValueError if it is not three finite numbers of which one differs from 0.

    Examples
    --------
    >>> unit([0, 3, 4])
    array([0. , 0.6, 0.8])
    """
    values = np.asarray(vector, dtype=np.float64)
    if values.shape != (3,) or not np.all(np.isfinite(values)) or not np.any(values):
        raise ValueError(f"a stain vector is three numbers (R, G, B), not all 0; found {vector!r}")
    return np.asarray(values / np.linalg.norm(values), dtype=np.float64)


def angle_deg(a: ArrayLike, b: ArrayLike) -> float:
    """Angle between two vectors in degrees.

    Examples
    --------
    >>> round(angle_deg(RUIFROK_HEMATOXYLIN, RUIFROK_DAB), 1)
    36.9
    """
    return float(np.degrees(np.arccos(np.clip(unit(a) @ unit(b), -1, 1))))


@dataclass(frozen=True)
class StainMatrix:
    """Unit optical density of hematoxylin and DAB per color channel, and their residual.

    Parameters
    ----------
    hematoxylin, dab : tuple of 3 float
        Optical density of the stain in red, green and blue; scaled to length 1 on construction.

    Attributes
    ----------
    residual : tuple of 3 float
        Unit cross product of the two, what neither stain explains [1]_.

    Raises
    ------
    ValueError
        If a vector is not three finite numbers, has a negative part beyond -0.2 (no stain amplifies light) or the two
        lie closer together than 5 degrees, where unmixing them only amplifies noise.

    References
    ----------
    .. [1] Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23(4), 291-299, 2001.

    Examples
    --------
    >>> StainMatrix().hematoxylin
    (0.6511, 0.7012, 0.2905)
    """

    hematoxylin: tuple[float, float, float] = RUIFROK_HEMATOXYLIN
    dab: tuple[float, float, float] = RUIFROK_DAB

    def __post_init__(self) -> None:
        for name in ("hematoxylin", "dab"):
            vector = unit(getattr(self, name))
            if vector.min() < -0.2:
                raise ValueError(f"{name} vector {vector.round(3).tolist()} is negative: no stain amplifies light")
            r, g, b = (float(v) for v in vector.round(4))
            object.__setattr__(self, name, (r, g, b))
        found = angle_deg(self.hematoxylin, self.dab)
        if found < MIN_ANGLE_DEG:
            raise ValueError(f"stain vectors are {found:.1f} degrees apart; at least {MIN_ANGLE_DEG} are needed")

    @property
    def residual(self) -> tuple[float, float, float]:
        """Unit cross product of hematoxylin and DAB."""
        r, g, b = (float(v) for v in unit(np.cross(self.hematoxylin, self.dab)))
        return (r, g, b)

    @cached_property
    def rows(self) -> NDArray[np.float64]:
        """Unit vectors as rows: hematoxylin, DAB, residual; shape (3, 3)."""
        return np.array([unit(self.hematoxylin), unit(self.dab), unit(self.residual)])

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """Inverse of `rows`: ``od @ inverse`` gives the stains; shape (3, 3)."""
        return np.asarray(np.linalg.inv(self.rows), np.float64)

    def to_dict(self) -> dict[str, list[float]]:
        """Return the two vectors as plain lists."""
        return {"hematoxylin": list(self.hematoxylin), "dab": list(self.dab)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "StainMatrix":
        """Read what `to_dict` returned.

        Raises ValueError if a vector is missing or not a stain vector, or each is nearer to the other's usual
        direction.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"stain vectors are hematoxylin and dab with three numbers each, found {data!r}")
        missing = [key for key in ("hematoxylin", "dab") if key not in data]
        unknown = sorted(set(data) - {"hematoxylin", "dab"})
        if missing or unknown:
            problem = f"lack {' and '.join(missing)}" if missing else f"have an unknown {', '.join(unknown)}"
            raise ValueError(f"stain vectors {problem}")
        for key, vector in data.items():
            if not isinstance(vector, list | tuple) or not all(isinstance(v, int | float) for v in vector):
                raise ValueError(f"stain vector {key} is three numbers, found {vector!r}")
        read = cls(tuple(data["hematoxylin"]), tuple(data["dab"]))
        usual = unit(RUIFROK_DAB) - unit(RUIFROK_HEMATOXYLIN)
        if np.dot(read.hematoxylin, usual) > 0 > np.dot(read.dab, usual):
            raise ValueError("stain vectors are swapped: hematoxylin is the bluer one")
        return read
