"""Render training data into files, several at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path


def make_shards(
    make: Callable[[Path, int, int], Path], folder: Path, seed: int, count: int, workers: int
) -> Iterator[Path]:
    """Make files in several processes and yield them in order.

    Parameters
    ----------
    make : callable
        Makes one, of a folder, the training run's seed and the file's number, unless it is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:  # a fork of torch can hang
        yield from pool.map(make, [folder] * count, [seed] * count, range(count))
