"""What all images of a run share: folder, assays, options."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import INPUT_FIELDS, Assay
from ihcscore.assays.loading import load_assay
from ihcscore.cells.segmentation.weights import weights_sha256
from ihcscore.errors import InputError
from ihcscore.io.hashing import file_sha256
from ihcscore.io.manifests import ImageInput
from ihcscore.io.nuclei import nuclei_for
from ihcscore.io.regions import regions_for
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.opening import open_slide

Progress = Callable[[str, float], None]
"""Called with what is being done and how many images are done, in parts of images."""


@dataclass(frozen=True)
class Options:
    """How a run is done; nothing of it changes a cell or a score.

    Parameters
    ----------
    cells_csv : bool
        Write the cell tables as CSV, too.
    geojson : bool, optional
        Write the cells as GeoJSON; unless given, for images up to 8192 pixels a side.
    overwrite : bool
        Replace results of other parameters or inputs instead of refusing.
    workers : int
        Processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler, or "local".
    origin : "canvas" or "bounds"
        Whether GeoJSON and given regions have their origin at the corner of the slide's canvas, or of what was scanned.
    """

    cells_csv: bool = False
    geojson: bool | None = None
    overwrite: bool = False
    workers: int = 1
    scheduler: str | None = None
    origin: str = "canvas"


@dataclass(frozen=True)
class RunSettings:
    """What the scoring of an image needs to know of its run; worker processes get a copy.

    Parameters
    ----------
    out : Path
        Result folder.
    assay : Assay
        Of images without an assay of their own.
    changes : mapping
        Fields that are changed in the images' own assays.
    users : Counter
        How many images would use each file of nuclei or regions.
    earlier : mapping of str to Path
        Folders of results in `out` that are not of this run's images, by the SHA-256 of their input.
    """

    out: Path
    assay: Assay
    changes: Mapping[str, Any]
    options: Options
    users: Counter[tuple[str, Path]] = field(default_factory=Counter)
    earlier: Mapping[str, Path] = field(default_factory=dict)
    _assays: dict[Path | None, Assay] = field(default_factory=dict)

    def assay_of(self, item: ImageInput) -> Assay:
        """Return the assay of an image: its own, with what was changed for all, or the run's."""
        if item.assay is None:
            return self.assay
        if item.assay not in self._assays:
            fields = {name: getattr(self.assay, name) for name in INPUT_FIELDS}
            self._assays[item.assay] = with_hashes(load_assay(item.assay).replace(**fields, **self.changes))
        return self._assays[item.assay]

    def open(self, item: ImageInput) -> Slide:
        """Open an image at the pixel size that its manifest or the run gives."""
        return open_slide(item.path, item.mpp if item.mpp is not None else self.assay.mpp)

    def nuclei_path(self, item: ImageInput) -> Path | None:
        """Return the file of an image's nuclei, if any are given; InputError if several images would use it."""
        return None if item.nuclei is None else self._own(nuclei_for(item.path, item.nuclei), "nuclei")

    def regions_path(self, item: ImageInput) -> Path | None:
        """Return the file of an image's regions, if any are given; InputError if several images would use it."""
        return None if item.regions is None else self._own(regions_for(item.path, item.regions), "regions")

    def _own(self, path: Path, what: str) -> Path:
        if self.users[what, path.resolve()] > 1:
            raise InputError(path, f"would be the {what} of several images: name them in a manifest's column '{what}'")
        return path


def count_users(inputs: Sequence[ImageInput]) -> Counter[tuple[str, Path]]:
    """Count how many images would use each file of nuclei, and of regions that are found by the image's name."""
    return Counter(_files_of(inputs))


def _files_of(inputs: Sequence[ImageInput]) -> Iterable[tuple[str, Path]]:
    for item in inputs:  # a file that is missing is reported when its image is scored
        if item.nuclei is not None:
            with suppress(InputError):
                yield "nuclei", nuclei_for(item.path, item.nuclei).resolve()
        if item.regions is not None and item.regions.is_dir():
            with suppress(InputError):
                yield "regions", regions_for(item.path, item.regions).resolve()


def with_hashes(assay: Assay) -> Assay:
    """Record which weights and which classifier an assay names. Raises InputError if they cannot be read."""
    if assay.weights is not None and assay.weights_sha256 is None:
        assay = assay.replace(weights_sha256=weights_sha256(Path(assay.weights)))
    if assay.classifier is not None and assay.classifier_sha256 is None:
        assay = assay.replace(classifier_sha256=file_sha256(Path(assay.classifier)))
    return assay
