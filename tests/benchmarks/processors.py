"""Does another processor find the same cells? Score phantoms here, and compare with what was found elsewhere.

python tests/benchmarks/processors.py --write here.json [--count 20]
LD_PRELOAD=avx2_only.so python tests/benchmarks/processors.py --compare here.json
qemu-x86_64 -cpu Haswell $(command -v python) tests/benchmarks/processors.py --compare here.json

The second hides what is newer than AVX2 (`avx2_only.c`). The third emulates another processor (qemu-user of Debian) and
takes minutes a phantom. Or carry the files over to a real one.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from ihcscore import load_assay, score_cells, score_image
from ihcscore.api import digest
from ihcscore.cells.segmentation.network import Network
from ihcscore.phantom import PRESETS, load_parameters, render

COMPARTMENTS = ("nucleus", "membrane")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--side", type=int, default=512)
    options = parser.parse_args()
    assay = load_assay("generic-nuclear")
    if options.write:  # the pixels go along: rendering is floats, too
        folder = options.write.with_suffix("")
        folder.mkdir(exist_ok=True)
        for k in range(options.count):
            rgb = render(load_parameters(PRESETS[k % len(PRESETS)]), 500 + k).rgb[: options.side, : options.side]
            cv2.imwrite(str(folder / f"{k}.png"), rgb[..., ::-1])
    source = options.write or options.compare
    rows, maps = [], []
    for path in sorted(source.with_suffix("").glob("*.png")):
        rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        result = score_image(rgb, mpp=0.5, assay=assay)
        maps.append(Network().maps(rgb, np.full(3, 255.0)))
        scores = [score_cells(result.cells, assay.replace(compartment=(part,))).scores for part in COMPARTMENTS]
        h_scores = [row.h_score for row in scores]
        rows.append({"cells": len(result.cells), "h": h_scores, "digest": digest(result.cells)})
        print(path.name, rows[-1], flush=True)
    if options.write:
        np.savez(options.write.with_suffix(".npz"), *maps)
        options.write.write_text(json.dumps(rows))
        return
    there = json.loads(options.compare.read_text())
    cells = [sum(row["cells"] for row in found) for found in (rows, there)]
    pairs = [pair for a, b in zip(rows, there, strict=True) for pair in zip(a["h"], b["h"], strict=True)]
    apart = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    theirs = np.load(options.compare.with_suffix(".npz")).values()
    differ = [np.abs(a.astype(int) - b) for a, b in zip(maps, theirs, strict=True)]
    print(f"cells {cells[0]} here, {cells[1]} there")
    print(f"largest difference of {len(apart)} H-scores {max(apart, default=0.0):.3f}")
    print(f"equal tables {sum(a['digest'] == b['digest'] for a, b in zip(rows, there, strict=True))} of {len(rows)}")
    print(f"bytes of the maps that differ: {np.mean([d.astype(bool).mean() for d in differ]):.2e}, by at most", end=" ")
    print(max(int(d.max()) for d in differ))


if __name__ == "__main__":
    main()
