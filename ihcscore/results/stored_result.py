"""The result of an image as its folder holds it, of this version or an earlier one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import Assay
from ihcscore.assays.loading import recorded_assay
from ihcscore.errors import DamagedResult
from ihcscore.geometry import Placement
from ihcscore.io.hashing import file_sha256
from ihcscore.io.regions import read_regions
from ihcscore.results.layout import CELLS, FILES, REGIONS, SUMMARY, TILES
from ihcscore.results.writers.summary import is_summary, read_summary
from ihcscore.results.writers.tables import iter_cells
from ihcscore.scoring.regions import RegionSet
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.survey.context import SlideContext
from ihcscore.table.digest import digest


@dataclass(frozen=True)
class StoredResult:
    """The result of one image.

    Parameters
    ----------
    summary : dict
        Its summary.json.
    row : ScoreRow
        Its scores.
    region_rows : tuple of ScoreRow
        The scores of its regions and other populations.
    """

    folder: Path
    summary: dict[str, Any]
    row: ScoreRow
    region_rows: tuple[ScoreRow, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "StoredResult":
        """Read an image's result. Raises DamagedResult if its summary is missing or damaged."""
        summary = read_summary(folder / SUMMARY)
        try:
            regions = tuple(ScoreRow.from_dict(row) for row in summary["regions"])
            return cls(folder, summary, ScoreRow.from_dict(summary["scores"]), regions)
        except (ValueError, TypeError) as error:
            raise DamagedResult(folder / SUMMARY, f"is damaged ({error}): score its image again") from None

    @property
    def assay(self) -> Assay:
        """The assay it was scored by."""
        return recorded_assay(self.summary["assay"])

    @property
    def context(self) -> SlideContext:
        """The background and stain vectors it was measured with; DamagedResult if they cannot be read."""
        try:
            return SlideContext.from_dict(self.summary["context"])
        except ValueError as error:
            raise DamagedResult(self.folder / SUMMARY, f"is damaged ({error}): score its image again") from None

    @property
    def placement(self) -> Placement:
        """Where the image lies in the frame of its GeoJSON; DamagedResult if that cannot be read."""
        try:
            place = Placement(**self.summary["input"].get("place", {}))
            return Placement(float(place.x), float(place.y), float(place.scale))
        except (TypeError, ValueError, AttributeError) as error:
            raise DamagedResult(self.folder / SUMMARY, f"is damaged ({error}): score its image again") from None

    def regions(self) -> RegionSet:
        """Read the regions that the image was scored with.

        Raises InputError if they cannot be read, or are not those that were written.
        """
        image, path = self.summary["image"], self.folder / REGIONS
        if "regions" not in self.summary["input"]:
            return RegionSet((), image["mpp"])
        written = self.summary.get("regions_sha256")  # results before 0.20.0 have none
        if written is not None and path.exists() and file_sha256(path) != written:
            raise DamagedResult(path, f"holds other regions than its {SUMMARY} speaks of: score again")
        read = read_regions(path, (image["width"], image["height"]), image["mpp"])
        return RegionSet(read.regions, image["mpp"])

    def check_digest(self) -> None:
        """Check that the cell table is the one that the summary speaks of.

        Raises DamagedResult if it is missing, damaged or another one.
        """
        path = self.folder / CELLS
        if digest(iter_cells(path)) != self.summary["cells"]["sha256"]:
            raise DamagedResult(path, f"is not the table its {SUMMARY} speaks of: score again")


def list_results(out: Path) -> tuple[list[StoredResult], list[str]]:
    """Read the images' results in a result folder.

    Returns
    -------
    damaged : list of str
        What is wrong with those that cannot be read. A summary.json of something else than ihcscore is not a result.
    """
    found, damaged = [], []
    for path in sorted(out.glob(f"*/{SUMMARY}")):
        try:
            found.append(StoredResult.read(path.parent))
        except DamagedResult as error:
            if _is_ours(path):
                damaged.append(str(error))
    return found, damaged


def list_assays(out: Path) -> dict[str, Assay]:
    """Read which assay each image in a result folder was scored by, and each group by its images' own."""
    found: dict[str, Assay] = {}
    for result in list_results(out)[0]:
        found[result.row.image] = assay = result.assay
        if result.row.group:
            found.setdefault(result.row.group, assay)
    return found


def foreign_files(folder: Path) -> list[str]:
    """Return the files in an image's folder that a result would replace, and that do not belong to one.

    A result that was being written has its cell table first and its summary last.
    """
    if (folder / CELLS).exists() or (folder / TILES).is_dir() or _is_ours(folder / SUMMARY):
        return []
    return [name for name in FILES if (folder / name).exists()]


def _is_ours(path: Path) -> bool:
    """Return whether a summary that cannot be read was ours: it says so, or is damaged beside a cell table."""
    try:
        return is_summary(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return (path.parent / CELLS).exists()
