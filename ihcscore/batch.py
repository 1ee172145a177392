"""Score many image files into a result folder, or complete one."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

import ihcscore
from ihcscore.assay import Assay
from ihcscore.context import SlideContext, settle_context, survey
from ihcscore.errors import DamagedResult, IhcscoreError, InputError, OutputError, ResultMismatch
from ihcscore.io.images import SourceImage, read_image
from ihcscore.io.inputs import ImageInput
from ihcscore.io.nuclei import NucleiFile, nuclei_for, read_nuclei
from ihcscore.outputs.geojson import write_geojson
from ihcscore.outputs.overlay import write_overlay
from ihcscore.outputs.summary import write_summary
from ihcscore.outputs.tables import write_cells, write_cells_csv, write_scores
from ihcscore.pipeline import Measurement, measure_image, score_cells
from ihcscore.results import (
    CELLS,
    CELLS_CSV,
    GEOJSON,
    OVERLAY,
    SCORES,
    SUMMARY,
    ImageFolder,
    RunReport,
    discard_result,
    file_sha256,
    load_measurement,
    parameters_digest,
    pooled_rows,
    results_in,
    write_run,
)
from ihcscore.segment.weights import weights_sha256
from ihcscore.summarize import ScoreRow, failed_row

Progress = Callable[[str, float], None]
"""Called with what is being done and how many images are done, in parts of images."""


def score_files(
    inputs: Sequence[ImageInput],
    assay: Assay,
    out: str | Path,
    *,
    cells_csv: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Score image files into a folder.

    Parameters
    ----------
    inputs : sequence of ImageInput
        The images, as `ihcscore.io.inputs.expand_inputs` lists them.
    assay : Assay
        How; its `mpp` is for images whose pixel size no manifest gives.
    out : str or Path
        Result folder. One that exists is completed: what is there and complete stays as it is.
    cells_csv : bool, default False
        Write the cell tables as CSV, too.
    overwrite : bool, default False
        Replace results of other parameters or inputs instead of refusing.
    progress : callable, optional
        Called as the work goes on.

    Returns
    -------
    RunReport
        A file that failed is a row with its reason, and the others are scored.

    Raises
    ------
    ResultMismatch
        If the folder holds results of other parameters and `overwrite` is not set.
    OutputError
        If the folder cannot be written.
    """
    if assay.weights is not None and assay.weights_sha256 is None:
        assay = assay.replace(weights_sha256=weights_sha256(Path(assay.weights)))
    run = _Run(Path(out), assay, cells_csv, overwrite, progress or (lambda what, done: None))
    run.claim(inputs)
    for position, members in _by_group(inputs):
        run.score_group(members, position)
    rows = run.all_rows()
    write_scores(run.out / SCORES, rows)
    return RunReport(tuple(rows), tuple(run.failed), run.kept, tuple(run.warnings))


def _by_group(inputs: Sequence[ImageInput]) -> Iterator[tuple[int, list[ImageInput]]]:
    """Give the images of each group together, and how many came before; each image without group is its own."""
    groups: dict[str, list[ImageInput]] = {}
    for item in inputs:
        groups.setdefault(f"group {item.group}" if item.group else f"image {item.name}", []).append(item)
    before = 0
    for members in groups.values():
        yield before, members
        before += len(members)


def _nuclei_paths(inputs: Sequence[ImageInput]) -> Iterator[Path]:
    """Give the file of each image's nuclei; one that cannot be told is reported when its image is scored."""
    for item in inputs:
        if item.nuclei is not None:
            with suppress(InputError):
                yield nuclei_for(item.path, item.nuclei).resolve()


class _Run:
    """One call of `score_files`: the folder, the parameters, what happened so far."""

    def __init__(self, out: Path, assay: Assay, cells_csv: bool, overwrite: bool, progress: Progress) -> None:
        self.out, self.assay, self.overwrite, self.progress = out, assay, overwrite, progress
        self.wanted = [CELLS, GEOJSON, OVERLAY] + [CELLS_CSV] * cells_csv
        self.parameters = parameters_digest(assay)
        self.seen: dict[str, str] = {}
        self.failed: list[str] = []
        self.failures: list[ScoreRow] = []
        self.warnings: list[str] = []
        self.kept = 0

    def claim(self, inputs: Sequence[ImageInput]) -> None:
        """Mark the folder with the parameters, or refuse one that holds results of others."""
        if self.out.exists() and not self.out.is_dir():
            raise OutputError(f"cannot write results into {self.out}: it is a file, give a folder")
        names = {item.name for item in inputs}
        results, _ = results_in(self.out)
        for result in results:
            foreign = result.summary["parameters"] != self.parameters or "rescored_from" in result.summary
            if foreign and not self.overwrite:
                raise ResultMismatch(
                    f"{self.out.name} holds results of other parameters ({_differences(result.summary, self.assay)}): "
                    "choose another folder, or --overwrite"
                )
            if foreign:
                discard_result(result.folder)
                self.warnings.append(f"{result.folder.name}: its result of other parameters was removed")
        self.nuclei_of = Counter(_nuclei_paths(inputs))
        self.by_input = {r.summary["input"]["sha256"]: r.folder for r in results if r.folder.name not in names}
        write_run(self.out, self.assay)

    def score_group(self, members: list[ImageInput], before: int) -> None:
        """Score images that share a context."""
        try:
            context = self._shared_context(members) if members[0].group else None
        except IhcscoreError as error:
            for item in members:
                self._fail(item, f"its group has no context: {error}")
            return
        for number, item in enumerate(members, before):
            self.progress(item.name, number)
            try:
                self._score(item, context, number)
            except OutputError:
                raise
            except IhcscoreError as error:
                self._fail(item, str(error))
            self.progress(item.name, number + 1)

    def _fail(self, item: ImageInput, reason: str) -> None:
        self.failed.append(reason if item.path.name in reason else f"{item.path.name}: {reason}")
        self.failures.append(failed_row(item.name, item.group, self.assay, reason))

    def _shared_context(self, members: list[ImageInput]) -> SlideContext | None:
        surveys = []
        for item in members:
            try:
                surveys.append(survey(self._read(item).rgb, self.assay))
            except InputError:
                continue  # reported when it is scored
        return settle_context(surveys, self.assay) if surveys else None

    def _read(self, item: ImageInput) -> SourceImage:
        return read_image(item.path, item.mpp if item.mpp is not None else self.assay.mpp)

    def _score(self, item: ImageInput, shared: SlideContext | None, number: int) -> None:
        folder = self.out / item.name
        if (folder / SUMMARY).exists() and self._stays(item, folder, shared):
            return
        source = self._read(item)
        self._refuse_second_name(item, source)
        nuclei = self._nuclei(item, source)
        measurement = measure_image(
            source.rgb,
            mpp=source.mpp,
            assay=self.assay,
            context=shared,
            nuclei=None if nuclei is None else nuclei.labels,
            progress=lambda done, all_: self.progress(item.name, number + 0.9 * done / all_),
        )
        scored = score_cells(measurement.cells, self.assay, image=item.name, group=item.group)
        if folder.is_dir():
            discard_result(folder)
        self._write(folder, source, scored.cells, self.wanted)
        summary = _summary(item, source, nuclei, measurement, scored.scores, self)
        write_summary(folder / SUMMARY, summary)
        self.warnings += [f"{item.name}: {text}" for text in summary["warnings"]]

    def _nuclei(self, item: ImageInput, source: SourceImage) -> NucleiFile | None:
        if item.nuclei is None:
            return None
        rows, columns, _ = source.rgb.shape
        path = nuclei_for(item.path, item.nuclei)
        if self.nuclei_of[path.resolve()] > 1:
            raise InputError(path, "would be the nuclei of several images: name them in a manifest's column 'nuclei'")
        return read_nuclei(path, (rows, columns), source.mpp)

    def _refuse_second_name(self, item: ImageInput, source: SourceImage) -> None:
        """Keep an image from standing in the results twice because other inputs now give it another name."""
        twin = self.seen.setdefault(source.sha256, item.name)
        if twin != item.name:
            self.warnings.append(f"{item.name}: the same file as {twin}, so its cells count twice")
        other = self.by_input.get(source.sha256)
        if other is None or not (other / SUMMARY).exists():
            return
        if not self.overwrite:
            raise ResultMismatch(
                f"{item.path.name}: is in the results as {other.name} already: name the same inputs as then, "
                "or --overwrite"
            )
        discard_result(other)

    def _stays(self, item: ImageInput, folder: Path, shared: SlideContext | None) -> bool:
        """Complete what is there, if it is this image's; False if it has to be scored again."""
        try:
            result = ImageFolder.read(folder)
            cells = load_measurement(result).cells
        except DamagedResult:
            return False
        changed = self._changed(item, result, shared)
        if changed and self.overwrite:
            return False
        if changed:
            raise ResultMismatch(f"{item.path.name}: {item.name} was scored with another {changed}: --overwrite it")
        missing = [name for name in self.wanted if not (folder / name).exists()]
        if missing:
            source = self._read(item)
            self._write(folder, source, score_cells(cells, self.assay).cells, missing)
        self.kept += not missing
        return True

    def _changed(self, item: ImageInput, result: ImageFolder, shared: SlideContext | None) -> str:
        """Name what differs between an input and its result; empty if nothing does."""
        mpp = item.mpp if item.mpp is not None else self.assay.mpp
        nuclei = None if item.nuclei is None else file_sha256(nuclei_for(item.path, item.nuclei))
        differs = {
            "nuclei": result.summary["input"].get("nuclei", {}).get("sha256") != nuclei,
            "input file": result.summary["input"]["sha256"] != file_sha256(item.path),
            "pixel size": mpp is not None and result.summary["image"]["mpp"] != mpp,
            "group": result.row.group != item.group,
            "background or stains of its group": shared is not None and result.summary["context"] != shared.to_dict(),
        }
        return ", ".join(name for name, different in differs.items() if different)

    def _write(self, folder: Path, source: SourceImage, cells: pd.DataFrame, names: Sequence[str]) -> None:
        writers: dict[str, Callable[[Path], None]] = {
            CELLS: lambda path: write_cells(path, cells),
            CELLS_CSV: lambda path: write_cells_csv(path, cells),
            GEOJSON: lambda path: write_geojson(path, cells),
            OVERLAY: lambda path: write_overlay(path, source.rgb, cells, source.mpp),
        }
        for name in names:
            writers[name](folder / name)

    def all_rows(self) -> list[ScoreRow]:
        """Give the rows of every image in the folder, then of the groups."""
        results, damaged = results_in(self.out)
        self.warnings += [f"{text} (left out of {SCORES})" for text in damaged]
        failed = {row.image for row in self.failures}
        good = [result for result in results if result.row.image not in failed]
        return [r.row for r in good] + self.failures + pooled_rows(good, self.failures, self.assay)


def _summary(
    item: ImageInput,
    source: SourceImage,
    nuclei: NucleiFile | None,
    measurement: Measurement,
    scores: ScoreRow,
    run: _Run,
) -> dict[str, Any]:
    given = {} if nuclei is None else {"nuclei": {"name": nuclei.name, "sha256": nuclei.sha256}}
    return {
        "scores": scores.to_dict(),
        "warnings": [*source.notes, *(nuclei.notes if nuclei else ()), *measurement.context.warnings],
        "input": {
            "name": source.name,
            "sha256": source.sha256,
            "mpp_origin": "manifest" if item.mpp is not None else source.mpp_origin,
            "notes": list(source.notes),
            **given,
        },
        "parameters": run.parameters,
        **measurement.provenance,
        "assay": run.assay.to_record(),
    }


def _differences(summary: dict[str, Any], assay: Assay) -> str:
    if "rescored_from" in summary:
        return "they are rescored"
    old, new = summary["assay"], assay.to_record()
    names = sorted(
        key for key in {*old, *new} if old.get(key) != new.get(key) and key not in ("sources", "description")
    )
    if summary["ihcscore"] != ihcscore.__version__:
        names.append(f"ihcscore {summary['ihcscore']}")
    return ", ".join(names) or "unknown ones"
