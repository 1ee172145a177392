"""ihcscore classifier."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Tell tumor cells from stroma by examples.")


@app.callback()
def _group() -> None:
    """Keep 'train' a command of its own."""


@app.command()
def train(
    results: Annotated[list[Path], typer.Argument(help="Results of images: their folders in a result folder.")],
    labels: Annotated[
        list[Path],
        typer.Option(
            "--labels", help="QuPath GeoJSON for each: points or regions of class Tumor, Stroma, Immune cells, Other."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The classifier, a JSON file.")],
) -> None:
    """Train a classifier of cells from a few labeled cells or regions (extra classifier)."""
    from ihcscore.results.layout import CELLS
    from ihcscore.results.stored_result import StoredResult
    from ihcscore.results.writers.tables import read_cells
    from ihcscore.scoring.cell_types.training import read_labels
    from ihcscore.scoring.cell_types.training import train as train_on

    if len(labels) != len(results):
        raise typer.BadParameter(f"{len(labels)} files for {len(results)} results", param_hint="--labels")
    tables, labeled, names = [], [], []
    for folder, path in zip(results, labels, strict=True):
        result = StoredResult.read(folder)
        image = result.summary["image"]
        cells = read_cells(folder / CELLS)
        tables.append(cells)
        size = image["width"], image["height"]
        labeled.append(read_labels(path, cells, size, image["mpp"], result.placement.back))
        for note in labeled[-1].notes:
            print(f"note: {path.name}: {note}", file=sys.stderr)
        about = {"cells_sha256": result.summary["cells"]["sha256"], "segmenter": result.summary["segmenter"]["name"]}
        names.append({**about, "labels": path.name})
    if len({name["cells_sha256"] for name in names}) < len(names):
        raise typer.BadParameter("the same cells are named twice: put their labels into one file", param_hint="RESULTS")
    if len({name["segmenter"] for name in names}) > 1:
        raise typer.BadParameter("their nuclei are of different segmenters", param_hint="RESULTS")
    model = train_on(tables, labeled, {"trained_on": names})
    model.write(out)
    for kind, number in model.about["labelled"].items():
        print(f"{kind}: {number} cells labeled")
    checked = model.about["cross_validation"]
    if "balanced_accuracy" in checked:
        accuracy = f"{checked['balanced_accuracy']:.2f} balanced accuracy"
        print(f"cross-validation: {accuracy}, {checked['folds']} folds of {checked['groups']} places")
    else:
        print(f"no cross-validation: {checked['why_none']}")
    print(f"Use it with --classifier {out}")
