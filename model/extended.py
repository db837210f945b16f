"""Sets with negatives: clips in whose frame nothing makes the sound that is heard (Mo & Morgado, NeurIPS 2022: SLAVC).

A system must also say whether it found anything: its confidence. At a threshold theta a clip with confidence >= theta
is a true positive where it is well located (cIoU >= .5), a false positive where it is not or where it is negative;
below theta a positive clip is a false negative. A wrong place is no false negative. Precision and recall are 1 where
they divide by 0. `at_steps` has the definition's thresholds, `exact` all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.upsampling import Maps, cubic_corners

TOP = 4  # confidence is the mean of the largest N / 4 values
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Detection:
    """Average precision and the largest F1 over thresholds of confidence; fractions of 1."""

    average_precision: float
    max_f1: float


def confidence(maps: Maps) -> Values:
    """(B,) the mean of the largest quarter of (x + 1) / 2, where x is a raw map (B, h, w) enlarged as SLAVC does."""
    flat = cubic_corners(maps).reshape(len(maps), -1)
    n_top = flat.shape[1] // TOP
    top = np.partition(flat, flat.shape[1] - n_top, axis=1)[:, -n_top:]
    return (top.mean(axis=1, dtype=np.float64) + 1) / 2


def precision_recall(sure: Values, located: Flags, negative: Flags, thresholds: Values) -> tuple[Values, Values]:
    """(k,) precision and (k,) recall at k thresholds. sure: (n,) confidence; located: (n,) cIoU >= .5."""
    positive = ~negative
    true = _at_least(sure[positive & located], thresholds)
    told = _at_least(sure, thresholds)
    missed = positive.sum() - _at_least(sure[positive], thresholds)
    precision = np.divide(true, told, out=np.ones(len(thresholds)), where=told > 0)
    wanted = true + missed
    return precision, np.divide(true, wanted, out=np.ones(len(thresholds)), where=wanted > 0)


def _at_least(values: Values, thresholds: Values) -> Values:
    """(k,) how many values reach each threshold."""
    return (len(values) - np.searchsorted(np.sort(values), thresholds, side="left")).astype(np.float64)


def at_steps(sure: Values, located: Flags, negative: Flags) -> Detection:
    """AP and max-F1 at the thresholds of SLAVC's EvaluatorFull.

    AP: confidences but the largest, from the top in steps of max(1, n // 200), precision made monotone; the step from
    recall 0 to the first threshold's is left out. F1: every max(1, n // 10)-th confidence, from the lowest.
    """
    ascending = np.sort(sure)
    n = len(sure)
    precision, recall = precision_recall(sure, located, negative, ascending[:-1][:: -max(1, n // 200)])
    envelope = _envelope(precision)
    area = float((envelope[:-1] * np.diff(recall)).sum())
    return Detection(area, _max_f1(*precision_recall(sure, located, negative, ascending[:: max(1, n // 10)])))


def exact(sure: Values, located: Flags, negative: Flags) -> Detection:
    """AP and max-F1 over every threshold at which anything changes, from recall 0 on."""
    precision, recall = precision_recall(sure, located, negative, np.unique(sure)[::-1])
    steps = np.diff(recall, prepend=0.0)
    return Detection(float((_envelope(precision) * steps).sum()), _max_f1(precision, recall))


def _envelope(precision: Values) -> Values:
    """The largest precision at this or any lower threshold."""
    return np.maximum.accumulate(precision[::-1])[::-1]


def _max_f1(precision: Values, recall: Values) -> float:
    total = precision + recall
    return float(np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0).max(initial=0.0))
