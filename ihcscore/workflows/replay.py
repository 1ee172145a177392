"""Repeat a result from its own summary and say whether it is the same."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from ihcscore.api import classify_tables, rescoring_context, restain_table
from ihcscore.assays.assay import Assay, recorded_assay
from ihcscore.errors import DamagedResult, IhcscoreError, InputError
from ihcscore.io.manifests import legal_name
from ihcscore.io.nuclei import read_nuclei
from ihcscore.io.slides.opening import open_slide, slide_sha256
from ihcscore.results.folder import (
    CELLS,
    SUMMARY,
    ImageFolder,
    check_digest,
    file_sha256,
    result_context,
    result_placement,
    result_regions,
)
from ihcscore.results.writers.summary import read_summary
from ihcscore.results.writers.tables import iter_cells
from ihcscore.scoring.regions import RegionSet
from ihcscore.scoring.score_row import WHOLE, ScoreRow, flat
from ihcscore.scoring.score_table import ScoreTable
from ihcscore.survey.context import SlideContext
from ihcscore.table.digest import TableDigest
from ihcscore.tiles.executors import SerialExecutor
from ihcscore.tiles.measure_slide import MeasurementPlan, libraries, measure, plan_measurement
from ihcscore.tiles.store import FolderStore
from ihcscore.version import __version__


@dataclass(frozen=True)
class Replay:
    """Whether a result came out the same again.

    Parameters
    ----------
    same : bool
        Scores and cell table are equal.
    differences : tuple of str
        What differs, in words.
    notes : tuple of str
        Versions that differ; they can explain a difference.
    """

    same: bool
    differences: tuple[str, ...]
    notes: tuple[str, ...]


def replay(
    path: str | Path,
    source: str | Path | None = None,
    *,
    nuclei: str | Path | None = None,
    weights: str | Path | None = None,
    classifier: str | Path | None = None,
) -> Replay:
    """Repeat a result from its own summary and compare.

    Parameters
    ----------
    path : str or Path
        A ``summary.json``.
    source : str or Path, optional
        The image, or for a rescored result the folder it was measured in; or a folder that holds it. Without it, the
        folders around the summary and the current one are searched.
    nuclei : str or Path, optional
        File, or folder with the file, of the nuclei that were given; without it, the image's folder is searched.
    weights : str or Path, optional
        File or folder of the segmenter's network, where the result was measured with one that the package does not
        ship; without it, the name that the result records, in the current folder.
    classifier : str or Path, optional
        File of the classifier that told types of cells; without it, as `weights`.

    Returns
    -------
    Replay

    Raises
    ------
    IhcscoreError
        If the source, its given nuclei or the weights cannot be found or are not those that were used.
    """
    path = Path(path)
    result = ImageFolder.read(path.parent) if path.name == SUMMARY else ImageFolder.read(path)
    summary, name, group = result.summary, result.row.image, result.row.group
    assay, regions = recorded_assay(summary["assay"]), result_regions(result)
    if classifier is not None:
        assay = assay.replace(classifier=str(classifier), classifier_sha256=assay.classifier_sha256)
    if "rescored_from" in summary:
        origin = summary["rescored_from"]
        measured = ImageFolder.read(_find_measurement(path, origin, source))
        check_digest(measured)
        old, before = recorded_assay(origin["assay"]), result_context(measured)

        def again() -> Iterable[pd.DataFrame]:
            return (restain_table(cells, before, assay, old) for cells in iter_cells(measured.folder / CELLS))

        context = rescoring_context(before, assay, old)
        rows, digest = _scored(again, assay, regions, context, name, group, result.row.area_mm2)
        return _compare(result, rows, digest, None)
    used, mpp = summary["input"], summary["image"]["mpp"]
    file = _find_file(path, used["name"], source, "--input", lambda file: _slide_sha256(file, mpp) == used["sha256"])
    if weights is not None:
        assay = assay.replace(weights=str(weights))
    with closing(open_slide(file, mpp)) as slide, TemporaryDirectory() as folder:
        labels = None
        if "nuclei" in used:
            meant = used["nuclei"]
            given = _find_file(
                path,
                meant["name"],
                nuclei or file.parent,
                "--nuclei",
                lambda file: file_sha256(file) == meant["sha256"],
            )
            labels = read_nuclei(given, slide.dimensions[::-1], slide.mpp, result_placement(result).back).labels
        # A group's light came from all its tiles; what is an image's own is settled anew, and so compared.
        shared = result_context(result) if group else None
        within = regions.covered if assay.only_regions else None
        plan = plan_measurement(slide, assay, context=shared, nuclei=labels, within=within)
        store = FolderStore(Path(folder), {})
        measure(plan, store, SerialExecutor())
        tissue_mm2 = None if assay.only_regions else plan.provenance()["tissue"]["tissue_mm2"]
        context = plan.job.context
        rows, digest = _scored(lambda: plan.tables(store), assay, regions, context, name, group, tissue_mm2)
        return _compare(result, rows, digest, plan)


def _scored(
    tables: Callable[[], Iterable[pd.DataFrame]],
    assay: Assay,
    regions: RegionSet,
    context: SlideContext,
    image: str,
    group: str,
    tissue_mm2: float | None,
) -> tuple[list[ScoreRow], TableDigest]:
    digest, scored = TableDigest(), ScoreTable(assay, regions, context, image=image, group=group)
    for table in classify_tables(tables, assay, regions, context.plane):
        digest.update(table)
        scored.add(table)
    return scored.rows(tissue_mm2), digest


def _compare(
    result: ImageFolder, rows: Sequence[ScoreRow], digest: TableDigest, plan: MeasurementPlan | None
) -> Replay:
    summary = result.summary
    before = [summary["scores"], *summary["regions"]]
    differences = [] if len(before) == len(rows) else [f"{len(rows)} rows of scores, {len(before)} then"]
    for old, row in zip(before, rows, strict=False):
        where = "" if row.region == WHOLE else f"{row.region}: "
        new, was = flat(row), flat(ScoreRow.from_dict(old))
        differences += [f"{where}{key}: {new.get(key)} was {was[key]}" for key in was if new.get(key) != was[key]]
    if digest.hexdigest() != summary["cells"]["sha256"]:
        differences.append(f"cell table: {digest.rows} cells, other values; {summary['cells']['rows']} cells then")
    if (result.folder / CELLS).exists():
        try:
            check_digest(result)
        except DamagedResult as error:
            differences.append(str(error))
    now = {"ihcscore": __version__, **libraries()}
    if plan is not None and plan.job.context.to_dict() != summary["context"]:
        differences.append("background or stain vectors")
    then = {"ihcscore": summary["ihcscore"], **summary["libraries"]}
    notes = [f"{name} {now.get(name)}, then {then[name]}" for name in then if now.get(name) != then[name]]
    return Replay(not differences, tuple(differences), tuple(notes))


def _find_file(
    summary: Path, name: str, source: str | Path | None, option: str, is_meant: Callable[[Path], bool]
) -> Path:
    """Find the file that was used. Others of its name are passed by; why is told if there is no more."""
    places = [Path(source)] if source is not None else [summary.parent, *summary.resolve().parents[1:3], Path.cwd()]
    problem: IhcscoreError = IhcscoreError(f"cannot find {name}: give it or its folder with {option}")
    for place in places:
        candidate = place / name if place.is_dir() else place
        if not candidate.is_file():
            continue
        try:
            if is_meant(candidate):
                return candidate
            problem = InputError(candidate, f"is not the file that was used (other SHA-256): give that with {option}")
        except IhcscoreError as error:
            problem = error
    raise problem


def _slide_sha256(path: Path, mpp: float) -> str:
    with closing(open_slide(path, mpp)) as slide:
        return slide_sha256(slide)


def _find_measurement(summary: Path, origin: dict[str, Any], source: str | Path | None) -> Path:
    around = [parent / origin["result"] for parent in summary.resolve().parents[1:4]]
    for place in [Path(source)] if source is not None else [*around, Path.cwd() / origin["result"]]:
        for folder in (place / legal_name(origin["image"]), place):
            if (folder / SUMMARY).is_file():
                found = read_summary(folder / SUMMARY)
                if found["cells"]["sha256"] == origin["cells_sha256"]:
                    return folder
    raise IhcscoreError(f"cannot find the measurement {origin['result']}/{origin['image']}: give it with --input")
