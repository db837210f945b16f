"""From mp4 files to what the training reads, by this product's stages and by the script that a user would write
(benchmarks/plain.py), on the same files: CPU time a clip by stage, bytes a clip by folder.

    python -m benchmarks.pipeline                   # --clips, --frames /path/to/photographs, --videos /path/to/mp4

Stages run one after the other, as processes, each with one worker, with the paper's frame size, seconds of sound and K.
Without --videos it makes the files: H.264 640 x 360, AAC, 10 s, of scenes, or of the photographs of --frames. Needs the
program ffmpeg. Prints tables and writes benchmarks/results/pipeline.json, pipeline_disk.json and pipeline_same.json.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.clips import make_clips, need_ffmpeg, photographs
from benchmarks.project import ROOT, Project, bytes_in
from benchmarks.results import Row, parser, told
from benchmarks.usage import run
from pipeline.foundation import shards
from pipeline.sources.folder import clip_id_of

STAGES = (
    ("source", ()),
    ("extract", ()),
    ("propose", ("selective_search",)),
    ("attend", ()),
    ("listen", ()),
)
FOLDERS = {
    "frames": "data/frames",
    "waveforms": "data/waveforms",
    "regions": "data/regions/selective_search",
    "bottom_up": "data/bottom_up",
    "sounds": "data/sounds",
}

READ = {"frame": "frames", "box": "regions", "map": "bottom_up", "logmel": "sounds"}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clips", type=int, default=500, help="how many files; with --videos: at most")
    arguments.add_argument("--seconds", type=float, default=10, help="how long the files are that are made here")
    arguments.add_argument("--frames", type=Path, help="a folder of photographs to make the files of")
    arguments.add_argument("--videos", type=Path, help="a folder of mp4 files to measure with, instead")
    chosen = arguments.parse_args()
    need_ffmpeg()
    with tempfile.TemporaryDirectory() as folder:
        videos, out = Path(folder, "videos"), Path(folder, "plain")
        if chosen.videos:
            _link(chosen.videos, videos, chosen.clips)
        else:
            pictures = photographs(chosen.frames, chosen.clips) if chosen.frames else []
            make_clips(videos, chosen.clips, chosen.seconds, pictures)
        source = {"root": str(videos), "watch": str(videos), "val_share": 0.1, "test_share": 0.1}
        project = Project(Path(folder, "project"), {"source": source})
        speed = speed_of(project, videos, out)
        print(told("pipeline", speed, chosen.results))
        print("\n" + told("pipeline_disk", disk_of(project, videos, out), chosen.results))
        print("\n" + told("pipeline_same", same(project, out), chosen.results))


def _link(videos: Path, folder: Path, most: int) -> None:
    """The first mp4 files of a folder, linked where they lie, so that both sides take the same ones."""
    folder.mkdir(parents=True)
    paths = sorted(videos.resolve().glob("*.mp4"))[:most]
    if not paths:
        sys.exit(f"{videos}: no mp4 file in it; name another folder")
    for path in paths:
        (folder / path.name).symlink_to(path.resolve())


def speed_of(project: Project, videos: Path, out: Path) -> list[Row]:
    """CPU time a clip of each stage and of the script's part that does the same.

    What a stage takes for n clips is its start and n times a clip; it is run with one clip too, which tells the two
    apart. `ratio` is that of all n clips with the starts, `ratio of a clip` the one that very many come to.
    """
    one = Project(project.folder.with_name("one"), {})
    first = one.folder / "videos"
    _link(videos, first, 1)
    one.set({"source": {"root": str(first), "watch": str(first), "val_share": 0, "test_share": 0}})
    n = len(list(videos.iterdir()))
    ours_s(one)  # compiles what numba keeps, as the first run ever does
    one.forget("data")
    ours = taken(ours_s(one), ours_s(project), n)
    theirs = taken(theirs_s(one, first, one.folder / "plain"), theirs_s(project, videos, out), n)
    rows: list[Row] = []
    for name in (*ours, "rest"):
        start, each = ours.get(name, (0.0, 0.0))
        plain_start, plain_each = theirs.get(name, (0.0, 0.0))
        rows.append(
            {
                "stage": name,
                "clips": n,
                "CPU ms a clip": 1e3 * each,
                "start CPU s": start,
                "plain CPU ms a clip": 1e3 * plain_each,
                "plain start CPU s": plain_start,
            }
        )
    sums = {name: sum(row[name] for row in rows) for name in rows[0] if name not in ("stage", "clips")}
    all_ours_s = sums["start CPU s"] + n * sums["CPU ms a clip"] / 1e3
    all_theirs_s = sums["plain start CPU s"] + n * sums["plain CPU ms a clip"] / 1e3
    of_a_clip = sums["plain CPU ms a clip"] / sums["CPU ms a clip"]
    return [
        *rows,
        {"stage": "all", "clips": n, **sums, "ratio": all_theirs_s / all_ours_s, "ratio of a clip": of_a_clip},
    ]


def taken(one: dict[str, float], many: dict[str, float], n: int) -> dict[str, tuple[float, float]]:
    """CPU seconds of each part: its start, and each clip."""
    each = {name: max((many[name] - one[name]) / max(n - 1, 1), 0) for name in many}
    return {name: (many[name] - n * each[name], each[name]) for name in many}


def ours_s(project: Project) -> dict[str, float]:
    """CPU seconds of each stage."""
    return {name: project.stage(name, *arguments).cpu_s for name, arguments in STAGES}


def theirs_s(project: Project, videos: Path, out: Path) -> dict[str, float]:
    """CPU seconds of the script's parts; `rest`: its imports, and writing."""
    command = [sys.executable, "-m", "benchmarks.plain", str(videos), str(out)]
    spent = json.loads(run(command, project.folder, {"PYTHONPATH": str(ROOT)}).output)
    parts = {name: spent[name] for name, _ in STAGES if name in spent}
    return {**parts, "rest": spent["all"] - sum(parts.values())}


def disk_of(project: Project, videos: Path, out: Path) -> list[Row]:
    """Bytes a clip of what goes in, of what each folder holds, and of what the script writes."""
    n = len(list(videos.iterdir()))
    sizes = {"media": sum(path.stat().st_size for path in videos.iterdir())}
    sizes |= {name: bytes_in(project.folder / folder) for name, folder in FOLDERS.items()}
    sizes["plain script"] = bytes_in(out)
    return [{"folder": name, "bytes a clip": size // n} for name, size in sizes.items()]


def same(project: Project, out: Path) -> list[Row]:
    """How far what both sides made is the same, over all clips that both have.

    OpenCV ranks its boxes by C's rand(), so that maps are compared by their means only.
    """
    ours = {name: shards.Shards(project.folder / folder) for name, folder in FOLDERS.items()}
    found: dict[str, list[float]] = {
        "frames: mean difference, of 255": [],
        "boxes: share that both have": [],
        "maps: mean, ours over theirs": [],
        "sounds: correlation of log-mel": [],
    }
    for path in sorted(out.glob("*.npz")):
        clip_id = clip_id_of(Path(f"{path.stem}.mp4"))
        if clip_id not in ours["sounds"]:  # rejected, and the script took it
            continue
        read = {name: ours[folder].read(clip_id, name) for name, folder in READ.items()}
        with np.load(path) as theirs:
            boxes, others = (set(map(tuple, box.tolist())) for box in (read["box"], theirs["boxes"]))
            values = (
                np.abs(read["frame"].astype(np.float64) - theirs["frame"][..., ::-1]).mean(),
                len(boxes & others) / len(boxes | others),
                read["map"].mean() / theirs["map"].mean(),
                np.corrcoef(read["logmel"].ravel().astype(np.float64), theirs["logmel"].ravel())[0, 1],
            )
        for column, value in zip(found.values(), values, strict=True):
            column.append(float(value))
    return [
        {
            "what": what,
            "clips": len(values),
            "median": float(np.median(values)),
            "least": min(values),
            "most": max(values),
        }
        for what, values in found.items()
    ]


if __name__ == "__main__":
    main()
