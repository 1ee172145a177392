"""Configuration of the documentation; the tables of columns and options are made from the code."""

import os
import subprocess
import sys
from pathlib import Path

import ihcscore
from ihcscore.table.schema import COLUMNS, SCORED_COLUMNS

HERE = Path(__file__).parent
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
(GENERATED / "commands.md").write_text(command_help(), "utf-8")
