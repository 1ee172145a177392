"""ihcscore demo."""

from pathlib import Path
from typing import Annotated

import typer

MPP = 0.5


def command(
    out: Annotated[Path, typer.Argument(help="Result folder.")] = Path("ihcscore-demo"),
) -> None:
    """Score the H-DAB image of scikit-image (colon; stain of membrane and cytoplasm), taken as 0.5 um per pixel."""
    from skimage.data import immunohistochemistry

    from ihcscore.assays.loading import load_assay
    from ihcscore.cli.options import summarise_failures
    from ihcscore.cli.score import run
    from ihcscore.io.atomic import write_bytes
    from ihcscore.io.manifests import ImageInput
    from ihcscore.results.writers.png import encode_png

    image = out / "immunohistochemistry.png"
    write_bytes(image, encode_png(immunohistochemistry()))
    assay = load_assay("generic-membranous").replace(mpp=MPP, compartment=("membrane", "cytoplasm"))
    report = run([ImageInput(image, "immunohistochemistry")], assay, out, overwrite=True)
    summarise_failures(report.failed, 1)
    print(f"Look at {out / 'immunohistochemistry' / 'overlay.png'}")
