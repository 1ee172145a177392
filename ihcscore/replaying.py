"""Repeat a result from its own summary and say whether it is the same."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import ihcscore
from ihcscore.assay import assay_from_dict
from ihcscore.context import SlideContext
from ihcscore.errors import IhcscoreError, InputError
from ihcscore.io.images import read_image
from ihcscore.io.inputs import legal_name
from ihcscore.io.nuclei import read_nuclei
from ihcscore.outputs.summary import read_summary
from ihcscore.pipeline import Measurement, digest, measure_image, rescore, score_cells
from ihcscore.results import SUMMARY, ImageFolder, file_sha256, load_measurement
from ihcscore.summarize import ScoreRow


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
    assay = assay_from_dict(summary["assay"])
    if "rescored_from" in summary:
        origin = summary["rescored_from"]
        folder = _find_measurement(path, origin, source)
        measurement = load_measurement(ImageFolder.read(folder))
        again = rescore(measurement, assay, assay_from_dict(origin["assay"]), image=name)
    else:
        file = _find_file(path, summary["input"], source, "--input")
        image = read_image(file, summary["image"]["mpp"])
        if weights is not None:
            assay = assay.replace(weights=str(weights))
        labels = None
        if "nuclei" in summary["input"]:
            given = _find_file(path, summary["input"]["nuclei"], nuclei or file.parent, "--nuclei")
            labels = read_nuclei(given, (image.rgb.shape[0], image.rgb.shape[1]), image.mpp).labels
        # A group's context came from all its tiles; any other is settled anew, and so compared.
        context = SlideContext.from_dict(summary["context"]) if group else None
        measurement = measure_image(image.rgb, mpp=image.mpp, assay=assay, context=context, nuclei=labels)
        again = score_cells(measurement.cells, assay, image=name)
    return _compare(summary, dataclasses.replace(again.scores, group=group), again.cells, measurement)


def _compare(summary: dict[str, Any], scores: ScoreRow, cells: pd.DataFrame, measurement: Measurement) -> Replay:
    differences = [
        f"{key}: {value} was {summary['scores'][key]}"
        for key, value in scores.to_dict().items()
        if value != summary["scores"][key]
    ]
    if digest(cells) != summary["cells"]["sha256"]:
        differences.append(f"cell table: {len(cells)} cells, other values; {summary['cells']['rows']} cells then")
    if "rescored_from" not in summary and measurement.context.to_dict() != summary["context"]:
        differences.append("background or stain vectors")
    now = {"ihcscore": ihcscore.__version__, **measurement.provenance["libraries"]}
    then = {"ihcscore": summary["ihcscore"], **summary["libraries"]}
    notes = [f"{name} {now.get(name)}, then {then[name]}" for name in then if now.get(name) != then[name]]
    return Replay(not differences, tuple(differences), tuple(notes))


def _find_file(summary: Path, wanted: dict[str, Any], source: str | Path | None, option: str) -> Path:
    name = wanted["name"]
    places = [Path(source)] if source is not None else [summary.parent, *summary.resolve().parents[1:3], Path.cwd()]
    for place in places:
        candidate = place / name if place.is_dir() else place
        if candidate.is_file():
            if file_sha256(candidate) == wanted["sha256"]:
                return candidate
            if source is not None and candidate == place:
                raise InputError(candidate, "is not the file that was used (other SHA-256)")
    raise IhcscoreError(f"cannot find {name}: give it or its folder with {option}")


def _find_measurement(summary: Path, origin: dict[str, Any], source: str | Path | None) -> Path:
    around = [parent / origin["result"] for parent in summary.resolve().parents[1:4]]
    for place in [Path(source)] if source is not None else [*around, Path.cwd() / origin["result"]]:
        for folder in (place / legal_name(origin["image"]), place):
            if (folder / SUMMARY).is_file():
                found = read_summary(folder / SUMMARY)
                if found["cells"]["sha256"] == origin["cells_sha256"]:
                    return folder
    raise IhcscoreError(f"cannot find the measurement {origin['result']}/{origin['image']}: give it with --input")
