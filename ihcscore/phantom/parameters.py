"""Parameters of a phantom: every choice of the renderer, with its unit."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ihcscore.errors import UnknownName
from ihcscore.phantom.limits import FIXED, problems
from ihcscore.stains.vectors import RUIFROK_DAB, RUIFROK_HEMATOXYLIN

Range = tuple[float, float]
PRESETS = ("nuclear", "membranous", "cytoplasmic", "negative")


@dataclass(frozen=True)
class PhantomParameters:
    """Parameters of a phantom's tissue, stain and recording.

    A knob that varies from tile to tile is a range ``(low, high)`` from which the seed draws, evenly; ``low == high``
    fixes it. Shares lie in 0 to 1, OD is base 10, lengths are in um of tissue.

    Parameters
    ----------
    size_px : tuple of 2 int
        Height and width in pixels, at least 16.
    mpp : float
        Micrometres per pixel, 0.05 to 4; another value shows the same tissue at another magnification.
    marker : {"nuclear", "membranous", "cytoplasmic", "negative"}
        Compartment that takes the DAB.
    nest_um : range
        Distance over which tumor, stroma and lumen alternate.
    stroma_share, lumen_share, glass_share : range
        Share of the tile that is stroma; lumen inside nests; bare glass.
    nucleus_radius_um : range
        Median radius of a tumor nucleus.
    radius_spread : range
        Standard deviation of the logarithm of the radius.
    giant_share : range
        Share of tumor and stroma nuclei enlarged 1.4 to 2 times.
    elongation : range
        Median ratio of length to width of a tumor nucleus.
    irregularity : range
        Size of the bends of the outline relative to the radius.
    dented_share : range
        Share of nuclei with a dent.
    alignment : range
        0 lays tumor nuclei any way, 1 along the way into the nest as in columnar epithelium.
    tumor_coverage, stroma_coverage : range
        Share of the region that nuclei cover, as far as there is room (about 0.5).
    touching_share : range
        Share of nuclei that are laid against another; more than this touch.
    lymphocyte_share : range
        Share of stroma nuclei that are lymphocytes.
    cytoplasm_um : range
        How far a tumor cell reaches beyond its nucleus at most.
    membrane_um : range
        Thickness of the membrane between two cells, at least two pixels.
    hematoxylin_od : range
        Median hematoxylin OD of tumor nuclei.
    hematoxylin_spread : range
        Standard deviation of its logarithm from nucleus to nucleus.
    vesicular_share : range
        Share of tumor nuclei with a clear center and a rim.
    clearing : range
        How clear such a center is.
    chromatin : range
        Contrast of the chromatin's clumps (standard deviation of the logarithm).
    chromatin_um : range
        Size of a clump.
    nucleoli : range
        Mean number of nucleoli of a vesicular nucleus.
    cytoplasm_hematoxylin_od, stroma_hematoxylin_od : range
        Haze of the cytoplasm; density of the stroma's fibers.
    positive_share : range
        Share of tumor cells that express the marker; -1 to 2, where what lies outside 0 to 1 counts as the nearer end,
        so that a range can make tiles without a negative, or a positive, tumor cell common.
    stroma_positive_share : range
        The same for stroma and lymphocytes, as a multiple (0 to 2) of `positive_share`.
    marker_od : range
        Median DAB OD of a positive cell in the marker's compartment.
    marker_spread : range
        Standard deviation of its logarithm from cell to cell.
    patchiness : range
        0 makes neighbors independent, 1 alike.
    patch_um : range
        Size of a patch of cells that are alike.
    granularity : range
        Contrast of the grains of DAB (standard deviation of the logarithm).
    grain_um : range
        Size of a grain.
    completeness : range
        Share of a cell's border that a membranous marker stains.
    nucleus_leak, cytoplasm_leak, membrane_leak : range
        DAB of a compartment that is not the marker's, as a share of the cell's level.
    background_dab_od : range
        Unspecific DAB OD on all tissue.
    hematoxylin_in_positive : range
        Share of its hematoxylin that a densely positive nucleus keeps.
    ghosts_per_mm2, pigment_per_mm2, debris_per_mm2, red_cells_per_mm2, refractile_per_mm2 : range
        Mean number of unlabeled blurred nuclei, pigmented bodies, specks, red cells and bright grains.
    deep_share : range
        Share of nuclei out of focus.
    deep_blur_um : range
        Blur of a nucleus that is out of focus (standard deviation).
    blur_um : range
        Blur of the whole tile (standard deviation).
    chromatic_shift_um : range
        Distance by which red and blue each lie off green.
    stray_light : range
        Share of the light that reaches every pixel.
    background : range
        Light without tissue, in gray levels.
    tint : range
        Largest difference of a channel's background from `background`.
    hematoxylin_vector, dab_vector : tuple of 3 float
        OD of the stains per channel; scaled to length 1.
    stain_shift_deg : range
        Angle by which each vector is turned in a random direction.
    noise_grey : range
        Standard deviation of the noise at the background, in gray levels; it falls with the root of the light.
    sharpen : range
        Strength of the unsharp mask.
    jpeg_quality : range
        Quality 1 to 100, rounded; 0 for none.
    jpeg_color : range
        From 0.5, JPEG keeps the color at full resolution (4:4:4, as Aperio's RGB JPEG does); below, at half (4:2:0).
    hole_share : range
        Share of the DAB's area that takes next to none: patchy nuclei.
    ragged_um : range
        How far the DAB strays over the border of its compartment.
    edge_dab_od, edge_um : range
        DAB OD along the borders of glass and lumen, and how deep it reaches: the stained rim of glands and sections.
    stroma_dab_od : range
        Unspecific DAB OD of the stroma's fibers.
    folds_per_mm2 : range
        Mean number of folds: bands in which the tissue lies double and out of focus.
    gamma : range
        Exponent of the scanner's tone curve over the share of light that passes; 1 is linear. Optical densities in the
        picture are this times the true ones.
    macrophage_share : range
        Share of stroma nuclei that are macrophages so full of brown granules that no nucleus is seen apart in them: the
        whole body is labeled, as annotators do.

    Raises
    ------
    ValueError
        If a value makes no sense; the message lists all that do not.

    Examples
    --------
    >>> PhantomParameters(mpp=0.25, blur_um=(0.3, 0.3)).blur_um
    (0.3, 0.3)
    """

    size_px: tuple[int, int] = (512, 512)
    mpp: float = 0.5
    marker: str = "nuclear"
    nest_um: Range = (70, 160)
    stroma_share: Range = (0.1, 0.5)
    lumen_share: Range = (0, 0.06)
    glass_share: Range = (0, 0.2)
    nucleus_radius_um: Range = (3.3, 4.9)
    radius_spread: Range = (0.1, 0.22)
    giant_share: Range = (0, 0.04)
    elongation: Range = (1.1, 1.8)
    irregularity: Range = (0.03, 0.1)
    dented_share: Range = (0, 0.3)
    alignment: Range = (0, 0.8)
    tumor_coverage: Range = (0.3, 0.55)
    stroma_coverage: Range = (0.06, 0.25)
    touching_share: Range = (0.2, 0.5)
    lymphocyte_share: Range = (0, 0.4)
    cytoplasm_um: Range = (3, 9)
    membrane_um: Range = (0.8, 1.4)
    hematoxylin_od: Range = (0.08, 0.45)
    hematoxylin_spread: Range = (0.15, 0.45)
    vesicular_share: Range = (0.1, 0.6)
    clearing: Range = (0.4, 0.8)
    chromatin: Range = (0.12, 0.4)
    chromatin_um: Range = (0.8, 1.6)
    nucleoli: Range = (0.3, 1.5)
    cytoplasm_hematoxylin_od: Range = (0.01, 0.06)
    stroma_hematoxylin_od: Range = (0.04, 0.14)
    positive_share: Range = (0, 1)
    stroma_positive_share: Range = (0, 0.4)
    marker_od: Range = (0.2, 1.5)
    marker_spread: Range = (0.3, 0.6)
    patchiness: Range = (0.1, 0.7)
    patch_um: Range = (30, 100)
    granularity: Range = (0.05, 0.5)
    grain_um: Range = (0.9, 1.9)
    completeness: Range = (0.6, 1)
    nucleus_leak: Range = (0.05, 0.25)
    cytoplasm_leak: Range = (0, 0.08)
    membrane_leak: Range = (0, 0.05)
    background_dab_od: Range = (0, 0.06)
    hematoxylin_in_positive: Range = (0.2, 0.8)
    ghosts_per_mm2: Range = (100, 900)
    pigment_per_mm2: Range = (0, 25)
    debris_per_mm2: Range = (0, 120)
    red_cells_per_mm2: Range = (0, 200)
    refractile_per_mm2: Range = (0, 60)
    deep_share: Range = (0.1, 0.35)
    deep_blur_um: Range = (0.6, 1.2)
    blur_um: Range = (0.32, 0.6)
    chromatic_shift_um: Range = (0, 0.12)
    stray_light: Range = (0, 0.012)
    background: Range = (205, 246)
    tint: Range = (0, 10)
    hematoxylin_vector: tuple[float, float, float] = RUIFROK_HEMATOXYLIN
    dab_vector: tuple[float, float, float] = RUIFROK_DAB
    stain_shift_deg: Range = (0, 3)
    noise_grey: Range = (0.8, 3.5)
    sharpen: Range = (0, 0.7)
    jpeg_quality: Range = (70, 95)
    jpeg_color: Range = (0.0, 1.0)
    # later knobs stand last: a draw is made for each field in turn, so that earlier phantoms stay what they were
    hole_share: Range = (0, 0)
    ragged_um: Range = (0, 0)
    edge_dab_od: Range = (0, 0)
    edge_um: Range = (0.5, 3)
    stroma_dab_od: Range = (0, 0)
    folds_per_mm2: Range = (0, 0)
    gamma: Range = (1, 1)
    macrophage_share: Range = (0, 0)

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if name not in FIXED and isinstance(value, (int, float)):
                value = (value, value)
            object.__setattr__(self, name, tuple(value) if isinstance(value, (list, tuple)) else value)
        found = problems({f.name: getattr(self, f.name) for f in fields(self)})
        if found:
            raise ValueError(f"phantom parameters: {'; '.join(found)}")

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw a value from every range, one draw each in the order of the fields.

        Examples
        --------
        >>> PhantomParameters(blur_um=(0.4, 0.4)).draw(np.random.default_rng(0))["blur_um"]
        0.4
        """
        names = [f.name for f in fields(self) if f.name not in FIXED]
        place = rng.random(len(names))
        ends = [getattr(self, name) for name in names]
        return {n: low + p * (high - low) for n, p, (low, high) in zip(names, place.tolist(), ends, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def to_toml(self) -> str:
        """Write the parameters so that `load_parameters` reads them back.

        Examples
        --------
        >>> PhantomParameters.from_dict(tomllib.loads(PhantomParameters().to_toml())) == PhantomParameters()
        True
        """
        return "".join(f"{key} = {_toml(value)}\n" for key, value in self.to_dict().items())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "PhantomParameters":
        """Read what `to_dict` returned; a number alone fixes a range, an omitted name keeps its default.

        Raises ValueError if a name is not known or a value makes no sense.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise ValueError(f"phantom parameters: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**data)


def load_parameters(name_or_path: str | Path) -> PhantomParameters:
    """Read a preset or a TOML file.

    Parameters
    ----------
    name_or_path : str or Path
        A name in `PRESETS`, or the path of a file: whatever ends in ``.toml`` or is a Path.

    Returns
    -------
    PhantomParameters

    Raises
    ------
    UnknownName
        If it is neither a preset nor a ``.toml`` path.
    ValueError
        If the file is not TOML, has an unknown key or a value that makes no sense.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> load_parameters("membranous").marker
    'membranous'
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        text = Path(name_or_path).read_text(encoding="utf-8")
    elif name_or_path in PRESETS:
        text = (files("ihcscore.phantom") / "presets" / f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise UnknownName("phantom preset", name_or_path, PRESETS)
    return PhantomParameters.from_dict(tomllib.loads(text))


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(repr(v) for v in value)}]" if isinstance(value, list) else repr(value)
