"""Score many images and slides into a result folder, or complete one."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import INPUT_FIELDS, Assay, load_assay
from ihcscore.cells.segmentation.weights import weights_sha256
from ihcscore.errors import DamagedResult, IhcscoreError, InputError, OutputError, ResultMismatch
from ihcscore.geometry import HERE
from ihcscore.io.atomic import alone_in
from ihcscore.io.manifests import ImageInput
from ihcscore.io.nuclei import nuclei_for
from ihcscore.io.regions import regions_for
from ihcscore.io.slides.base import Slide
from ihcscore.io.slides.opening import SLIDE_SUFFIXES, open_slide, slide_sha256
from ihcscore.results.folder import (
    BLOCKS,
    PARTS,
    QUALITY,
    SCORES,
    SUMMARY,
    ImageFolder,
    RunReport,
    check_digest,
    discard_parts,
    discard_result,
    failed_rows,
    file_sha256,
    foreign_files,
    list_results,
    parameters_digest,
    pooled_rows,
    result_context,
    result_placement,
    result_regions,
    run_parameters,
    with_classifier_sha256,
    write_run,
)
from ihcscore.results.writers.tables import write_scores
from ihcscore.scoring.score_row import ScoreRow, failed_row
from ihcscore.survey.context import ColorSample, SlideContext, estimate_context, survey_slide
from ihcscore.tiles.executors import DaskExecutor, ProcessExecutor, SerialExecutor, SlideTask, make_executor
from ihcscore.tiles.measure_slide import MeasurementPlan, measure, open_job, plan_measurement
from ihcscore.tiles.memory import give_back_memory
from ihcscore.tiles.store import FolderStore, MemoryStore, TileStore
from ihcscore.version import __version__
from ihcscore.workflows.loaded_image import LoadedImage, image_placement
from ihcscore.workflows.write_image import derived_files, write_derived, write_result

MANY_BLOCKS = 4
"""Up to so many blocks, the parts of an image stay in memory; of more, they are written as they are done."""

LIGHT_BYTES = 32_000_000
"""Images in files up to this size are scored whole, each by one process."""

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


def score_files(
    inputs: Sequence[ImageInput],
    assay: Assay,
    out: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    refused: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> RunReport:
    """Score images and slides into a folder.

    Parameters
    ----------
    inputs : sequence of ImageInput
        The images, as `ihcscore.io.manifests.expand_inputs` lists them.
    assay : Assay
        How; its `mpp` is for images whose pixel size no manifest gives. An image with an assay of its own is scored by
        that.
    out : str or Path
        Result folder. One that exists is completed: what is there and complete stays as it is, and a slide that was
        interrupted goes on.
    changes : mapping, optional
        Fields of `Assay` that are changed in the images' own assays.
    refused : mapping of str to str, optional
        Why some images, by name, cannot be scored: they are failed rows.
    progress : callable, optional
        Called as the work goes on.
    **options
        Fields of `Options`.

    Returns
    -------
    RunReport
        A file that failed is a row with its reason, and the others are scored.

    Raises
    ------
    ResultMismatch
        If the folder holds results of other parameters and they are not to be overwritten.
    OutputError
        If the folder cannot be written, or another run writes into it.
    """
    chosen, out = Options(**options), Path(out)
    if out.exists() and not out.is_dir():
        raise OutputError(f"cannot write results into {out}: it is a file, give a folder")
    with make_executor(chosen.workers, chosen.scheduler, open_job) as executor, alone_in(out) as warnings:
        run = _Run(out, assay, changes or {}, chosen, executor, progress or _in_silence)
        run.warnings += warnings
        run.claim(inputs)
        for item in inputs:
            if item.name in (refused or {}):
                run.fail(item, (refused or {})[item.name])
        run.warnings += _alike(item.group for item in inputs)
        groups = list(_by_group([item for item in inputs if item.name not in (refused or {})]))
        apart = _apart(groups, executor)
        done = 0
        for k, members in enumerate(groups):
            if k not in apart:
                run.score_group(members, done)
                done += len(members)
        if apart and isinstance(executor, ProcessExecutor):
            run.score_apart([groups[k] for k in sorted(apart)], executor, done)
        rows = run.all_rows()
        write_scores(run.out / SCORES, rows)
    return RunReport(tuple(rows), tuple(run.failed), run.kept, tuple(run.warnings))


def _by_group(inputs: Sequence[ImageInput]) -> list[list[ImageInput]]:
    """Give the images of each group together; each image without group is its own."""
    groups: dict[str, list[ImageInput]] = {}
    for item in inputs:
        groups.setdefault(f"group {item.group}" if item.group else f"image {item.name}", []).append(item)
    return [*groups.values()]


def _alike(groups: Iterable[str]) -> list[str]:
    """Warn of groups whose names a reader would take for one."""
    spellings: dict[str, list[str]] = {}
    for name in dict.fromkeys(groups):
        spellings.setdefault("".join(name.split()).casefold(), []).append(name)
    return [
        f"groups {' and '.join(map(repr, names))} are pooled apart: are they one?"
        for names in spellings.values()
        if len(names) > 1
    ]


def _apart(groups: Sequence[list[ImageInput]], executor: SerialExecutor | ProcessExecutor | DaskExecutor) -> set[int]:
    """Choose the groups whose images processes score each on its own: small files, if they can keep all busy.

    The blocks of anything larger are shared among the processes instead.
    """
    if not isinstance(executor, ProcessExecutor):
        return set()
    light = {k for k, members in enumerate(groups) if all(_is_light(item.path) for item in members)}
    return light if sum(len(groups[k]) for k in light) >= executor.workers else set()


def _is_light(path: Path) -> bool:
    try:
        return path.suffix.lower() not in SLIDE_SUFFIXES and path.stat().st_size <= LIGHT_BYTES
    except OSError:
        return True  # it fails wherever it is scored


def _files_of(inputs: Sequence[ImageInput]) -> Iterator[tuple[str, Path]]:
    """Give the file of each image's nuclei, and that of its regions where it is found by the image's name.

    One that cannot be told is reported when its image is scored.
    """
    for item in inputs:
        if item.nuclei is not None:
            with suppress(InputError):
                yield "nuclei", nuclei_for(item.path, item.nuclei).resolve()
        if item.regions is not None and item.regions.is_dir():
            with suppress(InputError):
                yield "regions", regions_for(item.path, item.regions).resolve()


class _Run:
    """One call of `score_files`: the folder, the parameters, what happened so far."""

    def __init__(
        self,
        out: Path,
        assay: Assay,
        changes: Mapping[str, Any],
        options: Options,
        executor: SerialExecutor | ProcessExecutor | DaskExecutor,
        progress: Progress,
    ) -> None:
        self.out, self.options, self.executor, self.progress = out, options, executor, progress
        self.assay, self.changes = _with_sha256(assay), changes
        self.assays: dict[Path | None, Assay] = {None: self.assay}
        self.seen: dict[str, str] = {}
        self.failed: list[str] = []
        self.failures: list[ScoreRow] = []
        self.failed_before: list[ScoreRow] = []
        self.names: set[str] = set()
        self.groups: set[str] = set()
        self.warnings: list[str] = []
        self.kept = 0

    def claim(self, inputs: Sequence[ImageInput]) -> None:
        """Mark the folder with the parameters, or refuse one that holds results of others."""
        by_name = {item.name: self.assay_of(item) for item in inputs}
        self.names, self.groups = set(by_name), {item.group for item in inputs if item.group}
        known = {parameters_digest(assay) for assay in self.assays.values()}
        results, _ = list_results(self.out)
        for result in results:
            wanted = by_name.get(result.folder.name)
            allowed = known if wanted is None else {parameters_digest(wanted)}
            foreign = result.summary["parameters"] not in allowed or "rescored_from" in result.summary
            if foreign and not self.options.overwrite:
                differences = _differences(result.summary, wanted or self.assay)
                raise ResultMismatch(
                    f"{self.out.name} holds results of other parameters ({differences}): "
                    "choose another folder, or --overwrite"
                )
            if foreign:
                discard_result(result.folder)
                self.warnings.append(f"{result.folder.name}: its result of other parameters was removed")
        self.users = Counter(_files_of(inputs))
        self.by_input = {r.summary["input"]["sha256"]: r.folder for r in results if r.folder.name not in by_name}
        if run_parameters(self.out) == parameters_digest(self.assay) and not self.options.overwrite:
            try:
                self.failed_before = [row for row in failed_rows(self.out) if row.image not in by_name]
            except DamagedResult:
                self.warnings.append(f"{SCORES} was damaged: what failed in earlier runs is not known")
        write_run(self.out, self.assay)

    def assay_of(self, item: ImageInput) -> Assay:
        """Give the assay of an image: its own, with what was changed for all, or the run's."""
        if item.assay not in self.assays:
            fields = {name: getattr(self.assay, name) for name in INPUT_FIELDS}
            self.assays[item.assay] = _with_sha256(load_assay(item.assay or "").replace(**fields, **self.changes))
        return self.assays[item.assay]

    def score_group(self, members: list[ImageInput], before: int) -> None:
        """Score images that share a context; `before` images are done."""
        try:
            context = self._shared_context(members)
        except IhcscoreError as error:
            self._fail_group(members, error)
            return
        for number, item in enumerate(members, before):
            self.progress(item.name, number)
            self.score_one(item, context, number)
            self.progress(item.name, number + 1)

    def _fail_group(self, members: list[ImageInput], error: IhcscoreError) -> None:
        for item in members:
            self.fail(item, f"its group has no context: {error}")

    def score_one(self, item: ImageInput, context: SlideContext | None, number: int) -> None:
        """Score an image, or note why it cannot be."""
        try:
            self._score(item, context, number)
        except OutputError:
            raise
        except IhcscoreError as error:
            self.fail(item, str(error))

    def score_apart(self, groups: Sequence[list[ImageInput]], executor: ProcessExecutor, before: int) -> None:
        """Score the images of groups in processes, one each at a time; what happened is noted in their order."""
        images: list[_Image] = []
        for members in groups:
            try:
                context = self._shared_context(members)
                images += [_Image(item, context) for item in members]
            except IhcscoreError as error:
                self._fail_group(members, error)
        shared = _Shared(self.out, self.assay, self.changes, self.options, self.users, self.by_input)
        outcomes: dict[str, _Outcome] = {}
        for image, outcome in executor.each(partial(_score_remote, shared), images):
            outcomes[image.item.name] = outcome
            self.progress(image.item.name, before + len(outcomes))
        for image in images:
            self._note(outcomes[image.item.name])

    def _note(self, outcome: "_Outcome") -> None:
        self.failed += outcome.failed
        self.failures += outcome.failures
        self.warnings += outcome.warnings
        self.kept += outcome.kept
        for sha256, name in outcome.seen.items():
            self._warn_of_twin(sha256, name)

    def fail(self, item: ImageInput, reason: str) -> None:
        """Note that an image cannot be scored."""
        self.failed.append(reason if item.path.name in reason else f"{item.path.name}: {reason}")
        self.failures.append(failed_row(item.name, item.group, self.assay_of(item), reason))

    def _shared_context(self, members: list[ImageInput]) -> SlideContext | None:
        """Settle the context of a group; None where each image has its own."""
        if not members[0].group:
            return None
        samples: list[ColorSample] = []
        for item in members:
            try:
                with closing(self._open(item)) as slide:
                    samples.append(survey_slide(slide, self.assay_of(item)).sample.thinned(len(members)))
            except InputError:
                continue  # reported when it is scored
        return estimate_context(samples, self.assay_of(members[0])) if samples else None

    def _open(self, item: ImageInput) -> Slide:
        return open_slide(item.path, item.mpp if item.mpp is not None else self.assay.mpp)

    def _score(self, item: ImageInput, shared: SlideContext | None, number: int) -> None:
        folder = self.out / item.name
        if (folder / SUMMARY).exists() and self._stays(item, folder, shared):
            return
        foreign = foreign_files(folder)
        if foreign:
            raise ResultMismatch(
                f"{item.path.name}: its folder {item.name} holds {', '.join(foreign)} of something else: "
                "choose another folder for the results"
            )
        with closing(self._open(item)) as slide:
            source = self._source(item, slide)
            self._refuse_second_name(item, source.sha256)
            self._measure(source, folder, shared, number)

    def _source(self, item: ImageInput, slide: Slide) -> LoadedImage:
        given = self._nuclei_for(item), self._regions_for(item)
        return LoadedImage.of(item, slide, self.assay_of(item), *given, self.options.origin)

    def _measure(self, source: LoadedImage, folder: Path, shared: SlideContext | None, number: int) -> None:
        item, slide, assay = source.item, source.slide, source.assay
        within = source.regions.covered if assay.only_regions else None
        labels = None if source.nuclei is None else source.nuclei.labels
        plan = plan_measurement(slide, assay, context=shared, nuclei=labels, within=within)
        if folder.is_dir() and self.options.overwrite:
            discard_parts(folder)
        store = self._parts(folder, source, plan)
        context = plan.job.context
        given = source.nuclei_path, source.place
        task = SlideTask(item.path.resolve(), slide.mpp, assay, context, *given) if slide.files else None
        measure(
            plan,
            store,
            self.executor,
            task,
            lambda done, all_: self.progress(item.name, number + 0.9 * done / max(all_, 1)),
        )
        give_back_memory()
        if set(plan.keys) - set(store.done()):
            raise ResultMismatch(f"{item.name}: parts of it are gone: does another run write to {self.out.name}?")
        if folder.is_dir():
            discard_result(folder)
        told = write_result(source, folder, plan, store, self._derived(slide))
        self.warnings += [f"{item.name}: {text}" for text in told]
        if isinstance(store, FolderStore):
            store.remove()

    def _derived(self, slide: Slide) -> list[str]:
        return derived_files(slide, self.options.cells_csv, self.options.geojson)

    def _parts(self, folder: Path, source: LoadedImage, plan: MeasurementPlan) -> TileStore:
        if len(plan.keys) <= MANY_BLOCKS:
            return MemoryStore()
        job = {
            "ihcscore": __version__,
            "input": source.sha256,
            "pixel size": source.slide.mpp,
            "parameters": parameters_digest(source.assay),
            "background or stains": plan.job.context.to_dict(),
            "nuclei": source.nuclei.sha256 if source.nuclei else None,
            "regions": source.regions_sha256 if source.assay.only_regions else None,
            "origin": None if source.place == HERE else asdict(source.place),
        }
        return FolderStore(folder / PARTS, job)

    def _nuclei_for(self, item: ImageInput) -> Path | None:
        return None if item.nuclei is None else self._own(nuclei_for(item.path, item.nuclei), "nuclei")

    def _regions_for(self, item: ImageInput) -> Path | None:
        return None if item.regions is None else self._own(regions_for(item.path, item.regions), "regions")

    def _own(self, path: Path, what: str) -> Path:
        """Refuse what would be the nuclei or regions of images of the same name in different folders."""
        if self.users[what, path.resolve()] > 1:
            raise InputError(path, f"would be the {what} of several images: name them in a manifest's column '{what}'")
        return path

    def _refuse_second_name(self, item: ImageInput, sha256: str) -> None:
        """Keep an image from standing in the results twice because other inputs now give it another name."""
        self._warn_of_twin(sha256, item.name)
        other = self.by_input.get(sha256)
        if other is None or not (other / SUMMARY).exists():
            return
        if not self.options.overwrite:
            raise ResultMismatch(
                f"{item.path.name}: is in the results as {other.name} already: name the same inputs as then, "
                "or --overwrite"
            )
        discard_result(other)

    def _warn_of_twin(self, sha256: str, name: str) -> None:
        twin = self.seen.setdefault(sha256, name)
        if twin != name:
            self.warnings.append(f"{name}: the same file as {twin}, so its cells count twice")

    def _stays(self, item: ImageInput, folder: Path, shared: SlideContext | None) -> bool:
        """Complete what is there, if it is this image's; False if it has to be scored again."""
        try:
            result = ImageFolder.read(folder)
            check_digest(result)
            result_regions(result)
            changed = self._changed(item, result, shared)
        except DamagedResult:
            return False
        if changed and self.options.overwrite:
            return False
        if changed:
            raise ResultMismatch(f"{item.path.name}: {item.name} was scored with another {changed}: --overwrite it")
        with closing(self._open(item)) as slide:
            if not all((folder / name).exists() for name in (QUALITY, BLOCKS)):
                return False
            missing = [name for name in self._derived(slide) if not (folder / name).exists()]
            if missing:
                write_derived(folder, self._source(item, slide), missing)
        self.kept += not missing
        self._warn_of_twin(result.summary["input"]["sha256"], item.name)
        return True

    def _changed(self, item: ImageInput, result: ImageFolder, shared: SlideContext | None) -> str:
        """Name what differs between an input and its result; empty if nothing does."""
        given = result.summary["input"]
        nuclei, regions = (
            None if path is None else file_sha256(path) for path in (self._nuclei_for(item), self._regions_for(item))
        )
        with closing(self._open(item)) as slide:
            sha256, mpp = slide_sha256(slide), slide.mpp
            place, _ = image_placement(item.path, slide, self.options.origin)
        differs = {
            "nuclei": given.get("nuclei", {}).get("sha256") != nuclei,
            "regions": given.get("regions", {}).get("sha256") != regions,
            "input file": given["sha256"] != sha256,
            "pixel size": result.summary["image"]["mpp"] != mpp,
            "origin": result_placement(result) != place,
            "group": result.row.group != item.group,
            "background or stains of its group": shared is not None and result_context(result).light != shared.light,
        }
        return ", ".join(name for name, different in differs.items() if different)

    def _warn_of_pools(self, results: Sequence[ImageFolder]) -> None:
        """Say which pools hold images that were not named this time."""
        others: dict[str, list[str]] = {}
        for result in results:
            if result.row.group in self.groups and result.row.image not in self.names:
                others.setdefault(result.row.group, []).append(result.row.image)
        self.warnings += [f"{group} also holds {', '.join(names)}, scored before" for group, names in others.items()]

    def all_rows(self) -> list[ScoreRow]:
        """Give the rows of every image in the folder, then of the groups."""
        results, damaged = list_results(self.out)
        self.warnings += [f"{text} (left out of {SCORES})" for text in damaged]
        failures = [*self.failed_before, *self.failures]
        if self.failed_before:
            names = ", ".join(row.image for row in self.failed_before)
            text = f"failed in an earlier run and were not scored now: {names}; {SCORES} says so until --overwrite"
            self.warnings.append(text)
        failed = {row.image for row in failures}
        good = [result for result in results if result.row.image not in failed]
        self._warn_of_pools(good)
        rows = [row for result in good for row in (result.row, *result.regions)]
        return rows + failures + pooled_rows(good, failures)


@dataclass(frozen=True)
class _Shared:
    """What a process needs to score images as the run would; fields as of `_Run`."""

    out: Path
    assay: Assay
    changes: Mapping[str, Any]
    options: Options
    users: Counter[tuple[str, Path]]
    by_input: dict[str, Path]


@dataclass(frozen=True)
class _Image:
    """An image for a process, with the context of its group."""

    item: ImageInput
    context: SlideContext | None

    def __str__(self) -> str:
        return self.item.name


@dataclass(frozen=True)
class _Outcome:
    """What happened to an image; fields as of `_Run`."""

    failed: list[str]
    failures: list[ScoreRow]
    warnings: list[str]
    kept: int
    seen: dict[str, str]


def _score_remote(shared: _Shared, image: _Image) -> _Outcome:
    """Score an image in a worker process."""
    run = _Run(shared.out, shared.assay, shared.changes, shared.options, SerialExecutor(), _in_silence)
    run.users, run.by_input = shared.users, shared.by_input
    run.score_one(image.item, image.context, 0)
    return _Outcome(run.failed, run.failures, run.warnings, run.kept, run.seen)


def _in_silence(what: str, done: float) -> None:
    """Report nothing."""


def _with_sha256(assay: Assay) -> Assay:
    if assay.weights is not None and assay.weights_sha256 is None:
        assay = assay.replace(weights_sha256=weights_sha256(Path(assay.weights)))
    return with_classifier_sha256(assay)


def _differences(summary: dict[str, Any], assay: Assay) -> str:
    if "rescored_from" in summary:
        return "they are rescored"
    old, new = summary["assay"], assay.to_record()
    names = sorted(
        key for key in {*old, *new} if old.get(key) != new.get(key) and key not in ("sources", "description")
    )
    if summary["ihcscore"] != __version__:
        names.append(f"ihcscore {summary['ihcscore']}")
    return ", ".join(names) or "unknown ones"
