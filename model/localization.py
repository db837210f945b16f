"""From a heat map to a mask, from a mask to a score: protocols, cIoU, success rate, AUC, intervals.

Conventions: heat maps are (B, h, w) and raw; masks, and truth g in [0, 1], are (B, S, S) at S = 224. A clip's cIoU is
Senocak et al.'s (CVPR 2018); `success_rate` is the share of clips with cIoU >= .5 (the field's "cIoU@0.5"); `auc` is
the area under the share of clips with cIoU >= theta over theta = 0, .05 ... 1. Both, and the mean cIoU, are means over
clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = 224
THRESHOLDS = np.arange(21) / 20
SUCCESS = 0.5
Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Scores = NDArray[np.float64]


def upsampled(maps: NDArray[np.floating], size: int = SIZE) -> Maps:
    """Bilinear resizing with half-pixel centres, as `cv2.INTER_LINEAR` enlarges. (B, h, w) -> (B, size, size)."""
    rows, columns = (_interpolation(n, size) for n in maps.shape[1:])
    return (rows @ maps.astype(np.float64) @ columns.T).astype(np.float32)


def _interpolation(n: int, size: int) -> NDArray[np.float64]:
    """(size, n): the weights of n values in each of `size` new ones."""
    position = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    left = np.minimum(position.astype(int), max(n - 2, 0))
    matrix = np.zeros((size, n))
    matrix[np.arange(size), left] = 1 - (position - left)
    matrix[np.arange(size), np.minimum(left + 1, n - 1)] += position - left
    return matrix


def constant(maps: Maps) -> NDArray[np.bool_]:
    """(B,) where a map says the same of every pixel: it points nowhere, so its mask is empty."""
    return ~(maps.max(axis=(1, 2)) > maps.min(axis=(1, 2)))  # so that a map of NaN points nowhere either


def adaptive(maps: Maps, truth: Maps) -> Masks:
    """As many pixels as the truth has, highest first, ties by row: exactly n."""
    flat = maps.reshape(len(maps), -1)
    n = (truth > 0).reshape(len(maps), -1).sum(axis=1)
    order = np.argsort(-flat, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(flat.shape[1]), order.shape), axis=1)
    return (rank < n[:, None]).reshape(maps.shape) & ~constant(maps)[:, None, None]


def lvs_top50(maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels strictly above the upper median: nearly half the frame (Chen et al. 2021, test.py)."""
    flat = maps.reshape(len(maps), -1)
    middle = flat.shape[1] // 2
    median = np.partition(flat, middle, axis=1)[:, middle]
    return (maps > median[:, None, None]) & ~constant(maps)[:, None, None]


def half_max(maps: Maps, truth: Maps | None = None) -> Masks:
    """Pixels of at least half, once the map is scaled to [0, 1]; never sees the truth."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low >= 0.5 * (high - low)) & (high > low)


PROTOCOLS: dict[str, Callable[[Maps, Maps], Masks]] = {
    "adaptive": adaptive,
    "lvs_top50": lvs_top50,
    "half_max": half_max,
}
SEES_TRUTH = frozenset({"adaptive"})  # these mean nothing where there is no truth


def box_mask(corners: Sequence[tuple[float, float, float, float]], size: int = SIZE) -> Masks:
    """(size, size) the union of boxes x0, y0, x1, y1 in fractions of the frame, each corner rounded to a pixel edge.

    A box thinner than a pixel keeps one.
    """
    mask = np.zeros((size, size), bool)
    for box in corners:
        x0, y0, x1, y1 = (int(np.floor(value * size + 0.5)) for value in box)
        x0, y0 = min(x0, size - 1), min(y0, size - 1)
        mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    return mask


def consensus_map(annotations: Sequence[Sequence[tuple[float, float, float, float]]], size: int = SIZE) -> Maps:
    """The truth g of a clip: one annotator's boxes as they are; of several, min(votes / 2, 1) (Senocak et al. 2018).

    annotations: for each annotator his boxes. Returns (size, size) float32 in [0, 1].
    """
    votes = sum(box_mask(boxes, size).astype(np.float32) for boxes in annotations)
    needed = 1 if len(annotations) == 1 else 2
    return np.minimum(votes / needed, 1, dtype=np.float32)


def ciou(masks: Masks, truth: Maps) -> Scores:
    """(B,) consensus IoU: sum of g in the mask over (sum of g + pixels of the mask where g is 0); 0 of nothing is 0."""
    found = np.where(masks, truth, 0).sum(axis=(1, 2), dtype=np.float64)
    spilt = (masks & (truth == 0)).sum(axis=(1, 2))
    union = truth.sum(axis=(1, 2), dtype=np.float64) + spilt
    return np.divide(found, union, out=np.zeros_like(found), where=union > 0)


def success_curve(scores: Scores) -> Scores:
    """(21,) the share of clips with cIoU >= theta."""
    return (scores[:, None] >= THRESHOLDS - 1e-12).mean(axis=0)


def per_clip(scores: Scores) -> Scores:
    """(n, 3) what each clip adds to the success rate, to the AUC (trapezoids), and to the mean cIoU."""
    reached = scores[:, None] >= THRESHOLDS - 1e-12  # 1e-12: a cIoU of .5 computed in floats is a .5
    area = (reached[:, :-1] + reached[:, 1:].astype(float)).mean(axis=1) / 2
    return np.stack([scores >= SUCCESS - 1e-12, area, scores], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Interval:
    """A mean over clips with its bootstrap 95 % interval."""

    mean: float
    low: float
    high: float


def intervals(values: Scores, groups: Sequence[str], n_resamples: int, rng: np.random.Generator) -> list[Interval]:
    """The mean of each column of (n, k) values, with percentile intervals over resampled groups.

    Clips of one group (a photograph, a source video) are drawn together: they are no independent evidence.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, group, values)
    sizes = np.bincount(group)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_resamples)  # (resamples, groups)
    means = drawn @ sums / (drawn @ sizes)[:, None]
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return [Interval(*map(float, row)) for row in zip(values.mean(axis=0), low, high, strict=True)]


def moved(masks: Masks, others: Masks) -> Scores:
    """(B,) the share of each mask's pixels that the other mask leaves; NaN where the mask is empty."""
    total = masks.sum(axis=(1, 2)).astype(np.float64)
    left = (masks & ~others).sum(axis=(1, 2))
    return np.divide(left, total, out=np.full_like(total, np.nan), where=total > 0)


def centre_map(size: int = SIZE) -> Maps:
    """A baseline: (size, size) falling from 1 in the middle to 0 in the corners; its masks are centred discs."""
    offset = (np.arange(size) + 0.5) / size - 0.5
    return (1 - np.hypot(offset[:, None], offset[None, :]) / np.hypot(0.5, 0.5)).astype(np.float32)


def oracle_map(truth: Maps) -> Maps:
    """The best that a protocol allows: all of the truth above all else, then by votes; equal ones by row, none tied."""
    size = truth.shape[-2] * truth.shape[-1]
    by_row = 1 - np.arange(size, dtype=np.float32).reshape(truth.shape[-2:]) / size
    return (truth > 0) + 0.1 * truth + 0.02 * by_row
