"""Find the cores of rendered arrays: ragged discs of phantom tissue, some missing, torn or faint, all displaced.

    python tests/benchmarks/tma.py [--rows 6] [--columns 8] [--seeds 3] [--keep FOLDER]

Each seed is a slide of cores of 0.6 mm, turned by up to 5 degrees. What `ihcscore tma --find-only` names is compared
with where the cores were put.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from invariance import mosaic
from slides import TILE, write_streamed

from ihcscore.phantom import load_parameters, render
from ihcscore.workflows.tma.grid import core_name

MPP, CORE_UM, PITCH_UM = 0.5, 600.0, 850.0
GLASS = 238
DRIFT_UM, TURN_DEG = 90.0, 5.0
MISSING, TORN, FAINT = 4, 4, 3


def outline(chance, radius):
    """A ragged disc, as a polygon around 0, 0."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    away = radius * np.ones(len(angle))
    for order in range(2, 12):
        away *= 1 + 0.12 / order * chance.standard_normal() * np.cos(order * angle + chance.uniform(0, 2 * np.pi))
    return np.column_stack([away * np.cos(angle), away * np.sin(angle)])


def array(rows, columns, seed):
    """Where the cores are, um by name; what is missing; and a mask at 2 um of what is tissue, and how strong."""
    chance = np.random.default_rng(seed)
    names = [core_name(row, column) for row in range(rows) for column in range(columns)]
    corners = {core_name(row, column) for row in (0, rows - 1) for column in (0, columns - 1)}
    drawn = chance.permutation([name for name in names if name not in corners])
    missing, torn, faint = np.split(drawn[: MISSING + TORN + FAINT], [MISSING, MISSING + TORN])
    turn = np.radians(chance.uniform(-TURN_DEG, TURN_DEG))
    places = {}
    for row in range(rows):
        for column in range(columns):
            x, y = column * PITCH_UM, row * PITCH_UM
            turned = np.array([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])
            places[core_name(row, column)] = turned + chance.uniform(-DRIFT_UM, DRIFT_UM, 2)
    low = np.min([*places.values()], axis=0) - PITCH_UM
    places = {name: xy - low for name, xy in places.items()}
    width, height = (np.max([*places.values()], axis=0) + PITCH_UM) / 2
    tissue = np.zeros((int(height), int(width)), np.float32)
    for name, xy in places.items():
        if name in missing:
            continue
        ring = (outline(chance, CORE_UM / 2) + xy) / 2
        cv2.fillPoly(tissue, [np.rint(ring).astype(np.int32)], 0.35 if name in faint else 1.0)
        if name in torn:
            a, b = (np.rint((xy + chance.uniform(-300, 300, 2)) / 2).astype(int).tolist() for _ in range(2))
            cv2.line(tissue, a, b, 0.0, 25)
            cv2.circle(tissue, a, 60, 0.0, -1)
    for x, y in chance.uniform(0, 1, (60, 2)) * tissue.shape[::-1]:
        cv2.circle(tissue, (int(x), int(y)), int(chance.integers(2, 8)), 0.8, -1)
    return places, set(missing.tolist()), tissue


def slide(path, tissue, field, seed):
    chance = np.random.default_rng(seed)
    size = tuple(int(length * 2 / MPP) // TILE * TILE for length in tissue.shape[::-1])

    def tile(row, col):
        y, x = row * TILE, col * TILE
        share = cv2.resize(tissue[y // 4 : (y + TILE) // 4, x // 4 : (x + TILE) // 4], (TILE, TILE))[..., None]
        part = np.take(np.take(field, np.arange(y, y + TILE) % len(field), 0), np.arange(x, x + TILE) % len(field), 1)
        light = GLASS * (part / GLASS) ** share + chance.normal(0, 1.5, (TILE, TILE, 3))
        return np.clip(np.rint(light), 0, 255).astype(np.uint8)

    return write_streamed(path, size, MPP, tile)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--field", type=int, default=4, help="phantoms along a side of what the tissue is cut from")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    field = mosaic(given.field) if given.field > 1 else render(load_parameters("nuclear"), 0).rgb
    for seed in range(given.seeds):
        places, missing, tissue = array(given.rows, given.columns, seed)
        with tempfile.TemporaryDirectory() as name:
            folder = given.keep or Path(name)
            folder.mkdir(exist_ok=True)
            path = slide(folder / f"array{seed}.svs", tissue, field, seed)
            out = folder / f"out{seed}"
            command = [sys.executable, "-m", "ihcscore.cli.app", "tma", str(path), "-o", str(out), "--find-only"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            with (out / "grids" / f"array{seed}.csv").open(encoding="utf-8-sig") as file:
                found = {row["name"]: row for row in csv.DictReader(file)}
        absent = {name for name, row in found.items() if row["status"] == "missing"}
        off = [
            np.hypot(float(found[name]["x_um"]) - xy[0], float(found[name]["y_um"]) - xy[1])
            for name, xy in places.items()
            if name in found and name not in absent | missing
        ]
        print(
            f"seed {seed}: {len(found)} places of {len(places)}, missing {'right' if absent == missing else 'WRONG'} "
            f"({len(absent)} of {len(missing)}), {sum(d > CORE_UM / 2 for d in off)} cores misplaced, centers off by "
            f"{np.median(off):.0f} um (median), {max(off):.0f} um at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
