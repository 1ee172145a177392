"""Score one image or slide of a run into its folder, or keep the result that is there."""

from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from ihcscore.api import score_slide
from ihcscore.errors import DamagedResult, IhcscoreError, OutputError, ResultMismatch
from ihcscore.geometry import HERE
from ihcscore.io.hashing import file_sha256
from ihcscore.io.manifests import ImageInput
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.opening import slide_sha256
from ihcscore.results.layout import BLOCKS, QUALITY, SUMMARY, TILES, discard_result, discard_tiles
from ihcscore.results.run_record import parameters_digest, released_digests
from ihcscore.results.stored_result import StoredResult, foreign_files
from ihcscore.scoring.score_row import ScoreRow, failed_row
from ihcscore.survey.context import SlideContext
from ihcscore.tiles.executors import Executor, SlideTask
from ihcscore.tiles.measure_slide import MeasurementPlan
from ihcscore.tiles.measured_slide import Execution
from ihcscore.tiles.memory import give_back_memory
from ihcscore.tiles.store import FolderStore, MemoryStore, TileStore
from ihcscore.workflows.loaded_image import LoadedImage, image_placement
from ihcscore.workflows.run_settings import Progress, RunSettings
from ihcscore.workflows.write_image import derived_files, write_derived, write_result

MANY_TILES = 4
"""Up to so many tiles of an image stay in memory; of more, each is written as it is done."""


@dataclass(frozen=True)
class Outcome:
    """What happened to an image.

    Parameters
    ----------
    failure : ScoreRow or None
        Its row, if it failed.
    message : str
        Why it failed, with its file.
    kept : bool
        It was complete already.
    sha256 : str
        Of its input, where that was read.
    """

    failure: ScoreRow | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()
    kept: bool = False
    sha256: str = ""


def failed(settings: RunSettings, item: ImageInput, reason: str) -> Outcome:
    """Return the outcome of an image that cannot be scored."""
    message = reason if item.path.name in reason else f"{item.path.name}: {reason}"
    return Outcome(failed_row(item.name, item.group, settings.assay_of(item), reason), message)


class ImageScorer:
    """Scores the images of a run, one at a time.

    Parameters
    ----------
    executor : Executor
        Measures the tiles.
    """

    def __init__(self, settings: RunSettings, executor: Executor, progress: Progress) -> None:
        self.settings, self.executor, self.progress = settings, executor, progress

    def score(self, item: ImageInput, context: SlideContext | None = None, number: int = 0) -> Outcome:
        """Score an image, or return why it cannot be scored.

        Raises OutputError if the folder cannot be written: this ends the run.

        Parameters
        ----------
        context : SlideContext, optional
            Of its group.
        number : int
            Images done before.
        """
        try:
            return self._score(item, context, number)
        except OutputError:
            raise
        except IhcscoreError as error:
            return failed(self.settings, item, str(error))

    def _score(self, item: ImageInput, context: SlideContext | None, number: int) -> Outcome:
        folder = self.settings.out / item.name
        if (folder / SUMMARY).exists() and (outcome := self._keep(item, folder, context)) is not None:
            return outcome
        if foreign := foreign_files(folder):
            raise ResultMismatch(
                f"{item.path.name}: its folder {item.name} holds {', '.join(foreign)} of something else: "
                "choose another folder for the results"
            )
        with closing(self.settings.open(item)) as slide:
            image = self._load(item, slide)
            self._refuse_second_name(item, image.sha256)
            return Outcome(warnings=self._measure(image, folder, context, number), sha256=image.sha256)

    def _load(self, item: ImageInput, slide: Slide) -> LoadedImage:
        files = self.settings.nuclei_path(item), self.settings.regions_path(item)
        return LoadedImage.load(item, slide, self.settings.assay_of(item), *files, self.settings.options.origin)

    def _measure(self, image: LoadedImage, folder: Path, context: SlideContext | None, number: int) -> tuple[str, ...]:
        item, options = image.item, self.settings.options
        if folder.is_dir() and options.overwrite:
            discard_tiles(folder)
        measured, scoring = score_slide(
            image.slide,
            image.assay,
            context=context,
            regions=image.regions,
            nuclei=None if image.nuclei is None else image.nuclei.labels,
            execution=Execution(
                self.executor,
                lambda plan: self._store(folder, image, plan),
                lambda plan: _task(image, plan),
                lambda done, all_: self.progress(item.name, number + 0.9 * done / max(all_, 1)),
            ),
            keys=(item.name, item.group),
        )
        give_back_memory()
        if set(measured.plan.keys) - set(measured.store.done()):
            raise ResultMismatch(f"{item.name}: measured tiles are gone: does another run write to its folder?")
        if folder.is_dir():
            discard_result(folder)
        derived = derived_files(image.slide, options.cells_csv, options.geojson)
        warnings = write_result(image, folder, measured, scoring, derived)
        if isinstance(measured.store, FolderStore):
            measured.store.remove()
        return tuple(f"{item.name}: {text}" for text in warnings)

    def _store(self, folder: Path, image: LoadedImage, plan: MeasurementPlan) -> TileStore:
        if len(plan.keys) <= MANY_TILES:
            return MemoryStore()
        job = {
            "input": image.sha256,
            "pixel size": image.slide.mpp,
            "parameters": parameters_digest(image.assay),
            "background or stains": plan.job.context.to_dict(),
            "nuclei": image.nuclei.sha256 if image.nuclei else None,
            "regions": image.regions_sha256 if image.assay.only_regions else None,
            "origin": None if image.placement == HERE else asdict(image.placement),
        }
        same = [{**job, "ihcscore": version, "parameters": digest} for version, digest in released_digests(image.assay)]
        return FolderStore(folder / TILES, job, same)

    def _refuse_second_name(self, item: ImageInput, sha256: str) -> None:
        """Keep an image from being in the results twice because other inputs now give it another name."""
        other = self.settings.earlier.get(sha256)
        if other is None or not (other / SUMMARY).exists():
            return
        if not self.settings.options.overwrite:
            raise ResultMismatch(
                f"{item.path.name}: is in the results as {other.name} already: name the same inputs as then, "
                "or --overwrite"
            )
        discard_result(other)

    def _keep(self, item: ImageInput, folder: Path, context: SlideContext | None) -> Outcome | None:
        """Complete the result that is there, if it is this image's; None if the image has to be scored again."""
        options = self.settings.options
        try:
            result = StoredResult.read(folder)
            result.check_digest()
            result.regions()
            changed = self._changed(item, result, context)
        except DamagedResult:
            return None
        if changed and options.overwrite:
            return None
        if changed:
            raise ResultMismatch(f"{item.path.name}: {item.name} was scored with another {changed}: --overwrite it")
        with closing(self.settings.open(item)) as slide:
            if not all((folder / name).exists() for name in (QUALITY, BLOCKS)):
                return None
            derived = derived_files(slide, options.cells_csv, options.geojson)
            missing = [name for name in derived if not (folder / name).exists()]
            if missing:
                write_derived(folder, self._load(item, slide), missing)
        return Outcome(kept=not missing, sha256=result.summary["input"]["sha256"])

    def _changed(self, item: ImageInput, result: StoredResult, shared: SlideContext | None) -> str:
        """Return what differs between an input and its result; empty if nothing does."""
        given = result.summary["input"]
        nuclei, regions = (
            None if path is None else file_sha256(path)
            for path in (self.settings.nuclei_path(item), self.settings.regions_path(item))
        )
        with closing(self.settings.open(item)) as slide:
            sha256, mpp = slide_sha256(slide), slide.mpp
            placement, _ = image_placement(item.path, slide, self.settings.options.origin)
        differs = {
            "nuclei": given.get("nuclei", {}).get("sha256") != nuclei,
            "regions": given.get("regions", {}).get("sha256") != regions,
            "input file": given["sha256"] != sha256,
            "pixel size": result.summary["image"]["mpp"] != mpp,
            "origin": result.placement != placement,
            "group": result.row.group != item.group,
            "background or stains of its group": shared is not None and result.context.light != shared.light,
        }
        return ", ".join(name for name, different in differs.items() if different)


def _task(image: LoadedImage, plan: MeasurementPlan) -> SlideTask | None:
    if not image.slide.files:
        return None
    files = image.nuclei_path, image.placement
    return SlideTask(image.item.path.resolve(), image.slide.mpp, image.assay, plan.job.context, *files)
