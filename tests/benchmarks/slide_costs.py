"""Whole slides: peak memory of all processes, workers against one, and what tissue and glass cost.

    python tests/benchmarks/slide_costs.py [--sides 10000 20000] [--segmenter watershed] [--workers 1 2]

Phantom slides, tiled JPEG in SVS. Memory is the sum of the proportional set sizes of the process tree, read ten times a
second (Linux). What the machine itself loses with both cores busy is measured by two separate runs at once.
"""

import argparse
import shutil
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

from ihcscore.results.writers.summary import read_summary

SHARES = (0, 0.25, 0.5, 1)


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
    """Score a slide; seconds, peak MB, and blocks a second from the first block to the last one."""
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


def glass_below(tile, side, share):
    """A slide of which only the upper part is tissue."""
    glass = np.full((TILE, TILE, 3), 238, np.uint8)
    return lambda row, col: tile(row, col) if row * TILE < side * share else glass


def at_once(slide, folder, *options):
    """Blocks a second of two separate runs at once, together."""
    rates = {}
    threads = [
        threading.Thread(target=lambda k=k: rates.update({k: measured(slide, folder / f"apart{k}", *options)[2]}))
        for k in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[10000, 20000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--segmenter", default="watershed")
    given = parser.parse_args()
    field = repeated(mosaic())
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side in given.sides:
            for share in SHARES:
                tile = glass_below(field, side, share)
                slide = write_streamed(folder / f"{side}_{share}.svs", (side, side), 0.5, tile)
                for workers in given.workers if share == 1 else given.workers[-1:]:
                    options = ("--workers", str(workers), "--segmenter", given.segmenter)
                    out = folder / f"out_{slide.stem}_{workers}"
                    seconds[side, share], peak, rate = measured(slide, out, *options)
                    summary = read_summary(next(out.glob("*/summary.json")))
                    print(
                        f"{side} x {side}, {share:.0%} tissue, {workers} workers: {seconds[side, share]:.0f} s, peak "
                        f"{peak:.0f} MB, {rate:.2f} blocks/s, {summary['grid']['measured']} of "
                        f"{summary['grid']['blocks']} blocks, {summary['cells']['rows']} cells",
                        flush=True,
                    )
            one = ("--workers", "1", "--segmenter", given.segmenter)
            print(f"{side} x {side}: two separate runs at once {at_once(slide, folder, *one):.2f} blocks/s", flush=True)
            for path in (folder / "apart0", folder / "apart1"):
                shutil.rmtree(path)
    if len(given.sides) == 1:
        return
    small, large = min(given.sides), max(given.sides)
    more = {share: seconds[large, share] - seconds[small, share] for share in SHARES}
    print(f"seconds more for the larger slide: {', '.join(f'{share:.0%} tissue {s:.1f}' for share, s in more.items())}")
    print(f"glass costs {more[0] / more[1]:.1%} of tissue")


if __name__ == "__main__":
    main()
