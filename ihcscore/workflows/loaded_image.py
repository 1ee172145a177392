"""An opened image or slide with the files given for it: its regions and nuclei, its place, its hash."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import Assay
from ihcscore.errors import InputError
from ihcscore.geometry import HERE, Placement
from ihcscore.io.images import printable_name
from ihcscore.io.manifests import ImageInput
from ihcscore.io.nuclei import NucleiFile, read_nuclei
from ihcscore.io.regions import RegionFile, read_regions, tile_place
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.opening import slide_sha256
from ihcscore.results.run_record import parameters_digest
from ihcscore.scoring.regions import RegionSet

ROUNDED_PX = 2
"""By so much the size in a tile's name may differ from the tile's: QuPath rounds it."""


def image_placement(path: Path, slide: Slide, origin: str = "canvas") -> tuple[Placement, list[str]]:
    """Return where an image lies in the frame of its GeoJSON and given regions, with a note where its name says so.

    Raises InputError if its name states another size than it has.

    Parameters
    ----------
    path : Path
        Of the image; QuPath writes the position of an exported tile into its name.
    origin : "canvas" or "bounds"
        As in `ihcscore.workflows.Options`.
    """
    tile = tile_place(path.name)
    if tile is not None:
        wanted = tile.width / tile.downsample, tile.height / tile.downsample
        if any(abs(size - should) > ROUNDED_PX for size, should in zip(slide.dimensions, wanted, strict=True)):
            raise InputError(
                path,
                f"is {slide.dimensions[0]} x {slide.dimensions[1]} pixels, its name says {wanted[0]:g} x {wanted[1]:g} "
                f"(w and h / d): rename it, so that its place is right or not stated",
            )
        note = f"a tile of {tile.slide}: its GeoJSON lies on that slide, at {tile.x:g}, {tile.y:g}"
        return Placement(tile.x, tile.y, tile.downsample), [note]
    if origin == "bounds":
        return Placement(-float(slide.bounds[0]), -float(slide.bounds[1])), []
    return HERE, []


@dataclass(frozen=True)
class LoadedImage:
    """A slide to score, and what was given with it.

    Parameters
    ----------
    sha256 : str
        Of everything that the slide is stored in.
    placement : Placement
        Of the slide in the frame of its GeoJSON.
    """

    item: ImageInput
    slide: Slide
    assay: Assay
    sha256: str
    regions: RegionSet
    region_file: RegionFile | None
    nuclei: NucleiFile | None
    nuclei_path: Path | None
    placement: Placement
    notes: tuple[str, ...]

    @classmethod
    def load(
        cls, item: ImageInput, slide: Slide, assay: Assay, nuclei_path: Path | None, regions: Path | None, origin: str
    ) -> "LoadedImage":
        """Read the files of a slide's nuclei and regions, if there are any.

        Raises InputError if one cannot be read, or there are no regions although the assay wants some.
        """
        placement, notes = image_placement(item.path, slide, origin)
        region_file = None
        if regions is not None:
            region_file = read_regions(regions, slide.dimensions, slide.mpp, placement.back)
        elif assay.only_regions:
            raise InputError(item.path, "only cells in regions are wanted, and it has none: give --regions")
        nuclei = None
        if nuclei_path is not None:
            width, height = slide.dimensions
            nuclei = read_nuclei(nuclei_path, (height, width), slide.mpp, placement.back)
        held = RegionSet(region_file.regions if region_file else (), slide.mpp)
        sha256 = slide_sha256(slide)
        return cls(item, slide, assay, sha256, held, region_file, nuclei, nuclei_path, placement, tuple(notes))

    @property
    def regions_sha256(self) -> str | None:
        """SHA-256 of the file of the regions, if they were given."""
        return self.region_file.sha256 if self.region_file else None

    def summary(self, warnings: Sequence[str], record: dict[str, Any]) -> dict[str, Any]:
        """Return the content of the summary.

        Parameters
        ----------
        warnings : sequence of str
            Of measurement and scoring.
        record : dict
            Their provenance, scores and digests.
        """
        files = {"nuclei": self.nuclei, "regions": self.region_file}
        given = {key: _record(file) for key, file in files.items() if file is not None}
        notes = [*self.slide.notes, *self.notes]
        first = {key: record[key] for key in ("scores", "regions")}
        return {
            **first,
            "warnings": [*notes, *(note for file in files.values() if file for note in file.notes), *warnings],
            "input": {
                "name": printable_name(self.item.path.name),
                "sha256": self.sha256,
                "mpp_origin": "manifest" if self.item.mpp is not None else self.slide.mpp_origin,
                "notes": notes,
                **({} if self.placement == HERE else {"place": asdict(self.placement)}),
                **given,
            },
            "parameters": parameters_digest(self.assay),
            **{key: value for key, value in record.items() if key not in first},
            "assay": self.assay.to_record(),
        }


def _record(file: NucleiFile | RegionFile) -> dict[str, Any]:
    return {"name": file.name, "sha256": file.sha256, "notes": list(file.notes)}
