"""ihcscore assay."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    source: Annotated[str, typer.Argument(help="Preset, assay file, or summary.json of a result.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Assay file to write (.toml).")] = None,
) -> None:
    """Show an assay as a file with every value explained, or write it: a preset's, or that of a result."""
    from ihcscore.assays.loading import assay_toml, load_assay, recorded_assay
    from ihcscore.io.atomic import write_bytes
    from ihcscore.results.writers.summary import read_summary

    if out is not None and out.suffix.lower() != ".toml":
        raise typer.BadParameter(f"a file that ends in .toml, found '{out}'", param_hint="--out")
    recorded = source.endswith(".json")
    assay = recorded_assay(read_summary(Path(source))["assay"]) if recorded else load_assay(source)
    text = assay_toml(assay)
    if out is None:
        print(text, end="")
    else:
        write_bytes(out, text.encode())
        print(f"Wrote {out}")
