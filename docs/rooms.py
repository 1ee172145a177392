"""Draw the rooms of the package from the import contract: a row for each layer, imports pointing down."""

import ast
import configparser
import html
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, GAP, LEFT, LINE = 1180, 66, 16, 150, 15
HIDDEN = ("moved", "version")
PASSES = {
    "io": ("", "#e8eef7"),
    "survey": ("pass 1", "#fdeccc"),
    "cells": ("pass 2, on arrays", "#f6d9d0"),
    "tiles": ("pass 2, on slides", "#f6d9d0"),
    "scoring": ("pass 3", "#dcebd3"),
    "api": ("START HERE", "#fff6c9"),
    "workflows": ("", "#f4f4f4"),
    "results": ("", "#e8eef7"),
}


def layers() -> list[list[str]]:
    """Read the layers of the import contract, from the top down."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    lines = parser["importlinter:contract:layers"]["layers"].split("\n")
    rows = [[name.strip() for name in line.replace(":", "|").split("|")] for line in lines if line.strip()]
    return [[name for name in row if name not in HIDDEN] for row in rows]


def about(name: str) -> str:
    """Return the first sentence of a package's or module's docstring."""
    path = ROOT / "ihcscore" / name
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").split("\n")[0]
    return text.partition(": start reading")[0].rstrip(".")


def draw() -> str:
    """Return the picture as SVG."""
    rows = layers()
    parts, height = [], len(rows) * (HEIGHT + GAP) + GAP
    for number, row in enumerate(rows):
        y, width = GAP + number * (HEIGHT + GAP), (WIDTH - LEFT - GAP * (len(row) + 1)) / len(row)
        parts.append(f'<text x="{LEFT - 12}" y="{y + HEIGHT / 2 + 5}" class="layer">layer {len(rows) - number}</text>')
        for k, name in enumerate(row):
            x = LEFT + GAP + k * (width + GAP)
            note, color = PASSES.get(name, ("", "#f4f4f4"))
            parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="6" fill="{color}"/>')
            title = f'<tspan class="name">{name}</tspan>' + (f'<tspan class="note">  {note}</tspan>' if note else "")
            parts.append(f'<text x="{x + 12}" y="{y + 20}">{title}</text>')
            for line, text in enumerate(textwrap.wrap(about(name), int(width / 6.6))[:2]):
                parts.append(f'<text x="{x + 12}" y="{y + 39 + line * LINE}" class="about">{html.escape(text)}</text>')
    parts.append(f'<path d="M60 {GAP + 10} V{height - GAP - 10}" class="way" marker-end="url(#tip)"/>')
    parts.append(f'<text x="44" y="{height / 2}" class="layer" transform="rotate(-90 44 {height / 2})" '
                 'style="text-anchor:middle">imports point down</text>')  # fmt: skip
    style = (
        "text{font:12px sans-serif;fill:#222}rect{stroke:#888}.name{font-weight:bold;font-size:14px}"
        ".note{fill:#8a4b00;font-size:12px}.about{fill:#444}.layer{fill:#777;text-anchor:end}"
        ".way{stroke:#777;stroke-width:2;fill:none}"
    )
    tip = (
        '<marker id="tip" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#777"/></marker>'
    )
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{style}</style><defs>{tip}</defs>'
    return f'{head}<rect width="100%" height="100%" fill="white" stroke="none"/>{"".join(parts)}</svg>\n'
