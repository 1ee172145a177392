"""Whole slides: peak memory of all processes, workers against one, and what glass costs.

    python tests/benchmarks/slide_costs.py [--sides 10000 20000] [--segmenter watershed] [--workers 1 2]

Phantom slides, tiled JPEG in SVS. Memory is the sum of the proportional set sizes of the process tree, read ten times a
second (Linux).
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from invariance import mosaic, repeated, score
from slides import TILE, write_streamed

from ihcscore.outputs.summary import read_summary


def pss(pid):
    """Proportional set size of a process and its children, MB."""
    total, waiting = 0, [pid]
    while waiting:
        each = waiting.pop()
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{each}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, ValueError):
            continue
    return total / 1024


def measured(slide, out, *options):
    """Score a slide; seconds, peak MB, and the seconds from the first block to the last one."""
    process = subprocess.Popen(score(slide, out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, begin, done = 0.0, time.perf_counter(), []
    stop = threading.Event()

    def watch():
        while not stop.wait(0.1):
            count = len(list(out.glob("*/.parts/*.arrow")))
            if count > (done[-1][1] if done else 0):
                done.append((time.perf_counter(), count))

    watcher = threading.Thread(target=watch)
    watcher.start()
    while process.poll() is None:
        peak = max(peak, pss(process.pid))
        time.sleep(0.25)
    seconds = time.perf_counter() - begin
    stop.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"failed: {slide}")
    rate = (done[-1][1] - done[0][1]) / (done[-1][0] - done[0][0]) if len(done) > 1 else float("nan")
    return seconds, peak, rate


def glass_around(tile, side):
    """A slide of which only the upper left quarter is tissue."""
    glass = np.full((TILE, TILE, 3), 238, np.uint8)
    return lambda row, col: tile(row, col) if max(row, col) * TILE < side // 2 - TILE else glass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[10000, 20000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--segmenter", default="watershed")
    given = parser.parse_args()
    field = mosaic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side in given.sides:
            slides = {
                "tissue": write_streamed(folder / f"{side}.svs", (side, side), 0.5, repeated(field)),
                "a quarter tissue": write_streamed(
                    folder / f"{side}_quarter.svs", (side, side), 0.5, glass_around(repeated(field), side)
                ),
            }
            for what, slide in slides.items():
                for workers in given.workers:
                    out = folder / f"out_{slide.stem}_{workers}"
                    options = ("--workers", str(workers), "--segmenter", given.segmenter)
                    seconds, peak, rate = measured(slide, out, *options)
                    summary = read_summary(next(out.glob("*/summary.json")))
                    print(
                        f"{side} x {side}, {what}, {workers} workers: {seconds:.0f} s, peak {peak:.0f} MB, "
                        f"{rate:.2f} blocks/s, {summary['grid']['measured']} of {summary['grid']['blocks']} blocks, "
                        f"{summary['cells']['rows']} cells",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
