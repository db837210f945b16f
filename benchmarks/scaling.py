"""`propose` on one and two workers of either engine, and the memory of a worker over few clips and over many.

    python -m benchmarks.scaling                    # --clips, --few, --many, --rounds

Speed: wall time of the whole stage, its start included, beside CPU time; on a machine that does nothing else. Memory:
small frames in mode single, so that many clips end in minutes; the most that the largest worker held resident (RSS,
shared libraries included), and the most that the process held which gives them work. Prints two tables and writes
benchmarks/results/scaling.json and memory.json.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.clips import Image, scene, square
from benchmarks.project import Project
from benchmarks.results import Row, parser, told
from benchmarks.usage import Usage
from pipeline.foundation import shards

SHARD_CLIPS = 64
DIFFERENT = 64  # frames that are drawn; the others are these again, under other names
Setting = tuple[str, int]  # engine, workers
SETTINGS: list[Setting] = [(engine, n) for n in (1, 2) for engine in ("joblib", "dask")]
SMALL = 64  # pixels


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clips", type=int, default=2048, help="frames of 320 x 320 to search for the speed")
    arguments.add_argument("--rounds", type=int, default=3, help="how often; the median is told")
    arguments.add_argument("--few", type=int, default=1000, help=f"frames of {SMALL} x {SMALL} for the memory")
    arguments.add_argument("--many", type=int, default=5000, help="likewise")
    chosen = arguments.parse_args()
    frames = [square(scene(str(i))) for i in range(min(DIFFERENT, chosen.clips))]
    with tempfile.TemporaryDirectory() as folder:
        speed = speed_of(Path(folder), frames, chosen.clips, chosen.rounds)
    print(told("scaling", speed, chosen.results))
    small = [square(frame, SMALL) for frame in frames]
    memory = []
    for n in (chosen.few, chosen.many):
        for engine in ("joblib", "dask"):
            with tempfile.TemporaryDirectory() as folder:
                memory.append(memory_of(Path(folder), small, n, engine))
    print("\n" + told("memory", memory, chosen.results))


def speed_of(folder: Path, frames: Sequence[Image], n: int, rounds: int) -> list[Row]:
    """Wall and CPU time of the stage for each engine and number of workers, and whether all made the same bytes."""
    project = Project(folder, {})
    _write_frames(folder, frames, n)
    took: dict[Setting, list[Usage]] = {setting: [] for setting in SETTINGS}
    made: dict[Setting, str] = {}
    for _ in range(rounds):
        for engine, workers in SETTINGS:
            project.forget("data/regions")
            took[engine, workers].append(_propose(project, engine, workers))
            made[engine, workers] = _digest(folder / "data/regions/selective_search")
    return compared(took, made, n)


def compared(took: Mapping[Setting, Sequence[Usage]], made: Mapping[Setting, str], n: int) -> list[Row]:
    """Each setting beside one worker of its engine; bytes beside those of one worker of joblib."""
    one = {engine: _medians(took[engine, 1]) for engine in ("joblib", "dask")}
    rows = []
    for (engine, workers), usages in took.items():
        wall_s, cpu_s = _medians(usages)
        rows.append(
            {
                "engine": engine,
                "workers": workers,
                "clips": n,
                "wall s": wall_s,
                "times as fast as one": one[engine][0] / wall_s,
                "CPU ms a clip": 1e3 * cpu_s / n,
                "CPU over one": cpu_s / one[engine][1],
                "same bytes": made[engine, workers] == made["joblib", 1],
            }
        )
    return rows


def memory_of(folder: Path, frames: Sequence[Image], n: int, engine: str) -> Row:
    """What a worker and the process above it held at most; two workers, as one of joblib is the process itself."""
    project = Project(folder, {"proposers": {"selective_search": {"engine": "native", "mode": "single"}}})
    _write_frames(folder, frames, n)
    usage = _propose(project, engine, 2)
    return {
        "engine": engine,
        "clips": n,
        "shards": -(-n // SHARD_CLIPS),
        "largest worker MB": usage.worker_peak_mb,
        "process above MB": usage.peak_mb,
    }


def _propose(project: Project, engine: str, workers: int) -> Usage:
    project.set({"runtime": {"engine": engine, "workers": workers}})
    return project.stage("propose", "selective_search")


def _write_frames(folder: Path, frames: Sequence[Image], n: int) -> None:
    """Frames as `extract` leaves them, from its own shards on."""
    cv2.setNumThreads(1)
    out = folder / "data/frames"
    out.mkdir(parents=True)
    for start in range(0, n, SHARD_CLIPS):
        chosen = range(start, min(start + SHARD_CLIPS, n))
        stacked = np.stack([frames[i % len(frames)] for i in chosen])
        path = out / shards.shard_name(start // SHARD_CLIPS)
        shards.write(path, "extract", [f"clip-{i:07d}" for i in chosen], {"frame": stacked})


def _medians(usages: Sequence[Usage]) -> tuple[float, float]:
    return float(np.median([usage.wall_s for usage in usages])), float(np.median([usage.cpu_s for usage in usages]))


def _digest(folder: Path) -> str:
    digest = hashlib.blake2b()
    for path in sorted(folder.glob("*.h5")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
