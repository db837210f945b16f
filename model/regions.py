"""Regions of a frame as a search finds them, and which K of them come first (Sec. 3.1).

A search finds the same box many times over, at several levels of several groupings. Which boxes come first is a matter
of their ranks; a box has that of its best region. All orders are made from one search.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.int16]
Order = Literal["opencv", "hierarchy", "area", "expected"]
UNKNOWN = -1  # level of a region of which only its place in OpenCV's own order is known
STEPS = 60  # of a bisection: beyond what a double can tell apart


@dataclass(frozen=True)
class Regions:
    """All regions of all groupings, each grouping's in the order in which they were made; duplicates are kept.

    box: (r, 4) int16 x, y, w, h in pixels, covering [x, x + w) x [y, y + h). level: (r,) int16, 1 for a first segment
    and one more than the higher of its parts for a joined one, or UNKNOWN for all. grouping: (r,) int16, not
    decreasing. score: (r,) float32 in [0, 1], of what is no search.
    """

    box: Boxes
    level: NDArray[np.int16]
    grouping: NDArray[np.int16]
    score: NDArray[np.float32] | None = None


def first(regions: Regions, k: int, order: Literal["opencv", "hierarchy", "area"], rng: np.random.Generator) -> Boxes:
    """The K boxes that come first, each once; fewer where there are fewer.

    opencv:    OpenCV's: level times a uniform random number, small first; of OpenCV's own search, as it gave them.
    hierarchy: as Uijlings et al. 2013 mean it (Sec. 4): place from the top of its grouping, 1 for the last region made,
               times a uniform random number, small first.
    area:      large first, each area times a uniform random number.
    """
    if order == "area":
        box = regions.box[_firsts(regions.box)]
        area = box[:, 2].astype(np.float64) * box[:, 3]
        return box[np.argsort(-area * rng.random(len(box)), kind="stable")[:k]]
    if order == "hierarchy":
        ranks = _from_the_top(regions.grouping) * rng.random(len(regions.level))
    elif (regions.level == UNKNOWN).any():
        ranks = np.arange(len(regions.level), dtype=np.float64)
    else:
        ranks = regions.level * rng.random(len(regions.level))
    box = regions.box[np.argsort(ranks, kind="stable")]
    return box[_firsts(box)[:k]]


def surer(box: Boxes, score: NDArray[np.float32], tau: float) -> tuple[Boxes, NDArray[np.float32]]:
    """The boxes whose score is above tau, and their scores (Sec. 3.1): how many they are is for tau to say."""
    kept = score > np.float32(tau)
    return box[kept], score[kept]


def inclusion(regions: Regions, k: int) -> tuple[Boxes, NDArray[np.float64]]:
    """Every box once, and how likely it is among the first K in `opencv` order: what all seeds together would say.

    A region of level l ranks at l times a uniform number, so below tau with probability min(1, tau / l); a box does
    where any of its regions does. tau is where K boxes are expected.
    """
    codes = _codes(regions.box)
    _, kept, box_of = np.unique(codes, return_index=True, return_inverse=True)
    boxes = regions.box[kept]
    if len(boxes) <= k:
        return boxes, np.ones(len(boxes))
    low, high = 0.0, float(regions.level.max())
    for _ in range(STEPS):
        tau = (low + high) / 2
        likely = _below(tau, regions.level, box_of)
        low, high = (tau, high) if likely.sum() < k else (low, tau)
    return boxes, _below(high, regions.level, box_of)


def _below(tau: float, level: NDArray[np.int16], box_of: NDArray[np.intp]) -> NDArray[np.float64]:
    missed = np.log(np.maximum(1 - np.minimum(1, tau / level), 1e-300))
    return -np.expm1(np.bincount(box_of, weights=missed))


def _codes(box: Boxes) -> NDArray[np.int64]:
    """One number per box."""
    x, y, w, h = box.astype(np.int64).T
    return ((x << 16 | y) << 16 | w) << 16 | h


def _firsts(box: Boxes) -> NDArray[np.intp]:
    """Where each box stands for the first time, in order."""
    return np.sort(np.unique(_codes(box), return_index=True)[1])


def _from_the_top(grouping: NDArray[np.int16]) -> NDArray[np.intp]:
    """The place of each region counted from the end of its grouping, from 1."""
    ends = np.searchsorted(grouping, grouping, side="right")
    return ends - np.arange(len(grouping))
