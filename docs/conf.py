"""Configuration of the documentation; the tables of columns and options are made from the code."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import rooms  # noqa: E402

import ihcscore  # noqa: E402
from ihcscore.assays.assay import Assay, field_specs  # noqa: E402
from ihcscore.formulas.registry import SCORES  # noqa: E402
from ihcscore.table.schema import COLUMNS, SCORED_COLUMNS  # noqa: E402

GENERATED = HERE / "_generated"

project = "ihcscore"
author = "the ihcscore developers"
version = release = ihcscore.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build", "_generated/*.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "ihcscore"
numpydoc_show_class_members = False
autodoc_typehints = "none"
default_role = "code"


def columns_table():
    rows = [f"| `{c.name}` | {c.dtype} | {c.unit} | {c.meaning} |" for c in (*COLUMNS, *SCORED_COLUMNS)]
    return "\n".join(["| column | type | unit | meaning |", "|---|---|---|---|", *rows, ""])


def assay_table():
    default = Assay().to_dict()
    shown = {name: f"`{value}`" for name, value in default.items()}
    rows = [
        f"| `{name}` | {spec.expected} | {spec.unit} | {shown.get(name, '')} | {spec.meaning} |"
        for name, spec in field_specs().items()
    ]
    return "\n".join(["| field | legal values | unit | default | meaning |", "|---|---|---|---|---|", *rows, ""])


def score_table():
    def line(score):
        highest = "OD" if score.highest == float("inf") else f"0-{score.highest:g}"
        least = f"at least {score.minimum_cells} cells" if score.minimum_cells > 1 else ""
        notes = "; ".join(filter(None, [score.categories, least]))
        where = score.compartment or "any"
        return f"| `{score.name}` | {score.definition} | {highest} | {notes} | {where} | {score.source} |"

    head = ["| name | definition | range | categories, minimum | compartment | source |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(line, SCORES.values()), ""])


def command_help():
    code = "from ihcscore.cli.app import app; print(*sorted(c.name for c in app.registered_commands))"
    names = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    texts = []
    for name in names:
        command = [sys.executable, "-m", "ihcscore.cli.app", name, "--help"]
        text = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        lines = "\n".join(line.rstrip() for line in text.replace("python -m ihcscore.cli.app", "ihcscore").splitlines())
        texts.append(f"## {name}\n\n```text\n{lines.strip()}\n```\n")
    return "\n".join(texts)


GENERATED.mkdir(exist_ok=True)
(GENERATED / "columns.md").write_text(columns_table(), "utf-8")
(GENERATED / "assay-fields.md").write_text(assay_table(), "utf-8")
(GENERATED / "scores.md").write_text(score_table(), "utf-8")
(GENERATED / "rooms.svg").write_text(rooms.draw(), "utf-8")
(GENERATED / "commands.md").write_text(command_help(), "utf-8")
