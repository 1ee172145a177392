"""ihcscore phantom."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Argument(help="Folder for images and their truth.")],
    parameters: Annotated[
        str, typer.Option("--parameters", help="Preset (nuclear, membranous, cytoplasmic, negative) or file (.toml).")
    ] = "nuclear",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first image.")] = 0,
    count: Annotated[int, typer.Option("--count", min=1, help="How many images, with seeds counting up.")] = 1,
) -> None:
    """Render H-DAB images with known cells: the image, nucleus and cell labels, and the true values."""
    from ihcscore.errors import IhcscoreError
    from ihcscore.phantom import load_parameters, render
    from ihcscore.phantom.truth import h_score_or_none

    try:
        chosen = load_parameters(parameters)
    except (OSError, ValueError) as error:
        raise IhcscoreError(f"{Path(parameters).name}: no parameters of a phantom ({error})") from None
    for number in range(seed, seed + count):
        phantom = render(chosen, number)
        stem = f"{Path(parameters).stem}_{number:04d}"
        phantom.write(out, stem)
        true = h_score_or_none(phantom.table, "nucleus")
        truth = "no cell to score" if true is None else f"true nuclear H-score {true:.1f}"
        print(f"{stem}.png: {phantom.nuclei.max()} cells, {truth}")
    print(f"Score them with: ihcscore score {out} --mpp {chosen.mpp:g} -o RESULTS")
