"""Score tissue microarrays: find or read the grid, score each core, then each patient."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ihcscore.assays.assay import Assay
from ihcscore.errors import DamagedResult, IhcscoreError, OutputError
from ihcscore.io.atomic import alone_in
from ihcscore.io.manifests import ImageInput
from ihcscore.io.regions import write_regions
from ihcscore.io.slides.opening import open_slide
from ihcscore.results.run_record import RunReport
from ihcscore.scoring.score_row import FAILED
from ihcscore.survey.slide_survey import survey_slide
from ihcscore.workflows.loaded_image import image_placement
from ihcscore.workflows.rescore_folder import rescore_folder
from ihcscore.workflows.score_folder import score_files
from ihcscore.workflows.tma.files import core_regions, read_grid, read_sheet, write_grid
from ihcscore.workflows.tma.folder import GRIDS, copy_grids, has_grid, recorded_grids, recorded_patients, write_arrays
from ihcscore.workflows.tma.grid import CoreGrid, find_cores
from ihcscore.workflows.tma.patients import CoreRow, PatientRow
from ihcscore.workflows.tma.picture import write_picture


@dataclass(frozen=True)
class ArrayReport:
    """What `score_arrays` gives.

    Parameters
    ----------
    run : RunReport
        As of any run; its rows are those of slides and cores.
    cores : tuple of CoreRow
        Every place of every grid in the result folder.
    patients : tuple of PatientRow
        Those of all slides in the folder; empty if no sheet names any.
    """

    run: RunReport
    cores: tuple[CoreRow, ...]
    patients: tuple[PatientRow, ...]
    warnings: tuple[str, ...]


def score_arrays(
    inputs: Sequence[ImageInput],
    assay: Assay,
    out: str | Path,
    *,
    grid: Path | None = None,
    sheet: Path | None = None,
    core_mm: float | None = None,
    **options: Any,
) -> ArrayReport:
    """Score the cores of tissue microarrays, and their patients.

    Parameters
    ----------
    inputs : sequence of ImageInput
        Slides.
    assay : Assay
    out : str or Path
        Result folder as of `score_files`; with ``grids/``, ``cores.csv`` and ``patients.csv`` of all its
    slides, also those of earlier runs.
    grid : Path, optional
        Grid of the only slide, or folder of all slides', as ``grids/`` holds them; found on the slides unless given.
    sheet : Path, optional
        Which core of these slides is of which patient.
    core_mm : float, optional
        Diameter of a core, mm.
    **options
        As of `score_files`.

    Returns
    -------
    ArrayReport
        A slide without a grid that can be seen is a failed row, and the others are scored.

    Raises
    ------
    IhcscoreError
        If the sheet or a given grid cannot be read, or as `score_files`.
    """
    out, assay = Path(out), assay.replace(only_regions=True)
    listed = read_sheet(sheet) if sheet is not None else {}
    names = {item.name for item in inputs}
    with alone_in(out) as warnings, TemporaryDirectory() as folder:  # one that is refused keeps its own grids
        found, origin = Path(folder), options.get("origin", "canvas")
        grids, refused = find_grids(inputs, assay, found, grid=grid, core_mm=core_mm, origin=origin)
        _refuse_unclear(listed, grids)
        ready = [replace(item, regions=_regions(found, item)) if item.name in grids else item for item in inputs]
        run = score_files(ready, assay, out, refused=refused, **options)
        failed = {row.image for row in run.rows if row.status == FAILED}
        copy_grids(found, out, [name for name in grids if name not in failed or not has_grid(out, name)])
        had = recorded_patients(out)
        known = {**grids, **recorded_grids(out, names)}
        patients = {key: patient for key, patient in had.items() if key[0] not in names} | _patients(listed, known)
        cores, scored, told = write_arrays(out, patients)
        warnings += [*_doubtful(grids), *told, *_unknown(listed, known)]
    lost = sorted({slide for slide, _ in had} & names) if sheet is None else []
    warnings += [f"{slide}: its cores had patients, and have none without --sheet" for slide in lost]
    return ArrayReport(run, tuple(cores), tuple(scored), tuple(warnings))


def rescore_arrays(measured: str | Path, out: str | Path, assay: Assay | None = None, **options: Any) -> ArrayReport:
    """Score the cores and patients of a result folder again, without the slides.

    Parameters
    ----------
    measured, out, assay, **options
        As of `ihcscore.workflows.rescore_folder.rescore_folder`. Grids and patients are those of `measured`.

    Returns
    -------
    ArrayReport

    Raises
    ------
    IhcscoreError
        As `rescore_folder`.
    """
    measured, out = Path(measured), Path(out)
    if not (measured / GRIDS).is_dir():
        raise DamagedResult(measured / GRIDS, "is missing: its cores cannot be distinguished from other regions")
    patients = recorded_patients(measured)
    with alone_in(out):
        run = rescore_folder(measured, out, assay, **options)
        copy_grids(measured, out)
        cores, scored, warnings = write_arrays(out, patients)
    return ArrayReport(run, tuple(cores), tuple(scored), tuple(warnings))


def find_grids(
    inputs: Sequence[ImageInput],
    assay: Assay,
    out: str | Path,
    *,
    grid: Path | None = None,
    core_mm: float | None = None,
    origin: str = "canvas",
) -> tuple[dict[str, CoreGrid], dict[str, str]]:
    """Find or read the grids of slides; write them, their cores as regions, and pictures to ``out/grids``.

    Raises IhcscoreError if one grid is given for several slides.

    Parameters
    ----------
    inputs, assay, out, grid, core_mm
        As of `score_arrays`.
    origin : "canvas" or "bounds"
        Of the regions' coordinates, as in `ihcscore.workflows.score_folder.Options`.

    Returns
    -------
    grids : dict of str to CoreGrid
        By name of the slide.
    refused : dict of str to str
        Why other slides have none.
    """
    if grid is not None and grid.is_file() and len(inputs) > 1:
        raise IhcscoreError(f"{grid.name} cannot be the grid of {len(inputs)} slides: give a folder of them")
    grids, refused = dict[str, CoreGrid](), dict[str, str]()
    for item in inputs:
        try:
            grids[item.name] = _grid_of(item, assay, Path(out), grid, core_mm, origin)
        except OutputError:
            raise
        except IhcscoreError as error:
            refused[item.name] = str(error)
    return grids, refused


def _grid_of(
    item: ImageInput, assay: Assay, out: Path, given: Path | None, core_mm: float | None, origin: str
) -> CoreGrid:
    with closing(open_slide(item.path, item.mpp if item.mpp is not None else assay.mpp)) as slide:
        look, mpp, place = survey_slide(slide, assay), slide.mpp, image_placement(item.path, slide, origin)[0]
    if given is None:
        found = find_cores(look.tissue, None if core_mm is None else core_mm * 1000)
    else:
        found = read_grid(given / f"{item.name}.csv" if given.is_dir() else given)
    if not found.present:
        raise IhcscoreError("no core of its grid has tissue")
    size = [length * mpp for length in slide.dimensions]
    outside = [c.name for c in found.present if not (0 <= c.x_um <= size[0] and 0 <= c.y_um <= size[1])]
    if outside:
        raise IhcscoreError(f"cores {', '.join(outside[:5])} lie outside of its {size[0]:.0f} x {size[1]:.0f} um")
    write_grid(out / GRIDS / f"{item.name}.csv", found)
    write_regions(_regions(out, item), core_regions(found.present, mpp, place))
    write_picture(out / GRIDS / f"{item.name}.png", look.coarse, look.tissue.um, found)
    return found


def _regions(out: Path, item: ImageInput) -> Path:
    return out / GRIDS / f"{item.name}.geojson"


def _doubtful(grids: dict[str, CoreGrid]) -> list[str]:
    """Warn of tissue that fits no place of the grid, and of cores whose cells count twice."""
    told = []
    for name, grid in grids.items():
        if grid.off_grid:
            told.append(
                f"{name}: {len(grid.off_grid)} pieces of a core's size fit no place of the grid; "
                f"look at {GRIDS}/{name}.csv"
            )
        if pairs := grid.overlapping:
            first = " and ".join(core.name for core in pairs[0])
            told.append(f"{name}: {len(pairs)} pairs of cores overlap ({first}): cells in both count in both")
    return told


def _patients(listed: dict[tuple[str, str], str], grids: dict[str, CoreGrid]) -> dict[tuple[str, str], str]:
    """Return the patient of each core that a sheet lists, by slide and core."""
    places = [(slide, core.name) for slide, grid in grids.items() for core in grid.cores]
    found = {place: listed.get(place, listed.get(("", place[1]), "")) for place in places}
    return {place: patient for place, patient in found.items() if patient}


def _refuse_unclear(patients: dict[tuple[str, str], str], grids: dict[str, CoreGrid]) -> None:
    """Refuse a sheet that names a core of several slides without the slide: they are often of different people."""
    slides = Counter(core.name for grid in grids.values() for core in grid.cores)
    several = [core for slide, core in patients if not slide and slides[core] > 1]
    if several:
        first = ", ".join(several[:5])
        raise IhcscoreError(
            f"{len(several)} cores of the sheet are on several slides: {first}: give it a column 'slide'"
        )


def _unknown(listed: dict[tuple[str, str], str], grids: dict[str, CoreGrid]) -> list[str]:
    """Name what the sheet lists and no grid has."""
    there = {(slide, core.name) for name, grid in grids.items() for core in grid.cores for slide in (name, "")}
    unknown = [" ".join(filter(None, key)) for key in listed if key not in there]
    return [f"{len(unknown)} cores of the sheet are in no grid: {', '.join(unknown[:5])}"] if unknown else []
