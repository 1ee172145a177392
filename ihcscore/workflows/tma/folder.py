"""Arrays of a result folder: the grids they were scored by, their cores and patients."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import shapely

from ihcscore.errors import InputError, OutputError
from ihcscore.io.atomic import write_bytes
from ihcscore.results.run_record import failed_rows
from ihcscore.results.stored_result import StoredResult, list_results
from ihcscore.workflows.tma.files import core_regions, read_grid, read_sheet
from ihcscore.workflows.tma.grid import CoreGrid
from ihcscore.workflows.tma.patients import CoreRow, PatientRow, core_row, failed_core, patient_rows, write_rows

GRIDS, CORES, PATIENTS = "grids", "cores.csv", "patients.csv"

OTHERWISE = 0.01
"""Share of a core's area that may lie otherwise than when it was scored."""
Patients = Mapping[tuple[str, str], str]
"""Patient by slide and core."""


def is_array(out: Path) -> bool:
    """Return whether a result folder holds scored arrays."""
    return (out / CORES).is_file()


def has_grid(out: Path, slide: str) -> bool:
    """Return whether a result folder has the grid of a slide."""
    return (out / GRIDS / f"{slide}.csv").is_file()


def copy_grids(source: Path, out: Path, slides: Iterable[str] | None = None) -> None:
    """Copy grids, their cores as regions and their pictures from one folder to another: all, or those of some slides.

    Raises OutputError if they cannot be written.
    """
    wanted = None if slides is None else set(slides)
    try:
        for path in (source / GRIDS).iterdir() if (source / GRIDS).is_dir() else ():
            if wanted is None or path.stem in wanted:
                write_bytes(out / GRIDS / path.name, path.read_bytes())
    except OSError as error:
        raise OutputError(f"cannot copy {source / GRIDS} to {out / GRIDS}: {error}") from error


def recorded_patients(out: Path) -> dict[tuple[str, str], str]:
    """Read which core of a result folder is of which patient, by slide and core; cores without patient are not listed.

    Raises InputError if ``cores.csv`` is damaged.
    """
    listed = read_sheet(out / CORES) if is_array(out) else {}
    return {key: patient for key, patient in listed.items() if patient}


def recorded_grids(out: Path, slides: Iterable[str]) -> dict[str, CoreGrid]:
    """Read the grids that a result folder has of some slides. Raises InputError if one is damaged."""
    return {slide: read_grid(out / GRIDS / f"{slide}.csv") for slide in slides if has_grid(out, slide)}


def write_arrays(out: Path, patients: Patients) -> tuple[list[CoreRow], list[PatientRow], list[str]]:
    """Write ``cores.csv`` and ``patients.csv`` of all arrays of a result folder.

    Raises IhcscoreError if the scores cannot be read, or the files not written. A slide whose grid cannot be read
    is left out with a warning.

    Parameters
    ----------
    out : Path
        Result folder with ``grids/``.
    patients : mapping of (str, str) to str
        Patient by slide and core; without any there is no ``patients.csv``.

    Returns
    -------
    cores : list of CoreRow
        Every place of the grid of each slide that was scored or failed.
    """
    results = {result.folder.name: result for result in list_results(out)[0]}
    failed = {row.image: row.reason for row in failed_rows(out)}
    cores, warnings = list[CoreRow](), list[str]()
    for slide in sorted(path.stem for path in (out / GRIDS).glob("*.csv")):
        try:
            grid = read_grid(out / GRIDS / f"{slide}.csv")
            of = {core.name: patients.get((slide, core.name), "") for core in grid.cores}
            if slide in failed:
                cores += [failed_core(slide, core, failed[slide], of[core.name]) for core in grid.cores]
            elif slide in results and _was_scored_by(results[slide], grid):
                cores += _cores(results[slide], grid, of)
            elif slide in results:
                warnings.append(f"{slide}: was not scored by {GRIDS}/{slide}.csv; its cores are left out of {CORES}")
        except InputError as error:
            warnings.append(f"{slide}: {error}; its cores are left out of {CORES}")
    scored = patient_rows(cores)
    for name, rows, kind in ((CORES, cores, CoreRow), (PATIENTS, scored, PatientRow)):
        if rows:
            write_rows(out / name, rows, kind)
        else:
            (out / name).unlink(missing_ok=True)  # of an earlier run: its scores are not these
    return cores, scored, warnings


def _was_scored_by(result: StoredResult, grid: CoreGrid) -> bool:
    """Return whether a slide was scored with the cores of a grid, which may have changed since."""
    image, scored = result.summary["image"], {region.name: region.geometry for region in result.regions().regions}
    canvas = shapely.box(0, 0, image["width"], image["height"])
    if len(scored) != len(grid.present):
        return False
    for core in core_regions(grid.present, image["mpp"]):
        circle = core.geometry.intersection(canvas)
        drawn = scored.get(core.name, shapely.Polygon())
        if circle.symmetric_difference(drawn).area > OTHERWISE * circle.area:
            return False
    return True


def _cores(result: StoredResult, grid: CoreGrid, patients: Mapping[str, str]) -> list[CoreRow]:
    population = result.assay.population
    scored = {row.region: row for row in result.region_rows if row.population == population}
    regions = {core: region.name for core, region in zip(grid.present, core_regions(grid.present, 1.0), strict=True)}
    return [
        core_row(result.folder.name, core, scored[regions[core]] if core in regions else None, patients[core.name])
        for core in grid.cores
    ]
