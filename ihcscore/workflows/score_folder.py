"""Score many images and slides into a result folder, or complete one."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ihcscore.assays.assay import Assay
from ihcscore.errors import DamagedResult, IhcscoreError, InputError, OutputError, ResultMismatch
from ihcscore.io.atomic import alone_in
from ihcscore.io.manifests import ImageInput
from ihcscore.io.slides.opening import VENDOR_SUFFIXES
from ihcscore.results.layout import SCORES, discard_result
from ihcscore.results.pooling import pooled_rows
from ihcscore.results.run_record import (
    INDIFFERENT,
    RunReport,
    failed_rows,
    parameters_digest,
    recorded_digest,
    run_digest,
    write_run,
)
from ihcscore.results.stored_result import StoredResult, list_results
from ihcscore.results.writers.tables import write_scores
from ihcscore.scoring.score_row import ScoreRow
from ihcscore.survey.context import SlideContext
from ihcscore.survey.estimation import estimate_context
from ihcscore.survey.slide_survey import ColorSample, survey_slide
from ihcscore.tiles.executors import DaskExecutor, ProcessExecutor, SerialExecutor, make_executor
from ihcscore.tiles.measure_slide import open_job
from ihcscore.version import STEPS, recorded_steps
from ihcscore.workflows.run_settings import Options, Progress, RunSettings, count_users, with_hashes
from ihcscore.workflows.score_one import ImageScorer, Outcome, failed

LIGHT_BYTES = 32_000_000
"""Images in files up to this size are scored whole, each by one process."""


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
        The images, as returned by `ihcscore.io.expand_inputs`.
    assay : Assay
        How; its `mpp` is for images whose pixel size no manifest gives. An image with an assay of its own is scored by
        that.
    out : str or Path
        Result folder. One that exists is completed: complete results stay as they are, and a slide that was interrupted
        is resumed.
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
    chosen, out, refused = Options(**options), Path(out), refused or {}
    if out.exists() and not out.is_dir():
        raise OutputError(f"cannot write results into {out}: it is a file, give a folder")
    with make_executor(chosen.workers, chosen.scheduler, open_job) as executor, alone_in(out) as warnings:
        run = _Run(RunSettings(out, with_hashes(assay), changes or {}, chosen), executor, progress or _no_progress)
        run.warnings += warnings
        run.claim(inputs)
        for item in inputs:
            if item.name in refused:
                run.note(item, failed(run.settings, item, refused[item.name]))
        run.warnings += _alike(item.group for item in inputs)
        run.score([item for item in inputs if item.name not in refused])
        rows = run.all_rows()
        write_scores(out / SCORES, rows)
    return RunReport(tuple(rows), tuple(run.failed), run.kept, tuple(run.warnings))


class _Run:
    """One call of `score_files`: its settings, and what happened so far."""

    def __init__(
        self, settings: RunSettings, executor: SerialExecutor | ProcessExecutor | DaskExecutor, progress: Progress
    ) -> None:
        self.settings, self.executor, self.progress = settings, executor, progress
        self.failed: list[str] = []
        self.failures: list[ScoreRow] = []
        self.failed_before: list[ScoreRow] = []
        self.names: set[str] = set()
        self.groups: set[str] = set()
        self.warnings: list[str] = []
        self.kept = 0
        self._seen: dict[str, str] = {}

    def claim(self, inputs: Sequence[ImageInput]) -> None:
        """Mark the folder with the parameters, or refuse one that holds results of others."""
        settings = self.settings
        by_name = {item.name: settings.assay_of(item) for item in inputs}
        self.names, self.groups = set(by_name), {item.group for item in inputs if item.group}
        own = parameters_digest(settings.assay)
        known = {own, *map(parameters_digest, by_name.values())}
        results, _ = list_results(settings.out)
        for result in results:
            wanted = by_name.get(result.folder.name)
            allowed = known if wanted is None else {parameters_digest(wanted)}
            if recorded_digest(result.summary) not in allowed or "rescored_from" in result.summary:
                self._give_way(result, wanted or settings.assay)
        others = {r.summary["input"]["sha256"]: r.folder for r in results if r.folder.name not in by_name}
        self.settings = replace(settings, users=count_users(inputs), earlier=others)
        if run_digest(settings.out) == own and not settings.options.overwrite:
            try:
                self.failed_before = [row for row in failed_rows(settings.out) if row.image not in by_name]
            except DamagedResult:
                self.warnings.append(f"{SCORES} was damaged: what failed in earlier runs is not known")
        write_run(settings.out, settings.assay)

    def _give_way(self, result: StoredResult, assay: Assay) -> None:
        """Remove a result of other parameters, or refuse to."""
        if not self.settings.options.overwrite:
            raise ResultMismatch(
                f"{self.settings.out.name} holds results of other parameters ({_differences(result.summary, assay)}): "
                "choose another folder, or --overwrite"
            )
        discard_result(result.folder)
        self.warnings.append(f"{result.folder.name}: its result of other parameters was removed")

    def score(self, inputs: Sequence[ImageInput]) -> None:
        """Score images, those of a group with the same context."""
        groups = _by_group(inputs)
        apart = _apart(groups, self.executor)
        scorer = ImageScorer(self.settings, self.executor, self.progress)
        done = 0
        for members in (members for k, members in enumerate(groups) if k not in apart):
            for image in self._with_context(members):
                self.progress(image.item.name, done)
                self.note(image.item, scorer.score(image.item, image.context, done))
                done += 1
                self.progress(image.item.name, done)
        if apart and isinstance(self.executor, ProcessExecutor):
            self._score_apart([groups[k] for k in sorted(apart)], self.executor, done)

    def _score_apart(self, groups: Sequence[list[ImageInput]], executor: ProcessExecutor, before: int) -> None:
        """Score images in processes, one each at a time; outcomes are noted in the order of the images."""
        images = [image for members in groups for image in self._with_context(members)]
        outcomes: dict[str, Outcome] = {}
        for image, outcome in executor.each(partial(_score_remote, self.settings), images):
            outcomes[image.item.name] = outcome
            self.progress(image.item.name, before + len(outcomes))
        for image in images:
            self.note(image.item, outcomes[image.item.name])

    def _with_context(self, members: list[ImageInput]) -> list["_Image"]:
        """Pair images with the context of their group; those of a group without context are noted as failed."""
        try:
            context = self._shared_context(members)
        except IhcscoreError as error:
            for item in members:
                self.note(item, failed(self.settings, item, f"its group has no context: {error}"))
            return []
        return [_Image(item, context) for item in members]

    def _shared_context(self, members: list[ImageInput]) -> SlideContext | None:
        """Estimate the context of a group; None where each image has its own."""
        if not members[0].group:
            return None
        samples: list[ColorSample] = []
        for item in members:
            try:
                with closing(self.settings.open(item)) as slide:
                    survey = survey_slide(slide, self.settings.assay_of(item))
                    samples.append(survey.sample.thinned(len(members)))
            except InputError:
                continue  # reported when it is scored
        return estimate_context(samples, self.settings.assay_of(members[0])) if samples else None

    def note(self, item: ImageInput, outcome: Outcome) -> None:
        """Note what happened to an image."""
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
            self.failed.append(outcome.message)
        twin = self._seen.setdefault(outcome.sha256, item.name) if outcome.sha256 else item.name
        if twin != item.name:
            self.warnings.append(f"{item.name}: the same file as {twin}, so its cells count twice")
        self.warnings += outcome.warnings
        self.kept += outcome.kept

    def all_rows(self) -> list[ScoreRow]:
        """Return the rows of every image in the folder, then of the groups."""
        results, damaged = list_results(self.settings.out)
        self.warnings += [f"{text} (left out of {SCORES})" for text in damaged]
        failures = [*self.failed_before, *self.failures]
        if self.failed_before:
            names = ", ".join(row.image for row in self.failed_before)
            text = f"failed in an earlier run and were not scored now: {names}; {SCORES} says so until --overwrite"
            self.warnings.append(text)
        failed_names = {row.image for row in failures}
        good = [result for result in results if result.row.image not in failed_names]
        self._warn_of_pools(good)
        rows = [row for result in good for row in (result.row, *result.region_rows)]
        return rows + failures + pooled_rows(good, failures)

    def _warn_of_pools(self, results: Sequence[StoredResult]) -> None:
        """Warn of groups that also hold images that were not named this time."""
        others: dict[str, list[str]] = {}
        for result in results:
            if result.row.group in self.groups and result.row.image not in self.names:
                others.setdefault(result.row.group, []).append(result.row.image)
        self.warnings += [f"{group} also holds {', '.join(names)}, scored before" for group, names in others.items()]


@dataclass(frozen=True)
class _Image:
    """An image with the context of its group."""

    item: ImageInput
    context: SlideContext | None

    def __str__(self) -> str:
        return self.item.name


def _score_remote(settings: RunSettings, image: _Image) -> Outcome:
    """Score an image in a worker process."""
    return ImageScorer(settings, SerialExecutor(), _no_progress).score(image.item, image.context)


def _by_group(inputs: Sequence[ImageInput]) -> list[list[ImageInput]]:
    """Return the images of each group together; each image without group is its own."""
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

    The tiles of anything larger are shared among the processes instead.
    """
    if not isinstance(executor, ProcessExecutor):
        return set()
    light = {k for k, members in enumerate(groups) if all(_is_light(item.path) for item in members)}
    return light if sum(len(groups[k]) for k in light) >= executor.workers else set()


def _is_light(path: Path) -> bool:
    try:
        return path.suffix.lower() not in VENDOR_SUFFIXES and path.stat().st_size <= LIGHT_BYTES
    except OSError:
        return True  # it fails wherever it is scored


def _no_progress(what: str, done: float) -> None:
    """Report nothing."""


def _differences(summary: dict[str, Any], assay: Assay) -> str:
    if "rescored_from" in summary:
        return "they are rescored"
    old, new = summary["assay"], assay.to_record()
    names = sorted(key for key in {*old, *new} if old.get(key) != new.get(key) and key not in INDIFFERENT)
    steps = recorded_steps(summary)
    names += [f"another version of {name}" for name, version in STEPS.items() if steps and steps.get(name) != version]
    if not steps:
        names.append(f"ihcscore {summary['ihcscore']}")
    return ", ".join(names) or "unknown ones"
