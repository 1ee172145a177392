"""Same pixels, same cells: a phantom slide scored by 1 and 2 workers, Dask, in a region, and killed and resumed.

    python tests/benchmarks/invariance.py [--side 8192] [--kills 10] [--segmenter network]

Every run's cell table is compared with that of one worker, byte by byte. A second slide, of isolated nuclei on a grid
that crosses every block border, is compared with its truth.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import discs
from slides import LOSSLESS, TILE, write_streamed

from ihcscore.phantom import load_parameters, render
from ihcscore.results.writers.tables import read_cells

SHIFT = 173
"""So that seams of the mosaic are not block borders."""


def mosaic(side=5, seed=0):
    """A field of phantoms of all markers, to be repeated."""
    presets = ("nuclear", "membranous", "cytoplasmic", "negative")
    rows = [
        [render(load_parameters(presets[(r + c) % 4]), seed + r * side + c).rgb for c in range(side)]
        for r in range(side)
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def repeated(field):
    """Give the tiles of a slide that repeats a field."""

    def tile(row, col):
        rows = (np.arange(TILE) + row * TILE + SHIFT) % len(field)
        cols = (np.arange(TILE) + col * TILE + SHIFT) % field.shape[1]
        return np.ascontiguousarray(field[rows][:, cols])

    return tile


def score(slide, out, *options):
    return [sys.executable, "-m", "ihcscore.cli.app", "score", str(slide), "-o", str(out), "--no-geojson", *options]


def table(out):
    (path,) = out.glob("*/cells.parquet")
    return path.read_bytes()


def run(slide, out, *options):
    begin = time.perf_counter()
    subprocess.run(score(slide, out, *options), check=True, capture_output=True)
    return time.perf_counter() - begin


def killed(slide, out, seconds, *options):
    """Start a run and kill it after so many seconds; tell how many parts were done, None where it had ended."""
    process = subprocess.Popen(score(slide, out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return len(list(out.glob("*/.parts/*.arrow")))
    return None


def region(folder, side):
    """A rectangle that begins and ends inside blocks."""
    x0, y0, x1, y1 = (round(side * part) for part in (0.2, 0.3, 0.6, 0.7))
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"name": "box"}}
    path = folder / "box.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def in_region(folder, slide, side, whole, options):
    """Cells of the region alone against those of the slide that lie in it."""
    out = folder / "region"
    run(slide, out, "--regions", str(region(folder, side)), "--only-regions", *options)
    (path,) = out.glob("*/cells.parquet")
    alone, all_ = read_cells(path).drop(columns="Region"), read_cells(whole).drop(columns="Region")
    x0, y0, x1, y1 = (round(side * part) for part in (0.2, 0.3, 0.6, 0.7))
    inside = all_["x_px"].between(x0, x1) & all_["y_px"].between(y0, y1)
    return len(alone), alone.equals(all_[inside].reset_index(drop=True))


def truth(folder, side):
    """Isolated nuclei, 60 px apart, on a slide: how many are found, and how many are at their place, exactly once."""
    places = [(x, y) for y in range(28, side - 28, 60) for x in range(28, side - 28, 60)]
    rgb, _ = discs((840, 840), [(x, y) for y in range(28, 840, 60) for x in range(28, 840, 60)], 8)
    slide = write_streamed(folder / "isolated.svs", (side, side), 0.5, _plain(rgb), kind=LOSSLESS)
    run(slide, folder / "isolated", "--segmenter", "watershed")
    (path,) = (folder / "isolated").glob("*/cells.parquet")
    cells = read_cells(path)
    found = np.rint(cells[["x_px", "y_px"]].to_numpy()).astype(int)
    return len(places), len(cells), len({*map(tuple, found.tolist())} & {*places})


def _plain(field):
    def tile(row, col):
        rows, cols = ((np.arange(TILE) + at * TILE) % len(field) for at in (row, col))
        return np.ascontiguousarray(field[rows][:, cols])

    return tile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--segmenter", default="network")
    given = parser.parse_args()
    options = ("--segmenter", given.segmenter)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slide = write_streamed(folder / "phantom.svs", (given.side, given.side), 0.5, repeated(mosaic()))
        seconds = run(slide, folder / "one", *options)
        expected = table(folder / "one")
        (whole,) = (folder / "one").glob("*/cells.parquet")
        print(f"{given.side} x {given.side}, {len(read_cells(whole))} cells, {seconds:.0f} s with 1 worker")
        other = run(slide, folder / "two", "--workers", "2", *options)
        same = "equal" if table(folder / "two") == expected else "DIFFERENT"
        print(f"2 workers: {same}, {seconds / other:.2f} x as fast")
        run(slide, folder / "dask", "--scheduler", "local", "--workers", "2", *options)
        print(f"Dask, local, 2 workers: {'equal' if table(folder / 'dask') == expected else 'DIFFERENT'}")
        count, equal = in_region(folder, slide, given.side, whole, options)
        print(f"region alone: {count} cells, {'equal' if equal else 'DIFFERENT'}")
        chance = random.Random(0)
        for workers, takes in (("1", seconds), ("2", other)):
            for number in range(given.kills):
                out = folder / f"killed_{workers}_{number}"
                after = chance.uniform(0.1, 0.95) * takes
                done = killed(slide, out, after, "--workers", workers, *options)
                run(slide, out, "--workers", workers, *options)
                what = "ended before" if done is None else f"killed after {after:.1f} s with {done} blocks done"
                print(f"{workers} workers, {what}: {'equal' if table(out) == expected else 'DIFFERENT'}")
        print("isolated nuclei: {} drawn, {} found, {} of them in place".format(*truth(folder, given.side)))


if __name__ == "__main__":
    main()
