"""Scores as a readable table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from ihcscore.summarize import OK, ScoreRow

if TYPE_CHECKING:
    from ihcscore.assay import Assay


class Rate(ProgressColumn):
    """How fast images are scored."""

    def render(self, task: Task) -> Text:
        """Give images in a minute, with three digits; nothing before it is known."""
        return Text(f"{60 * task.speed:.3g} images/min" if task.speed else "")


def show_scores(rows: Sequence[ScoreRow], assay: "Assay") -> None:
    """Print rows of scores and what they hold for to stdout."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("image", overflow="fold")
    for name in ("cells", "0", "1+", "2+", "3+", "% pos", "H-score", "left out"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row.status != OK and row.cells is None:
            table.add_row(row.image, *["-"] * 7, row.status)
            continue
        table.add_row(
            row.image if row.region == "image" else f"{row.image} ({row.region})",
            *(str(value) for value in (row.cells, row.negative, row.weak, row.moderate, row.strong)),
            "-" if row.percent_positive is None else f"{row.percent_positive:.1f}",
            "-" if row.h_score is None else f"{row.h_score:.1f}",
            str((row.cut_by_border or 0) * (not assay.include_cut) + (row.unmeasurable or 0)),
        )
    console = Console(markup=False)
    console.print(table)
    cuts = ", ".join(f"{value:g}" for value in assay.thresholds)
    console.print(
        f"DAB OD of the {'+'.join(assay.compartment)}, 1+/2+/3+ from {cuts}, background {_background(assay)}, "
        f"assay {assay.name}. For research use only.",
        highlight=False,
        soft_wrap=True,
    )
    for row in rows:
        if row.status == "unscorable":
            console.print(f"{row.image}: no score, {row.reason}", highlight=False, soft_wrap=True)


def _background(assay: "Assay") -> str:
    if isinstance(assay.background, str):
        return f"{assay.background}"
    return ",".join(f"{value:g}" for value in assay.background)
