"""ihcscore stains."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ihcscore.cli.options import Background, changes


def command(
    inputs: Annotated[list[str], typer.Argument(help="Images, folders or globs; several are estimated together.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File for --stains and --context; a PNG goes beside it.")
    ] = Path("stains.json"),
    background: Background = "auto",
    mpp: Annotated[float | None, typer.Option("--mpp", help="um per pixel, where slides do not state it.")] = None,
) -> None:
    """Estimate background and stain vectors, show them, and write them to a file."""
    from contextlib import closing

    import numpy as np

    from ihcscore.assays.assay import Assay
    from ihcscore.io.atomic import write_bytes
    from ihcscore.io.images import read_image
    from ihcscore.io.manifests import ImageInput, expand_inputs
    from ihcscore.io.result_names import STAIN_PLOT
    from ihcscore.io.slides.opening import is_slide, open_slide
    from ihcscore.results.writers.png import encode_png
    from ihcscore.results.writers.stainplot import stain_plot
    from ihcscore.survey.estimation import estimate_context
    from ihcscore.survey.slide_survey import ColorSample, sample_colors, survey_slide

    if out.suffix.lower() != ".json":
        raise typer.BadParameter(f"a file that ends in .json, found '{out}'", param_hint="--out")
    assay = Assay(name="stains", stains="estimate", **changes(background=background))

    def seen(item: ImageInput) -> ColorSample:
        if not is_slide(item.path):
            return sample_colors(read_image(item.path, mpp=1.0).rgb, assay)
        with closing(open_slide(item.path, mpp if item.mpp is None else item.mpp)) as slide:
            return survey_slide(slide, assay).sample

    surveys = [seen(item) for item in expand_inputs(inputs)]
    context = estimate_context(surveys, assay)
    pixels = np.concatenate([each.pixels for each in surveys], axis=1)
    write_bytes(out, (json.dumps(context.to_dict(), indent=1) + "\n").encode())
    picture = out.with_name(out.stem + STAIN_PLOT)
    write_bytes(picture, encode_png(stain_plot(pixels, context)))
    for text in context.warnings:
        typer.echo(f"warning: {text}", err=True)
    _show(context.to_dict())
    print(f"Wrote {out} and {picture}")


def _show(context: dict[str, object]) -> None:
    stains = context["stains"]
    assert isinstance(stains, dict)
    print(f"{'':12} {'red':>8} {'green':>8} {'blue':>8}")
    for name, values in (("background", context["background"]), *stains.items()):
        print(f"{name:12} " + " ".join(f"{value:8.4g}" for value in values))
    print(f"background: {context['background_origin']}\nstains: {context['stains_origin']}")
