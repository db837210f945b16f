"""A clip's frame and sound by this product, against OpenCV's seek to the middle frame plus an ffmpeg process for a mono
wav. The same mp4 files, one after the other, either side first by turns.

    python -m benchmarks.extract                    # --clips: how many files with a key frame every 250 and 30 frames

Files are H.264 640 x 360, AAC stereo 44.1 kHz, 10 s, made here. CPU time of this process and of the processes that it
starts. Needs the program ffmpeg. Prints a table and writes benchmarks/results/extract.json.
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import plain
from benchmarks.clips import need_ffmpeg, number_in, scene, voice, write_clip
from benchmarks.results import Row, parser, told
from benchmarks.usage import timed
from pipeline.extract import Sample, sample_of
from pipeline.foundation.manifest import Clip
from pipeline.foundation.params import Extract

SETTINGS = Extract(
    frame_position=0.5,
    frame_size=plain.SIDE,
    sample_rate=plain.RATE,
    seconds=plain.SECONDS,
    cpu_limit=60,
    max_megapixels=64,
    shard_clips=256,
)
GOPS = (250, 30)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clips", type=int, default=50, help="files of each kind")
    arguments.add_argument("--seconds", type=float, default=10, help="how long they are")
    chosen = arguments.parse_args()
    need_ffmpeg()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        measured(Path(folder), GOPS[0], 1, chosen.seconds)  # both sides' first calls load what they need
        rows = [measured(Path(folder), gop, chosen.clips, chosen.seconds) for gop in GOPS]
    print(told("extract", rows, chosen.results))


def measured(folder: Path, gop: int, n: int, seconds: float) -> Row:
    """CPU time of a file on both sides, and whether they found the same."""
    ours_s, theirs_s, frames, sounds = [], [], [], []
    for i in range(n):
        path = folder / f"gop-{gop}-{i}.mp4"
        write_clip(path, scene(str(i)), voice(str(i), seconds), gop=gop, numbered=True)
        both = {"ours": lambda path=path: _ours(path), "theirs": lambda path=path: _theirs(path)}
        took = {}
        for side in sorted(both, reverse=bool(i % 2)):
            took[side] = timed(both[side])
        (ours, of_ours_s), ((frame, waveform), of_theirs_s) = took["ours"], took["theirs"]
        ours_s.append(of_ours_s)
        theirs_s.append(of_theirs_s)
        frames.append(number_in(ours.frame) == number_in(frame))
        sounds.append(likeness(ours.waveform, waveform))
        path.unlink()
    return {
        "key frame every": gop,
        "files": n,
        "ours CPU ms": 1e3 * float(np.mean(ours_s)),
        "cv2 + ffmpeg CPU ms": 1e3 * float(np.mean(theirs_s)),
        "ratio": float(np.sum(theirs_s) / np.sum(ours_s)),
        "same frame": float(np.mean(frames)),
        "least correlation of sounds": min(sounds),
    }


def likeness(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """The correlation of two sounds over the length that both have."""
    n = min(len(one), len(other))
    return float(np.corrcoef(one[:n], other[:n])[0, 1])


def _ours(path: Path) -> Sample:
    return sample_of(Clip(path.stem, media=path.name), path.parent, SETTINGS)


def _theirs(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return plain.frame_of(path), plain.sound_of(path)


if __name__ == "__main__":
    main()
