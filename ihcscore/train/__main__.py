"""``python -m ihcscore.train``: render phantoms, train the nucleus network, export it."""

import argparse
import importlib.metadata
import os
import sys
from pathlib import Path

import cv2

from ihcscore.train.command import parsed, say
from ihcscore.train.shards import make_shards
from ihcscore.train.tiles import PER_SHARD, make_shard
from ihcscore.version import __version__

SHIPPED_TILES, SHIPPED_STEPS, SHIPPED_SEED = 24000, 30000, 8
LIBRARIES = ("torch", "numpy", "opencv-python-headless")


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m ihcscore.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("ihcscore-train"), help="folder of tiles, checkpoint, weights")
    parser.add_argument("--tiles", type=int, default=SHIPPED_TILES, help=f"rounded up to {PER_SHARD}")
    parser.add_argument("--steps", type=int, default=SHIPPED_STEPS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=SHIPPED_SEED)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that render")
    parser.add_argument("--threads", type=int, default=0, help="threads that train, as torch decides unless given")
    parser.add_argument("--bf16", action="store_true", help="16-bit floats: half the time where the processor has them")
    options = parsed(parser, arguments, ("tiles", "steps", "batch", "workers"))
    import torch

    from ihcscore.train.export import export
    from ihcscore.train.fit import Run, Schedule, load_tiles

    if options.threads:
        torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)  # the processes that render share the cores already
    shards = -(-options.tiles // PER_SHARD)
    schedule = Schedule(options.steps, options.batch, seed=options.seed)
    try:
        run = Run(schedule, options.out / "checkpoint.pt", tiles=shards * PER_SHARD, bf16=options.bf16)
    except ValueError as error:
        sys.exit(str(error))
    paths = []
    for path in make_shards(make_shard, options.out / "tiles", options.seed, shards, options.workers):
        paths.append(path)
        say(f"{len(paths)} of {shards} shards of tiles")
    tiles = load_tiles(paths)
    net = run.fit(tiles, say)
    about = {
        "seed": options.seed,
        "tiles": shards * PER_SHARD,
        "steps": options.steps,
        "batch": options.batch,
        "bf16": options.bf16,
        "hours": round(run.seconds / 3600, 2),
        "versions": {"ihcscore": __version__, **{name: importlib.metadata.version(name) for name in LIBRARIES}},
    }
    path = options.out / "nuclei.onnx"
    say(f"{path}: sha256 {export(net, tiles.rgb, path, about)}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
