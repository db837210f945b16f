"""Two systems on the same clips: how far one leads the other, and whether that may be chance.

Conventions: scores are paired, clip by clip, and a system may have been trained several times (seeds), each giving
(n,) scores of the same n clips. A difference is B - A. What is resampled is what would be drawn anew in another
experiment: groups of clips (a photograph, a source video), the same ones for A and B, and the seeds of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from model.localization import Interval

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


def paired_difference(
    a: Values, b: Values, groups: Sequence[str], n_resamples: int, rng: np.random.Generator
) -> list[Interval]:
    """The mean of each column of B less that of A, with percentile intervals of a paired bootstrap.

    a, b:   (seeds, n, k), the same n clips; the numbers of seeds may differ.
    groups: of the clips; those of one group are drawn together.
    Of m seeds m - 1 are drawn: m would make the variance of their mean too small by (m - 1) / m (Rao and Wu 1988),
    which is a third at three seeds. A single seed cannot be drawn anew, so that its luck is not in the interval.
    Exchanging A and B exchanges the signs exactly: each draw of seeds is used once for either.
    """
    of_a, of_b = _group_sums(a, groups), _group_sums(b, groups)
    sizes = np.unique(np.asarray(groups), return_counts=True)[1]
    n = len(sizes)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)  # (resamples, groups)
    clips = (drawn @ sizes)[:, None, None]
    means_a, means_b = ((drawn @ sums).transpose(1, 0, 2) / clips for sums in (of_a, of_b))  # (resamples, seeds, k)
    luck = rng.random((2, n_resamples, max(len(a), len(b))))
    resampled = [
        _mean_of_seeds(means_b, luck[i]) - _mean_of_seeds(means_a, luck[1 - i])  # (resamples, k)
        for i in (0, 1)
    ]
    low, high = np.percentile(np.concatenate(resampled), [2.5, 97.5], axis=0)
    means = b.mean(axis=(0, 1)) - a.mean(axis=(0, 1))
    return [Interval(*map(float, row)) for row in zip(means, low, high, strict=True)]


def _group_sums(values: Values, groups: Sequence[str]) -> Values:
    """(seeds, groups, k): the sum of each group's clips, groups in the order of their names."""
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), len(values), values.shape[2]))
    np.add.at(sums, group, values.transpose(1, 0, 2))
    return sums.transpose(1, 0, 2)


def _mean_of_seeds(means: Values, luck: Values) -> Values:
    """(resamples, k): for each resample the mean of the seeds that `luck` (resamples, >= seeds) in [0, 1) draws."""
    n_seeds = means.shape[1]
    if n_seeds == 1:
        return means[:, 0]
    drawn = (luck[:, : n_seeds - 1] * n_seeds).astype(int)  # (resamples, seeds - 1)
    return np.take_along_axis(means, drawn[:, :, None], axis=1).mean(axis=1)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two checkpoints on the same clips."""

    only_a: int  # clips on which A alone succeeds
    only_b: int
    p: float  # two-sided; 1 where they succeed on the same clips


def mcnemar(a: Flags, b: Flags) -> McNemar:
    """Whether one succeeds more often than the other, from (n,) successes of each (McNemar 1947).

    Clips on which both do the same say nothing; were there no difference, the rest would fall like coins.
    Takes clips as independent: clips of one group make its p too small.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = float(binomtest(only_b, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p)
