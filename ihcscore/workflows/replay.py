"""Repeat a result from its own summary and compare."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ihcscore.api import score_slide
from ihcscore.assays.assay import Assay
from ihcscore.errors import DamagedResult, IhcscoreError, InputError
from ihcscore.io.hashing import file_sha256
from ihcscore.io.nuclei import read_nuclei
from ihcscore.io.result_names import legal_name
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.opening import open_slide, slide_sha256
from ihcscore.results.layout import CELLS, SUMMARY
from ihcscore.results.stored_result import StoredResult
from ihcscore.results.writers.summary import read_summary
from ihcscore.scoring.score_row import WHOLE, ScoreRow, flat
from ihcscore.scoring.scoring_pass import ScoringPass
from ihcscore.survey.context import SlideContext
from ihcscore.tiles.measure_slide import libraries
from ihcscore.tiles.measured_slide import Execution, MeasuredSlide
from ihcscore.tiles.store import FolderStore
from ihcscore.version import STEPS, __version__, recorded_steps
from ihcscore.workflows.rescore_folder import rescoring_pass


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
        Steps and versions that differ; they can explain a difference.
    """

    same: bool
    differences: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Sources:
    """Where the files of a result are looked for."""

    summary: Path
    source: Path | None
    nuclei: Path | None


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
        A ``summary.json``, or its folder.
    source : str or Path, optional
        The image, or for a rescored result the folder it was measured in; or a folder that holds it. Without it, the
        folders around the summary and the current one are searched.
    nuclei : str or Path, optional
        File, or folder with the file, of the nuclei that were given; without it, the image's folder is searched.
    weights : str or Path, optional
        File or folder of the segmenter's network, where the result was measured with one that the package does not
        ship; without it, the name that the result records, in the current folder.
    classifier : str or Path, optional
        File of the classifier of cell types; without it, as `weights`.

    Returns
    -------
    Replay

    Raises
    ------
    IhcscoreError
        If the source, its given nuclei or the weights cannot be found or are not those that were used.
    """
    path = Path(path)
    result = StoredResult.read(path.parent if path.name == SUMMARY else path)
    assay, given = result.assay, _Sources(path, _path(source), _path(nuclei))
    if classifier is not None:
        assay = assay.replace(classifier=str(classifier), classifier_sha256=assay.classifier_sha256)
    if "rescored_from" in result.summary:
        return _compare(result, _rescored(result, assay, given), result.row.area_mm2, None)
    if weights is not None:
        assay = assay.replace(weights=str(weights))
    with _measured_again(result, assay, given) as (measured, scoring):
        return _compare(result, scoring, measured.tissue_mm2, measured)


def _rescored(result: StoredResult, assay: Assay, given: _Sources) -> ScoringPass:
    measured = StoredResult.read(_find_measurement(given, result.summary["rescored_from"]))
    measured.check_digest()
    regions = result.regions()
    return rescoring_pass(measured, assay, regions, keys=(result.row.image, result.row.group))


@contextmanager
def _measured_again(result: StoredResult, assay: Assay, given: _Sources) -> Iterator[tuple[MeasuredSlide, ScoringPass]]:
    """Measure the image of a result again, from the files that were used."""
    used, mpp = result.summary["input"], result.summary["image"]["mpp"]
    file = _find_file(given, used["name"], given.source, "--input", lambda f: _slide_sha256(f, mpp) == used["sha256"])
    with closing(open_slide(file, mpp)) as slide, TemporaryDirectory() as folder:
        measured, scoring = score_slide(
            slide,
            assay,
            # A group's background came from all its tiles; what is an image's own is estimated again, and so compared.
            context=result.context if result.row.group else None,
            regions=result.regions(),
            nuclei=_given_nuclei(result, slide, file, given),
            execution=Execution(make_store=lambda plan: FolderStore(Path(folder), {})),
            keys=(result.row.image, result.row.group),
        )
        yield measured, scoring


def _given_nuclei(result: StoredResult, slide: Slide, file: Path, given: _Sources) -> Any:
    meant = result.summary["input"].get("nuclei")
    if meant is None:
        return None
    place = given.nuclei or file.parent
    path = _find_file(given, meant["name"], place, "--nuclei", lambda f: file_sha256(f) == meant["sha256"])
    return read_nuclei(path, slide.dimensions[::-1], slide.mpp, result.placement.back).labels


def _compare(
    result: StoredResult, scoring: ScoringPass, tissue_mm2: float | None, measured: MeasuredSlide | None
) -> Replay:
    summary, rows = result.summary, scoring.run().rows(tissue_mm2)
    before = [summary["scores"], *summary["regions"]]
    differences = [] if len(before) == len(rows) else [f"{len(rows)} rows of scores, {len(before)} then"]
    for old, row in zip(before, rows, strict=False):
        where = "" if row.region == WHOLE else f"{row.region}: "
        new, was = _comparable(row), _comparable(ScoreRow.from_dict(old))
        differences += [f"{where}{key}: {new.get(key)} was {was[key]}" for key in was if new.get(key) != was[key]]
    if scoring.cells_sha256 != summary["cells"]["sha256"]:
        then = summary["cells"]["rows"]
        differences.append(f"cell table: {scoring.cell_count} cells, other values; {then} cells then")
    if (result.folder / CELLS).exists():
        try:
            result.check_digest()
        except DamagedResult as error:
            differences.append(str(error))
    if measured is not None and _estimates(measured.context) != _estimates(result.context):
        differences.append("background or stain vectors")
    return Replay(not differences, tuple(differences), (*_changed_steps(summary), *_changed_versions(summary)))


def _comparable(row: ScoreRow) -> dict[str, Any]:
    """Return what has to be equal of a row: numbers and statuses, not the wording of reasons."""
    scores = {name: dataclasses.replace(score, reason="") for name, score in row.scores.items()}
    return flat(dataclasses.replace(row, reason="", scores=scores))


def _estimates(context: SlideContext) -> tuple[Any, ...]:
    """Return what has to be equal of a context: its numbers."""
    return context.light, context.plane, context.texture


def _changed_steps(summary: dict[str, Any]) -> list[str]:
    """Return the steps whose version changed since a result was made."""
    then = recorded_steps(summary)
    return [
        f"step {name}: version {now}, then {then[name]}" for name, now in STEPS.items() if then.get(name, now) != now
    ]


def _changed_versions(summary: dict[str, Any]) -> list[str]:
    """Return the versions of the package and its libraries that changed since a result was made."""
    now = {"ihcscore": __version__, **libraries()}
    then = {"ihcscore": summary["ihcscore"], **summary["libraries"]}
    return [f"{name} {now.get(name)}, then {then[name]}" for name in then if now.get(name) != then[name]]


def _find_file(given: _Sources, name: str, source: Path | None, option: str, is_meant: Callable[[Path], bool]) -> Path:
    """Find the file that was used. Skips same-named files that differ; raises the last mismatch."""
    around = [given.summary.parent, *given.summary.resolve().parents[1:3], Path.cwd()]
    problem: IhcscoreError = IhcscoreError(f"cannot find {name}: give it or its folder with {option}")
    for place in [source] if source is not None else around:
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


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _slide_sha256(path: Path, mpp: float) -> str:
    with closing(open_slide(path, mpp)) as slide:
        return slide_sha256(slide)


def _find_measurement(given: _Sources, origin: dict[str, Any]) -> Path:
    """Find the folder of the result that another was rescored from."""
    around = [parent / origin["result"] for parent in given.summary.resolve().parents[1:4]]
    for place in [given.source] if given.source is not None else [*around, Path.cwd() / origin["result"]]:
        for folder in (place / legal_name(origin["image"]), place):
            if (folder / SUMMARY).is_file():
                found = read_summary(folder / SUMMARY)
                if found["cells"]["sha256"] == origin["cells_sha256"]:
                    return folder
    raise IhcscoreError(f"cannot find the measurement {origin['result']}/{origin['image']}: give it with --input")
