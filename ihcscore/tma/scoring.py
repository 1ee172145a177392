"""Score tissue microarrays: find or read the grid, score each core, then each patient."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ihcscore.assay import Assay
from ihcscore.batch import score_files
from ihcscore.context import look_at
from ihcscore.errors import IhcscoreError, OutputError
from ihcscore.io.inputs import ImageInput
from ihcscore.io.regions import write_regions
from ihcscore.io.slides.opening import open_slide
from ihcscore.results import RunReport
from ihcscore.rows import ScoreRow
from ihcscore.tma.files import core_regions, read_grid, read_sheet, write_grid
from ihcscore.tma.grid import CoreGrid, find_cores
from ihcscore.tma.patients import CoreRow, PatientRow, core_row, patient_rows, write_rows
from ihcscore.tma.picture import write_picture

GRIDS, CORES, PATIENTS = "grids", "cores.csv", "patients.csv"


@dataclass(frozen=True)
class ArrayReport:
    """What `score_arrays` gives.

    Parameters
    ----------
    run : RunReport
        As of any run; its rows are those of slides and cores.
    cores : tuple of CoreRow
        Every place of every grid.
    patients : tuple of PatientRow
        Empty without a sheet.
    warnings : tuple of str
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
        Result folder as of `ihcscore.batch.score_files`; with ``grids/``, ``cores.csv`` and ``patients.csv``.
    grid : Path, optional
        Grid of the only slide, or folder of all slides', as ``grids/`` holds them; found on the slides unless given.
    sheet : Path, optional
        Which core is of which patient.
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
    patients = read_sheet(sheet) if sheet is not None else {}
    grids, refused = find_grids(inputs, assay, out, grid=grid, core_mm=core_mm)
    _refuse_unclear(patients, grids)
    ready = [replace(item, regions=_regions(out, item)) if item.name in grids else item for item in inputs]
    run = score_files(ready, assay, out, refused=refused, **options)
    cores = [row for name, found in grids.items() for row in _core_rows(name, found, run, patients, assay)]
    scored = patient_rows(cores)
    write_rows(out / CORES, cores, CoreRow)
    if sheet is not None:
        write_rows(out / PATIENTS, scored, PatientRow)
    else:
        (out / PATIENTS).unlink(missing_ok=True)  # of an earlier run: its scores are not these
    warnings = [*_off_grid(grids), *_unknown(patients, cores)]
    return ArrayReport(run, tuple(cores), tuple(scored), tuple(warnings))


def find_grids(
    inputs: Sequence[ImageInput],
    assay: Assay,
    out: str | Path,
    *,
    grid: Path | None = None,
    core_mm: float | None = None,
) -> tuple[dict[str, CoreGrid], dict[str, str]]:
    """Find or read the grids of slides; write them, their cores as regions, and pictures to ``out/grids``.

    Parameters
    ----------
    inputs, assay, out, grid, core_mm
        As of `score_arrays`.

    Returns
    -------
    grids : dict of str to CoreGrid
        By name of the slide.
    refused : dict of str to str
        Why other slides have none.

    Raises
    ------
    IhcscoreError
        If one grid is given for several slides.
    """
    if grid is not None and grid.is_file() and len(inputs) > 1:
        raise IhcscoreError(f"{grid.name} cannot be the grid of {len(inputs)} slides: give a folder of them")
    grids, refused = dict[str, CoreGrid](), dict[str, str]()
    for item in inputs:
        try:
            grids[item.name] = _grid_of(item, assay, Path(out), grid, core_mm)
        except OutputError:
            raise
        except IhcscoreError as error:
            refused[item.name] = str(error)
    return grids, refused


def _grid_of(item: ImageInput, assay: Assay, out: Path, given: Path | None, core_mm: float | None) -> CoreGrid:
    with closing(open_slide(item.path, item.mpp if item.mpp is not None else assay.mpp)) as slide:
        look, mpp = look_at(slide, assay), slide.mpp
    if given is None:
        found = find_cores(look.tissue, None if core_mm is None else core_mm * 1000)
    else:
        found = read_grid(given / f"{item.name}.csv" if given.is_dir() else given)
    if not found.present:
        raise IhcscoreError("no core of its grid has tissue")
    write_grid(out / GRIDS / f"{item.name}.csv", found)
    write_regions(_regions(out, item), core_regions(found.present, mpp))
    write_picture(out / GRIDS / f"{item.name}.png", look.coarse, look.tissue.um, found)
    return found


def _regions(out: Path, item: ImageInput) -> Path:
    return out / GRIDS / f"{item.name}.geojson"


def _core_rows(
    name: str, grid: CoreGrid, run: RunReport, patients: dict[tuple[str, str], str], assay: Assay
) -> list[CoreRow]:
    scored: dict[str, ScoreRow] = {
        row.region: row for row in run.rows if row.image == name and row.population == assay.population
    }
    regions = {core: region.name for core, region in zip(grid.present, core_regions(grid.present, 1.0), strict=True)}
    if scored.keys().isdisjoint(regions.values()):
        return []  # the slide failed: its row says why
    rows = []
    for core in grid.cores:
        patient = patients.get((name, core.name), patients.get(("", core.name), ""))
        rows.append(core_row(name, core, scored[regions[core]] if core in regions else None, patient))
    return rows


def _off_grid(grids: dict[str, CoreGrid]) -> list[str]:
    return [
        f"{name}: {len(grid.off_grid)} pieces of a core's size fit no place of the grid; look at {GRIDS}/{name}.csv"
        for name, grid in grids.items()
        if grid.off_grid
    ]


def _refuse_unclear(patients: dict[tuple[str, str], str], grids: dict[str, CoreGrid]) -> None:
    """Refuse a sheet that names a core of several slides without the slide: they are often of different people."""
    slides = Counter(core.name for grid in grids.values() for core in grid.cores)
    several = [core for slide, core in patients if not slide and slides[core] > 1]
    if several:
        first = ", ".join(several[:5])
        raise IhcscoreError(
            f"{len(several)} cores of the sheet are on several slides: {first}: give it a column 'slide'"
        )


def _unknown(patients: dict[tuple[str, str], str], cores: Sequence[CoreRow]) -> list[str]:
    """Name what the sheet lists and no grid has."""
    there = {(row.slide, row.core) for row in cores} | {("", row.core) for row in cores}
    unknown = [" ".join(filter(None, key)) for key in patients if key not in there]
    return (
        [f"{len(unknown)} cores of the sheet are in no grid that was scored: {', '.join(unknown[:5])}"]
        if unknown
        else []
    )
