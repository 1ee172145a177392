"""Scores as a readable table."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from ihcscore.formulas.registry import SCORES
from ihcscore.scoring.score_row import FAILED, OK, POOLED, ScoreRow, ScoreValue

if TYPE_CHECKING:
    from ihcscore.assays.assay import Assay


FEW_SCORES = 2
"""With more, there is no room for the numbers of each class."""
WIDE = 160
"""Width of what is not shown on a terminal."""
HIDDEN = ("atm", "mean_dab_od")
"""Scores that the table on the screen leaves to scores.csv."""


class Rate(ProgressColumn):
    """How fast images are scored."""

    def render(self, task: Task) -> Text:
        """Return the images per minute with three digits; empty before it is known."""
        return Text(f"{60 * task.speed:.3g} images/min" if task.speed else "")


def show_by_assay(rows: Sequence[ScoreRow], assays: Mapping[str, "Assay"], default: "Assay") -> None:
    """Print rows of scores by the assay of their images, each with what it holds for; failed ones by the default."""
    parts: list[tuple[Assay, list[ScoreRow]]] = []
    for row in rows:
        assay = assays.get(row.image, default)
        for known, members in parts:
            if _shown_alike(known, assay):
                members.append(row)
                break
        else:
            parts.append((assay, [row]))
    for assay, members in parts or [(default, [])]:
        show_scores(members, assay)


def _shown_alike(one: "Assay", other: "Assay") -> bool:
    names = ("name", "compartment", "thresholds", "background", "scores", "population", "exclude_off_color")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def show_scores(rows: Sequence[ScoreRow], assay: "Assay") -> None:
    """Print rows of scores and what they hold for to stdout."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("image", overflow="fold")
    shown = [SCORES[name] for name in assay.scores if name not in HIDDEN]
    classes = ("0", "1+", "2+", "3+") if len(shown) <= FEW_SCORES else ()
    for name in ("cells", *classes, *(score.label for score in shown), "left out"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        name = " ".join([row.image, *_which(row, assay)])
        if row.status != OK and row.cells is None:
            table.add_row(name, *["-"] * (1 + len(classes) + len(shown)), row.status)
            continue
        left_out = [row.cut_by_border, row.unmeasurable, row.in_artifact, row.excluded]
        left_out += [row.off_color] * assay.exclude_off_color
        table.add_row(
            name,
            str(row.cells),
            *(str(value) for value in (row.negative, row.weak, row.moderate, row.strong)[: len(classes)]),
            *(score_text(row.scores.get(score.name)) for score in shown),
            str(sum(value or 0 for value in left_out)),
        )
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(markup=False, width=WIDE)
    console.print(table)
    cuts = ", ".join(f"{value:g}" for value in assay.thresholds)
    console.print(
        f"DAB OD of the {'+'.join(assay.compartment)}, 1+/2+/3+ from {cuts}, background {_background(assay)}, "
        f"assay {assay.name}. For research use only.",
        highlight=False,
        soft_wrap=True,
    )
    for row in rows:
        without = row.status == "unscorable" or (row.status == FAILED and row.region == POOLED)
        main = SCORES[assay.scores[0]]
        if without or (row.status == OK and row.value(main.name) is None):
            name = " ".join([row.image, *_which(row, assay)])
            what = "score" if without else main.label
            console.print(f"{name}: no {what}, {row.reason}", highlight=False, soft_wrap=True)


def score_text(score: ScoreValue | None) -> str:
    """Write a score with its interval, and its category.

    Examples
    --------
    >>> score_text(ScoreValue(142.3, 127.9, 157.2)), score_text(ScoreValue(7.0, 7.0, 8.0, "positive"))
    ('142 (128-157)', '7 (7-8) positive')
    """
    if score is None or score.value is None:
        return "-"
    ends = [score.value, *(end for end in (score.low, score.high) if end is not None)]
    digits = 2 if max(ends) < 3 and any(end != int(end) for end in ends) else 1 if max(ends) < 20 else 0
    value, *others = (f"{end:.{0 if end == int(end) and digits == 1 else digits}f}" for end in ends)
    interval = f" ({others[0]}-{others[1]})" if len(others) == 2 else ""
    return f"{value}{interval}{f' {score.category}' if score.category else ''}"


def _which(row: ScoreRow, assay: "Assay") -> list[str]:
    """Name a row's region and population, where they are not the usual ones."""
    region = [] if row.region == "image" else [f"({row.region})"]
    return region + ([] if row.population == assay.population else [f"[{row.population} cells]"])


def _background(assay: "Assay") -> str:
    if isinstance(assay.background, str):
        return f"{assay.background}"
    return ",".join(f"{value:g}" for value in assay.background)
