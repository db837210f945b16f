"""Frames, waveforms and regions in shards, against one .npy (regions: .npz) a clip: CPU time to write a clip and to
read one at random, and bytes on disk. The same clips, one side after the other, files in the page cache.

    python -m benchmarks.shards                     # --frames /path/to/photographs, --clips, --shard-clips

Prints a table and writes benchmarks/results/shards.json.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.clips import photographs, scene, square, voice
from benchmarks.results import Row, parser, told
from benchmarks.usage import cpu_s, timed
from model.selective_search import search
from pipeline.foundation import shards
from pipeline.foundation.randomness import generator
from pipeline.foundation.shards import Array

SIDE = 320
DIFFERENT = 64  # clips that are made; the others are these again, under other names
SECONDS = 10
Clip = Mapping[str, Array]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--frames", type=Path, help="a folder of photographs; without it, scenes of a world")
    arguments.add_argument("--clips", type=int, default=2048, help="how many clips")
    arguments.add_argument("--shard-clips", type=int, default=256, help="clips a shard, as extract.shard_clips")
    chosen = arguments.parse_args()
    pictures = photographs(chosen.frames, DIFFERENT) if chosen.frames else [scene(str(i)) for i in range(DIFFERENT)]
    rows = []
    for what, clips in made_of([square(picture, SIDE) for picture in pictures]).items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"what": what, **measured(Path(folder), clips, chosen.clips, chosen.shard_clips)})
    print(told("shards", rows, chosen.results))


def made_of(frames: Sequence[Array]) -> dict[str, list[Clip]]:
    """A few clips of each kind: frames as they are, sounds, and the regions of the frames."""
    sounds = [voice(str(i), SECONDS)[::2].mean(axis=1) for i in range(len(frames))]
    found = [search(frame, "fast") for frame in frames]
    return {
        "frames": [{"frame": frame} for frame in frames],
        "waveforms": [{"waveform": np.rint(sound * 32767).astype(np.int16)} for sound in sounds],
        "regions": [{"box": each.box, "level": each.level, "grouping": each.grouping} for each in found],
    }


def measured(folder: Path, clips: Sequence[Clip], n: int, shard_clips: int) -> Row:
    """Both sides write n clips and read each once, in random order."""
    ids = [f"clip-{i:07d}" for i in range(n)]
    of = {clip_id: clips[i % len(clips)] for i, clip_id in enumerate(ids)}
    ours, theirs = folder / "shards", folder / "files"
    ours.mkdir()
    theirs.mkdir()
    order = [ids[i] for i in generator(0, "order").permutation(n)]
    _, ours_write_s = timed(lambda: _write_shards(ours, ids, of, shard_clips))
    _, theirs_write_s = timed(lambda: _write_files(theirs, of))
    reader = shards.Shards(ours)
    names = list(clips[0])
    ours_read_s = _read(lambda clip_id: {name: reader.read(clip_id, name) for name in names}, order, of)
    theirs_read_s = _read(lambda clip_id: _read_file(theirs, clip_id, names), order, of)
    return {
        "clips": n,
        "a shard": shard_clips,
        "write ms": 1e3 * ours_write_s / n,
        "files write ms": 1e3 * theirs_write_s / n,
        "read ms": 1e3 * ours_read_s / n,
        "files read ms": 1e3 * theirs_read_s / n,
        "bytes": _bytes(ours) // n,
        "files bytes": _bytes(theirs) // n,
    }


def _write_shards(folder: Path, ids: Sequence[str], of: Mapping[str, Clip], shard_clips: int) -> None:
    for start in range(0, len(ids), shard_clips):
        chunk = ids[start : start + shard_clips]
        path = folder / shards.shard_name(start // shard_clips)
        rows = {name: [of[clip_id][name] for clip_id in chunk] for name in of[chunk[0]]}
        if "frame" in rows:
            shards.write(path, "benchmark", chunk, {"frame": np.stack(rows["frame"])})
        else:
            shards.write_flat(path, "benchmark", chunk, rows)


def _write_files(folder: Path, of: Mapping[str, Clip]) -> None:
    for clip_id, clip in of.items():
        if len(clip) == 1:
            np.save(folder / f"{clip_id}.npy", next(iter(clip.values())))
        else:
            np.savez_compressed(folder / f"{clip_id}.npz", **clip)


def _read_file(folder: Path, clip_id: str, names: Sequence[str]) -> Clip:
    if len(names) == 1:
        return {names[0]: np.load(folder / f"{clip_id}.npy")}
    with np.load(folder / f"{clip_id}.npz") as file:
        return {name: file[name] for name in names}


def _read(read: Callable[[str], Clip], order: Sequence[str], of: Mapping[str, Clip]) -> float:
    """CPU seconds to read all clips in an order; the last one must be what was written."""
    start, found = cpu_s(), {}
    for clip_id in order:
        found = read(clip_id)
    spent_s = cpu_s() - start
    for name, array in of[order[-1]].items():
        if not np.array_equal(found[name], array):
            raise AssertionError(f"{name} of {order[-1]} was read as something else")
    return spent_s


def _bytes(folder: Path) -> int:
    """What the files of a folder take on disk, in whole blocks."""
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


if __name__ == "__main__":
    main()
