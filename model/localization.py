"""From masks to scores: cIoU, success rate, AUC, and how sure they are.

Conventions: masks and truth g in [0, 1] are (B, S, S). A clip's cIoU is Senocak et al.'s (CVPR 2018); `success_rate`
is the share of clips with cIoU >= .5 (the field's "cIoU@0.5"); `auc` is the area under the share of clips with cIoU >=
theta over theta = 0, .05 ... 1. Both, and the mean cIoU, are means over clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.upsampling import Maps

THRESHOLDS = np.arange(21) / 20
SUCCESS = 0.5
IOU_LEVELS = (0.2, 0.3, 0.5)  # at which success on masks is told (Sec. 4.4)
SLACK = 1e-12  # a cIoU of .5 computed in floats is a .5
Masks = NDArray[np.bool_]
Scores = NDArray[np.float64]


def ciou(masks: Masks, truth: Maps) -> Scores:
    """(B,) consensus IoU: sum of g in the mask over (sum of g + pixels of the mask where g is 0); 0 of nothing is 0."""
    found = np.where(masks, truth, 0).sum(axis=(1, 2), dtype=np.float64)
    spilt = (masks & (truth == 0)).sum(axis=(1, 2))
    union = truth.sum(axis=(1, 2), dtype=np.float64) + spilt
    return np.divide(found, union, out=np.zeros_like(found), where=union > 0)


def mask_iou(masks: Masks, truth: Maps) -> Scores:
    """(B,) plain IoU with masks g of 0 or 1; where g is empty, the share of the frame that is left out (AVSBench)."""
    empty = ~truth.any(axis=(1, 2))
    return np.where(empty, 1 - masks.mean(axis=(1, 2)), ciou(masks, truth))


def success_curve(scores: Scores) -> Scores:
    """(21,) the share of clips with cIoU >= theta."""
    return (scores[:, None] >= THRESHOLDS - SLACK).mean(axis=0)


def reached(scores: Scores, levels: Sequence[float] = IOU_LEVELS) -> Scores:
    """(n, k) 1 where a score is at least each level, else 0."""
    return (scores[:, None] >= np.asarray(levels) - SLACK).astype(np.float64)


def worst_of_each(scores: Scores, pictures: Sequence[str]) -> tuple[Scores, list[str]]:
    """The lowest score of each picture, and the pictures' names in order.

    The IIoU and IAUC of Senocak et al. (2024) are the success rate and the AUC of these: a picture is understood where
    it is with each of its sounds.
    """
    names, picture = np.unique(np.asarray(pictures), return_inverse=True)
    worst = np.full(len(names), np.inf)
    np.minimum.at(worst, picture, scores)
    return worst, names.tolist()


def per_clip(scores: Scores) -> Scores:
    """(n, 3) what each clip adds to the success rate, to the AUC (trapezoids), and to the mean cIoU."""
    steps = reached(scores, THRESHOLDS.tolist())
    area = (steps[:, :-1] + steps[:, 1:]).mean(axis=1) / 2
    return np.stack([scores >= SUCCESS - SLACK, area, scores], axis=1).astype(np.float64)


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
