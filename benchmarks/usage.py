"""What a call or a process took: CPU seconds of it and of its children, wall seconds, peak memory."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")
LOOK_S = 0.3  # between two looks at a running process: the kernel itself keeps the peak


def cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and its CPU seconds, those of the processes that it started and waited for among them."""
    start = cpu_s()
    return function(), cpu_s() - start


@dataclass(frozen=True)
class Usage:
    """What a process took, with all that it started.

    peak_mb: the most memory that it held itself at a time, in MB of 10^6 bytes resident, shared libraries among them
    (Linux' VmHWM; nan elsewhere). worker_peak_mb: the same of the largest of the processes that it started, 0 where it
    started none.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    worker_peak_mb: float
    output: str


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Usage:
    """Run a command in a folder to its end. Where it fails, so does this process, with what it said."""
    peaks: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as said:
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, **environment}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=said)
        while True:
            _look(process.pid, peaks)
            try:
                status = process.wait(LOOK_S)
                break
            except subprocess.TimeoutExpired:
                continue
        wall_s, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        output.seek(0)
        said.seek(0)
        if status:
            sys.exit(f"{' '.join(command)}: ended with status {status}\n{said.read()}")
        spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        own = peaks.pop(process.pid, float("nan"))
        return Usage(spent_s, wall_s, own, max(peaks.values(), default=0.0), output.read())


def _look(pid: int, peaks: dict[int, float]) -> None:
    """Note what a process and all below it held at most until now."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            status = Path(f"/proc/{member.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it ended just now, or this is not Linux
            continue
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peaks[member.pid] = int(line.split()[1]) * 1024 / 1e6
