"""Native selective search against OpenCV's: the same frames, one after the other, one core; and whether the boxes
agree.

    python -m benchmarks.search --frames /path/to/photographs      # any folder of images; without it, frames of a world

Prints a table and writes benchmarks/results/search.json.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.results import Row, told
from model.selective_search import Mode, search
from pipeline.foundation.randomness import generator
from pipeline.proposers.selective_search import keep_memory
from pipeline.worlds.scenes import draw_scene

SIDE = 320
COUNTS: dict[Mode, int] = {"single": 100, "fast": 784, "quality": 50}
Image = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, help="a folder of photographs")
    parser.add_argument("--most", type=int, default=784, help="how many frames at most in any mode")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    keep_memory()  # as the stage does; both sides gain
    frames = list(_photographs(chosen.frames) if chosen.frames else _of_a_world(chosen.most))
    rows = [_measured(mode, frames[: min(count, chosen.most)]) for mode, count in COUNTS.items()]
    rows.append(Row({"mode": "start: import, and the first frame from a warm cache", "native CPU ms": _start_ms()}))
    print(told("search", rows))


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


def _photographs(folder: Path) -> Iterator[Image]:
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path))
        if image is not None:
            yield _square(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _of_a_world(n: int) -> Iterator[Image]:
    for i in range(n):
        yield _square(draw_scene("bell", generator(0, "benchmark", str(i))).frame(0))


def _square(image: Image) -> Image:
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _start_ms() -> float:
    code = (
        "import time, numpy; from model.selective_search import search; "
        "search(numpy.zeros((320, 320, 3), numpy.uint8), 'fast'); print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return 1e3 * float(done.stdout)


if __name__ == "__main__":
    main()
