"""ihcscore assays."""

from typing import Annotated

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="Explain one: every value with its meaning and source.")] = None,
) -> None:
    """List the presets, or explain one."""
    from ihcscore.assays import load_assay, preset_names
    from ihcscore.assays.assay import field_specs

    if name is None:
        width = max(map(len, preset_names()))
        for each in preset_names():
            print(f"{each:{width}}  {load_assay(each).description}")
        return
    assay, general = load_assay(name), load_assay("generic-nuclear")
    usual, specs = general.to_dict(), field_specs()
    print(f"{assay.name}, version {assay.version}: {assay.description}")
    for key, value in assay.to_dict().items():
        if key not in ("name", "version", "description", "sources"):
            stated = general.sources.get(key, "default, calibrate")
            source = assay.sources.get(key) or (stated if value == usual.get(key) else "not stated")
            unit = f" {specs[key].unit}" if specs[key].unit else ""
            print(f"  {key} = {value}{unit}\n      {specs[key].meaning}\n      Source: {source}")
