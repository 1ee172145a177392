"""ihcscore assays."""

from typing import Annotated

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="Explain one: every value with its source.")] = None,
) -> None:
    """List the assays that ship, or explain one."""
    from ihcscore.assays.loading import load_assay, preset_names

    if name is None:
        width = max(map(len, preset_names()))
        for each in preset_names():
            print(f"{each:{width}}  {load_assay(each).description}")
        return
    assay, general = load_assay(name), load_assay("generic-nuclear")
    usual = general.to_dict()
    print(f"{assay.name}, version {assay.version}: {assay.description}")
    for key, value in assay.to_dict().items():
        if key not in ("name", "version", "description", "sources"):
            stated = general.sources.get(key, "default, calibrate")
            source = assay.sources.get(key) or (stated if value == usual.get(key) else "not stated")
            print(f"  {key} = {value}\n      {source}")
