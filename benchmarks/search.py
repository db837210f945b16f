"""Native selective search against OpenCV's: the same frames, one after the other, one core; and whether the boxes
agree.

    python -m benchmarks.search --frames /path/to/photographs      # any folder of images; without it, frames of a world

Prints a table and writes benchmarks/results/search.json.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Image, photographs, scene, square
from benchmarks.results import Row, parser, told
from model.selective_search import Mode, search
from pipeline.proposers.selective_search import keep_memory

COUNTS: dict[Mode, int] = {"single": 100, "fast": 784, "quality": 50}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--frames", type=Path, help="a folder of photographs")
    arguments.add_argument("--most", type=int, default=784, help="how many frames at most in any mode")
    chosen = arguments.parse_args()
    cv2.setNumThreads(1)
    keep_memory()  # as the stage does; both sides gain
    pictures = photographs(chosen.frames, chosen.most) if chosen.frames else map(scene, map(str, range(chosen.most)))
    frames = [square(picture) for picture in pictures]
    rows = [_measured(mode, frames[: min(count, chosen.most)]) for mode, count in COUNTS.items()]
    rows.append(Row({"mode": "start: import, and the first frame from a warm cache", "native CPU ms": _start_ms()}))
    print(told("search", rows, chosen.results))


def _measured(mode: Mode, frames: list[Image]) -> Row:
    search(frames[0], mode)  # compiles, or reads the cache
    ours, theirs, shares = [], [], []
    for frame in frames:
        found, ours_s = _timed(lambda frame=frame: search(frame, mode).box)
        expected, theirs_s = _timed(lambda frame=frame: _opencv(frame, mode))
        one, other = set(map(tuple, found.tolist())), set(map(tuple, expected.tolist()))
        ours.append(ours_s)
        theirs.append(theirs_s)
        shares.append(len(one & other) / len(one | other))
    return Row(
        {
            "mode": mode,
            "frames": len(frames),
            "native CPU ms": 1e3 * float(np.median(ours)),
            "OpenCV CPU ms": 1e3 * float(np.median(theirs)),
            "ratio": float(np.median(np.array(theirs) / ours)),
            "equal box sets": float(np.mean(np.array(shares) == 1)),
            "least shared": min(shares),
        }
    )


def _timed(function: Callable[[], NDArray[np.generic]]) -> tuple[NDArray[np.generic], float]:
    start = time.process_time()
    return function(), time.process_time() - start


def _opencv(frame: Image, mode: Mode) -> NDArray[np.int32]:
    theirs = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    theirs.setBaseImage(np.ascontiguousarray(frame[..., ::-1]))
    switch = {
        "single": theirs.switchToSingleStrategy,
        "fast": theirs.switchToSelectiveSearchFast,
        "quality": theirs.switchToSelectiveSearchQuality,
    }
    switch[mode]()
    return theirs.process()


def _start_ms() -> float:
    code = (
        "import time, numpy; from model.selective_search import search; "
        "search(numpy.zeros((320, 320, 3), numpy.uint8), 'fast'); print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return 1e3 * float(done.stdout)


if __name__ == "__main__":
    main()
