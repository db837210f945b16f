"""One function over many pieces of work: finished pieces are reused, the rest run in parallel.

A piece writes its files into a folder of its own, `.scratch/<stage>/<fingerprint>/`, which gets its name only when
all is written: whoever sees the name sees finished work, and a killed run loses the pieces under way, no others.
"""

import fcntl
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Runtime

log = logging.getLogger(__name__)

SCRATCH = Path(".scratch")


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Keep out every other process that would do the same work here; wait for one that is at it."""
    SCRATCH.mkdir(exist_ok=True)
    with (SCRATCH / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("%s: another run is still at this work here; waiting for it to end", name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Piece:
    """A piece of work: `function(folder, *arguments)` writes its files into `folder` and says how many it rejected."""

    name: str
    fingerprint: str
    clips: int
    function: Callable[..., int]
    arguments: tuple[Any, ...]


def finish(stage: str, pieces: Sequence[Piece], runtime: Runtime) -> list[Path]:
    """Do what is not done yet; returns the finished folder of each piece, in order.

    Raises UserError where a worker dies; what was finished stays.
    """
    with alone(f"{stage}-pieces"):
        return _finish(stage, pieces, runtime)


def _finish(stage: str, pieces: Sequence[Piece], runtime: Runtime) -> list[Path]:
    scratch = SCRATCH / stage
    scratch.mkdir(parents=True, exist_ok=True)
    for unfinished in scratch.glob("*.*"):  # of a run that was killed; the lock keeps out another
        if not _is_at_work(unfinished.name.partition(".")[2]):
            shutil.rmtree(unfinished, ignore_errors=True)
    folders = [scratch / piece.fingerprint for piece in pieces]
    todo = [(piece, folder) for piece, folder in zip(pieces, folders, strict=True) if not folder.exists()]
    total = sum(piece.clips for piece in pieces)
    reused = total - sum(piece.clips for piece, _ in todo)
    rejected = 0
    # disable=None: silent where nobody looks at a terminal
    with tqdm(total=total, initial=reused, desc=stage, unit="clip", disable=None) as progress:
        progress.set_postfix(reused=reused)
        for clips, rejections in _run(todo, runtime):
            rejected += rejections
            progress.set_postfix(reused=reused, rejected=rejected)
            progress.update(clips)
    return folders


def workers(runtime: Runtime) -> int:
    """How many processes work at a time: as params.yaml says, else one per processor that this one may use."""
    return runtime.workers or joblib.cpu_count()


def _run(todo: Sequence[tuple[Piece, Path]], runtime: Runtime) -> Iterable[tuple[int, int]]:
    n_workers = min(workers(runtime), len(todo))
    if runtime.engine == "dask" and todo:
        from pipeline.foundation.cluster import completed  # noqa: PLC0415  takes a second, and most runs need none

        tasks = [(piece.name, (piece, folder, Path.cwd())) for piece, folder in todo]
        return completed(_complete, tasks, runtime.scheduler, n_workers)
    if n_workers <= 1:
        return (_complete(piece, folder, Path.cwd()) for piece, folder in todo)
    parallel = joblib.Parallel(n_jobs=n_workers, return_as="generator_unordered", batch_size=1)
    return _named_death(parallel(joblib.delayed(_complete)(piece, folder, Path.cwd()) for piece, folder in todo))


def _named_death(results: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    try:
        yield from results
    except joblib.externals.loky.process_executor.TerminatedWorkerError as error:
        raise UserError(
            "a worker process was killed, most often for want of memory; set runtime.workers lower and run again: "
            "finished shards are kept"
        ) from error


def _complete(piece: Piece, folder: Path, project: Path) -> tuple[int, int]:
    """Do one piece; returns its clips and how many of them were rejected."""
    os.chdir(project)  # a worker process may be older than this run, and paths are relative to the project
    unfinished = folder.with_name(f"{folder.name}.{_myself()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        with threadpool_limits(1):  # of BLAS: the workers are the parallelism, and its threads wait by spinning
            rejected = piece.function(unfinished, *piece.arguments)
        for path in unfinished.rglob("*"):
            _fsync(path)
        try:
            unfinished.rename(folder)
        except OSError:
            # Somebody was first: a worker that outlived its killed run, or a piece of the same content.
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return piece.clips, rejected


def _myself() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _is_at_work(who: str) -> bool:
    """Whether `_myself` of some process lives, as a worker of a killed run does; taken for true on other machines."""
    host, _, process = who.rpartition("-")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
