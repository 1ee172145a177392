"""Measure tiles on one core, on several, or on many machines, with the same result."""

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import cv2

from ihcscore.assays.assay import Assay
from ihcscore.errors import IhcscoreError, MissingExtra
from ihcscore.geometry import HERE, Placement
from ihcscore.survey.context import SlideContext
from ihcscore.tiles.store import Key, MeasuredTile
from ihcscore.tiles.tile import TileJob, measure_tile

AHEAD = 2
"""Tiles that wait for each worker, so that none is idle."""
MOST_DEATHS = 3
"""Times that workers may die in a row without a tile done."""
GUARD = 'if __name__ == "__main__":'
LOCAL = "local"
"""Name of a Dask cluster of this machine, made for the run."""
TIMEOUT_S = 10


@dataclass(frozen=True)
class SlideTask:
    """What a worker process needs to open a slide: files and plain values.

    Parameters
    ----------
    path : Path
        The slide.
    mpp : float
        um per level-0 pixel.
    nuclei : Path, optional
        File of nuclei from another program.
    place : Placement
        Placement of the slide in the frame of that file, where it is GeoJSON.
    """

    path: Path
    mpp: float
    assay: Assay
    context: SlideContext
    nuclei: Path | None = None
    place: Placement = HERE


OpenJob = Callable[[SlideTask], TileJob]
Given = TypeVar("Given")
Found = TypeVar("Found")


class Executor(Protocol):
    """Measures tiles."""

    def run(self, job: TileJob, task: SlideTask | None, keys: Sequence[Key]) -> Iterator[tuple[Key, MeasuredTile]]:
        """Measure tiles. Raises IhcscoreError if a tile cannot be measured.

        Parameters
        ----------
        job : TileJob
            The job of the slide, in this process.
        task : Task or None
            The same for other processes; None where the pixels are in this one only.
        keys : sequence of tuple of int
            Rows and columns of the tiles.

        Yields
        ------
        tuple of Key and MeasuredTile
            As they are done, in any order.
        """
        ...


class SerialExecutor:
    """Measures one tile after another, in this process, on one core."""

    def run(self, job: TileJob, task: SlideTask | None, keys: Sequence[Key]) -> Iterator[tuple[Key, MeasuredTile]]:
        """Measure tiles; see `Executor`."""
        with one_thread():
            for key in keys:
                yield key, measure_tile(job, job.grid.tile(*key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class ProcessExecutor:
    """Several processes on this machine.

    Parameters
    ----------
    open_job : callable
        Makes a task's job in a worker; a function of a module.
    """

    def __init__(self, workers: int, open_job: OpenJob) -> None:
        self.workers, self._make_job = workers, open_job
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(kill=kind is not None)

    def run(self, job: TileJob, task: SlideTask | None, keys: Sequence[Key]) -> Iterator[tuple[Key, MeasuredTile]]:
        """Measure tiles; see `Executor`. A worker that dies is replaced, and its tiles are measured again."""
        if task is None or len(keys) < 2:
            yield from SerialExecutor().run(job, task, keys)
            return
        token = pickle.dumps((self._make_job, task))
        yield from self.each(partial(measure_tile_remote, token), keys)

    def each(self, function: Callable[[Given], Found], arguments: Sequence[Given]) -> Iterator[tuple[Given, Found]]:
        """Call a function in the processes; a worker that dies is replaced, and its calls are made again.

        Raises IhcscoreError if workers die again and again. What the function raises is raised.

        Parameters
        ----------
        function : callable
            Of a module; its results, too, must pickle.
        arguments : sequence
            Different ones; messages name them.

        Yields
        ------
        tuple
            An argument and the function's result, as they are done, in any order.
        """
        left, deaths, begun = list(arguments), 0, False
        while left:
            try:
                for argument, found in self._attempt(function, left):
                    deaths, begun = 0, True
                    left.remove(argument)
                    yield argument, found
            except BrokenProcessPool:
                self._close(kill=True)
                deaths += 1
                if deaths == MOST_DEATHS:
                    hint = "" if begun else f"; a script that uses workers needs {GUARD}"
                    raise IhcscoreError(
                        f"workers died {deaths} times in a row at {', '.join(map(str, left[: self.workers]))}: "
                        f"out of memory? try fewer --workers; what is done is kept{hint}"
                    ) from None

    def _attempt(self, function: Callable[[Given], Found], arguments: Sequence[Given]) -> Iterator[tuple[Given, Found]]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=_begin)
        waiting = iter(list(arguments))
        running: dict[Future[Found], Given] = {}
        while True:
            for argument in waiting:
                running[self._pool.submit(function, argument)] = argument
                if len(running) >= AHEAD * self.workers:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()

    def _close(self, *, kill: bool) -> None:
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=not kill, cancel_futures=True)
        if kill:
            for process in processes:
                process.kill()
        self._pool = None


class DaskExecutor:
    """Workers of a Dask cluster.

    Raises MissingExtra if Dask is not installed; IhcscoreError if the scheduler cannot be reached.

    Parameters
    ----------
    address : str
        Of the scheduler, or "local" for a cluster of this machine.
    workers : int
        Of a local cluster.
    open_job : callable
        Makes a task's job in a worker; a function of a module.
    """

    def __init__(self, address: str, workers: int, open_job: OpenJob) -> None:
        try:
            import distributed
        except ImportError:
            raise MissingExtra("distributed", "dask") from None
        self._make_job, self._cluster = open_job, None
        if address == LOCAL:
            self._cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        try:
            self._client = distributed.Client(self._cluster or address, timeout=TIMEOUT_S)
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise IhcscoreError(f"no Dask scheduler at {address} ({reason}): is it running?") from None
        self._as_completed: Any = distributed.as_completed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close()
            if self._cluster is not None:
                self._cluster.close()

    def run(self, job: TileJob, task: SlideTask | None, keys: Sequence[Key]) -> Iterator[tuple[Key, MeasuredTile]]:
        """Measure tiles; see `Executor`."""
        if task is None:
            yield from SerialExecutor().run(job, task, keys)
            return
        token = pickle.dumps((self._make_job, task))
        threads = sum(self._client.nthreads().values())
        if not threads:
            raise IhcscoreError("the Dask scheduler has no workers: start some")
        waiting, of_future = iter(keys), {}
        running = self._as_completed([])

        def submit() -> None:
            for key in waiting:
                future = self._client.submit(measure_tile_remote, token, key, pure=False, retries=MOST_DEATHS)
                of_future[future] = key
                running.add(future)
                break

        for _ in range(AHEAD * threads):
            submit()
        for future in running:
            key = of_future.pop(future)
            try:
                tile = future.result()
            except IhcscoreError:
                raise
            except Exception as error:  # what a cluster raises is of no common root
                raise IhcscoreError(f"Dask failed at tile {key}: {error}; what is done is kept") from error
            yield key, tile
            submit()


def make_executor(
    workers: int, scheduler: str | None, open_job: OpenJob
) -> SerialExecutor | ProcessExecutor | DaskExecutor:
    """Return the executor that measures tiles. Raises ValueError if `workers` is below 1.

    Parameters
    ----------
    workers : int
        Processes on this machine, from 1.
    scheduler : str or None
        Address of a Dask scheduler, or "local".
    open_job : callable
        Makes a task's job.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, found {workers}")
    if scheduler is not None:
        return DaskExecutor(scheduler, workers, open_job)
    return ProcessExecutor(workers, open_job) if workers > 1 else SerialExecutor()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let OpenCV use one core, so that a worker is one."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


_jobs = threading.local()
"""The job of the last token, for each thread: slides keep decoded pixels, which threads must not share."""


def measure_tile_remote(token: bytes, key: Key) -> MeasuredTile:
    """Measure a tile in a worker.

    Parameters
    ----------
    token : bytes
        Pickled function that makes a job, and its task.
    key : tuple of int
        Row and column of the tile.
    """
    if getattr(_jobs, "token", None) != token:
        open_job, task = pickle.loads(token)
        cv2.setNumThreads(1)
        _jobs.job, _jobs.token = open_job(task), token
    job: TileJob = _jobs.job
    return measure_tile(job, job.grid.tile(*key))


def _begin() -> None:
    """Prepare a worker process: Ctrl-C is for the parent, and when that dies, however it dies, so does the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()


def _die_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
