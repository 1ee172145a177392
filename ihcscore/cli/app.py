"""The command `ihcscore` and its exit codes: 0 done, 1 failed, 2 usage, 3 some inputs failed."""

import gc
import logging
import sys
from typing import Annotated

import typer

from ihcscore.cli import assay, assays, classifier, demo, phantom, replay, rescore, score, stains, tma
from ihcscore.cli.options import GroupedCommand
from ihcscore.errors import IhcscoreError
from ihcscore.version import __version__

GARBAGE_OBJECTS = 100_000
"""New objects after which garbage is looked for: what libraries make while they load stays."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Score immunohistochemistry (IHC) images. For research use only.",
)
for module in (demo, score, rescore, tma, stains, replay, assay, assays, phantom):
    app.command(module.__name__.rsplit(".", 1)[-1], cls=GroupedCommand)(module.command)
app.add_typer(classifier.app, name="classifier")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ihcscore {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Run the command line; an error of the user's data or machine is one line on stderr."""
    gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters is raised
    try:
        app()
    except IhcscoreError as error:
        print(f"ihcscore: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("ihcscore: interrupted; the same command again goes on where it stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
