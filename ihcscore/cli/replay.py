"""ihcscore replay."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    summary: Annotated[Path, typer.Argument(help="summary.json of a result.")],
    source: Annotated[
        Path | None, typer.Option("--input", help="The image (for a rescored result: its measurement), or its folder.")
    ] = None,
    nuclei: Annotated[
        Path | None, typer.Option("--nuclei", help="The nuclei that were given, or their folder.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Network that it was measured with, where not the package's own.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option("--classifier", help="Classifier of cell types that was used, if any.")
    ] = None,
) -> None:
    """Repeat a result from its own record and say whether it is the same; exit code 1 if it is not."""
    from ihcscore.workflows.replay import replay

    done = replay(summary, source, nuclei=nuclei, weights=weights, classifier=classifier)
    for note in done.notes:
        typer.echo(f"note: {note}", err=True)
    if not done.same:
        for line in done.differences:
            print(f"differs: {line}")
        raise typer.Exit(1)
    print("same: scores and every measured value of every cell")
