"""``python -m ihcscore.train.membranes``: render phantoms, read their cells, train, export.

Writes ``membranes.onnx``, ``slide.onnx`` and ``membranes.json``, which ship in ``ihcscore/cells/membrane/weights``.
"""

import argparse
import importlib.metadata
import os
import sys
from pathlib import Path

from ihcscore.cells.membrane.reader import RAYS_FILE, SLIDE_FILE
from ihcscore.train.command import parsed, say
from ihcscore.train.membranes.cells import PER_SHARD, make_shard, read_cells
from ihcscore.train.shards import make_shards
from ihcscore.version import __version__

SHIPPED_TILES, SHIPPED_STEPS, SHIPPED_SEED = 35_200, 180_000, 13
LIBRARIES = ("torch", "numpy")


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m ihcscore.train.membranes", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("ihcscore-train"), help="folder of cells, checkpoint, weights")
    parser.add_argument("--tiles", type=int, default=SHIPPED_TILES, help=f"rounded up to {PER_SHARD}")
    parser.add_argument("--steps", type=int, default=SHIPPED_STEPS)
    parser.add_argument("--seed", type=int, default=SHIPPED_SEED)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that render")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    options = parsed(parser, arguments, ("tiles", "steps", "workers", "threads"))
    import torch

    from ihcscore.train.membranes.fit import Run
    from ihcscore.train.membranes.net import export

    torch.set_num_threads(options.threads)
    shards = -(-options.tiles // PER_SHARD)
    paths = []
    for path in make_shards(make_shard, options.out / "cells", options.seed, shards, options.workers):
        paths.append(path)
        say(f"{len(paths)} of {shards} shards of cells")
    cells = read_cells(paths)
    try:
        run = Run(cells, options.steps, options.seed, options.out / "membranes.pt")
    except ValueError as error:
        sys.exit(str(error))
    net = run.fit(say)
    about = {
        "seed": options.seed,
        "tiles": shards * PER_SHARD,
        "cells": len(cells.od),
        "steps": options.steps,
        "hours": round(run.seconds / 3600, 2),
        "versions": {"ihcscore": __version__, **{name: importlib.metadata.version(name) for name in LIBRARIES}},
    }
    export(net, options.out, about)
    say(", ".join(f"{name}: {(options.out / name).stat().st_size / 1e3:.0f} kB" for name in (RAYS_FILE, SLIDE_FILE)))


if __name__ == "__main__":
    main()
