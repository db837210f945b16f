"""The map of a frame on the grid, from boxes in closed form and batched, against the authors' loop: K = 50 boxes summed
at 320 x 320, then cv2.resize to 20 x 20. The same boxes, one batch after the other, one core.

    python -m benchmarks.grid                       # --frames /path/to/photographs, --clips, --batch, --rounds

Prints a table and writes benchmarks/results/grid.json.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import plain
from benchmarks.clips import photographs, scene, square
from benchmarks.results import Row, parser, told
from benchmarks.usage import timed
from model.bottom_up import grid_maps, region_weights
from model.regions import Boxes, first
from model.selective_search import search
from pipeline.foundation.randomness import generator

SIDE = 320


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--frames", type=Path, help="a folder of photographs; without it, scenes of a world")
    arguments.add_argument("--clips", type=int, default=1024, help="how many maps")
    arguments.add_argument("--batch", type=int, default=256, help="maps made at a time: the clips of a shard")
    arguments.add_argument("--rounds", type=int, default=5, help="how often each batch is made")
    chosen = arguments.parse_args()
    cv2.setNumThreads(1)
    row = measured(_boxes(chosen.frames, chosen.clips), chosen.batch, chosen.rounds)
    print(told("grid", [row], chosen.results))


def measured(boxes: list[Boxes], batch: int, rounds: int) -> Row:
    """CPU time of a map on both sides, and how far the maps differ."""
    weights = region_weights(plain.K, plain.K, "uniform")

    def ours(batch: list[Boxes]) -> NDArray[np.float32]:
        return grid_maps(batch, [weights[: len(of_clip)] for of_clip in batch], SIDE, "bilinear")

    def theirs(batch: list[Boxes]) -> NDArray[np.float32]:
        return np.stack([plain.map_of(of_clip) for of_clip in batch])

    ours(boxes[:2])  # makes the table of this size
    spent: list[tuple[float, float]] = []
    difference = 0.0
    for _ in range(rounds):
        for start in range(0, len(boxes), batch):
            of_batch = boxes[start : start + batch]
            found, ours_s = timed(lambda of_batch=of_batch: ours(of_batch))
            expected, theirs_s = timed(lambda of_batch=of_batch: theirs(of_batch))
            spent.append((ours_s / len(of_batch), theirs_s / len(of_batch)))
            difference = max(difference, float(np.abs(found - expected).max()))
    ours_s, theirs_s = np.median(spent, axis=0)
    return {
        "maps": len(boxes),
        "K": plain.K,
        "batch": batch,
        "ours CPU us": 1e6 * float(ours_s),
        "authors' loop CPU us": 1e6 * float(theirs_s),
        "ratio": float(np.median([theirs_s / ours_s for ours_s, theirs_s in spent])),
        "largest difference": difference,
    }


def _boxes(folder: Path | None, n: int) -> list[Boxes]:
    """The first K of a search, for n clips; a frame serves several clips, each in its own random order."""
    frames = photographs(folder, 64) if folder else [scene(str(i)) for i in range(min(n, 64))]
    found = [search(square(frame, SIDE), "fast") for frame in frames]
    return [first(found[i % len(found)], plain.K, "opencv", generator(0, "grid", i)) for i in range(n)]


if __name__ == "__main__":
    main()
