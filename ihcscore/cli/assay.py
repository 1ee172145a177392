"""ihcscore assay."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    source: Annotated[str, typer.Argument(help="Preset, assay file, or summary.json of a result.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Assay file to write (.toml).")] = None,
) -> None:
    """Show an assay, or write it to a file: a preset's, or the one a result was scored with."""
    import tomli_w

    from ihcscore.assays.loading import load_assay, recorded_assay
    from ihcscore.io.atomic import write_bytes
    from ihcscore.results.writers.summary import read_summary

    if out is not None and out.suffix.lower() != ".toml":
        raise typer.BadParameter(f"a file that ends in .toml, found '{out}'", param_hint="--out")
    recorded = source.endswith(".json")
    assay = recorded_assay(read_summary(Path(source))["assay"]) if recorded else load_assay(source)
    text = tomli_w.dumps(assay.to_dict())
    if out is None:
        print(text, end="")
    else:
        write_bytes(out, text.encode())
        print(f"Wrote {out}")
