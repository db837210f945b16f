"""Two sides of a comparison, paired clip by clip: what each reached, and how far B leads A.

The difference B - A comes with a paired bootstrap interval over groups of clips, and over the training seeds of a side
that has several (model/comparison.py).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.comparison import mcnemar, paired_difference
from model.localization import per_clip
from pipeline.commands.revisions import Scored, Side
from pipeline.foundation.errors import UserError
from pipeline.foundation.randomness import generator

MEASURES = {"success_rate": "success rate", "auc": "AUC", "mean_ciou": "mean cIoU"}  # in the order of `per_clip`
RESAMPLES = 2000
MOVED = 5  # clips to name, either way
SAME = 1e-6  # files hold ten digits
Figures = dict[str, Any]


def compare(a: Side, b: Side) -> Figures:
    """All that is printed, as plain values: scores and their differences are fractions of 1, p is a probability.

    Raises UserError where the two were not evaluated on the same split, or share no protocol or no clip.
    """
    split_a, split_b = ({run.figures["split"] for run in side.runs} for side in (a, b))
    if split_a != split_b:
        words = " and ".join(", ".join(sorted(split)) for split in (split_a, split_b))
        raise UserError(f"{_name(a)}, {_name(b)}: evaluated on {words}; name two of one split")
    protocols = [protocol for protocol in a.protocols if protocol in b.protocols]
    if not protocols:
        scored = " and ".join(", ".join(side.protocols) or "none" for side in (a, b))
        raise UserError(f"{_name(a)}, {_name(b)}: no protocol in common ({scored}); evaluate both under one")
    pairs = {protocol: _paired(a, b, protocol) for protocol in protocols}
    empty = [protocol for protocol in protocols if not pairs[protocol].clip_ids]
    if empty:
        left = pairs[empty[0]]
        raise UserError(
            f"{_name(a)}, {_name(b)}: no clip in common under {empty[0]} ({left.n_only_a} only in the first, "
            f"{left.n_only_b} only in the second, {left.n_unlike} of another truth); name two of one data set"
        )
    first = pairs[protocols[0]]
    figures = {
        "a": _told(a),
        "b": _told(b),
        "split": min(split_a),
        "protocols": {protocol: _figures(found) for protocol, found in pairs.items()},
        "params": _differing(a.params, b.params),
        "moved": _moved(first),
    }
    return figures | {"verdict": _verdict(figures["protocols"][protocols[0]])}


def _name(side: Side) -> str:
    return side.files.place(side.folder)


def _told(side: Side) -> Figures:
    ran = side.runs[0].figures
    return {
        "revision": side.files.name,
        "commit": side.files.commit,
        "folder": side.folder,
        "system": ran["system"],
        "seeds": side.seeds,
        "device": ran["device"],
        "precision": ran["precision"],
    }


@dataclass(frozen=True)
class Paired:
    """The scores that both sides have under a protocol."""

    clip_ids: list[str]
    groups: list[str]
    labels: list[str]
    a: NDArray[np.float64]  # (seeds, n) cIoU
    b: NDArray[np.float64]
    seeds_a: list[int]
    seeds_b: list[int]
    n_only_a: int
    n_only_b: int
    n_unlike: int  # left out, for their truth or the protocol is another


def _paired(a: Side, b: Side, protocol: str) -> Paired:
    """Pair what every run of both sides has."""
    runs_a, runs_b = ([run.scores[protocol] for run in side.runs] for side in (a, b))
    in_a, in_b = (set[str].intersection(*map(set, runs)) for runs in (runs_a, runs_b))
    common = sorted(in_a & in_b)
    clip_ids = [clip_id for clip_id in common if _measured_alike([run[clip_id] for run in runs_a + runs_b])]
    last = [runs_b[-1][clip_id] for clip_id in clip_ids]

    def ciou(runs: list[dict[str, Scored]]) -> NDArray[np.float64]:
        return np.array([[run[clip_id].ciou for clip_id in clip_ids] for run in runs])

    return Paired(
        clip_ids,
        [score.group for score in last],
        [score.label for score in last],
        ciou(runs_a),
        ciou(runs_b),
        a.seeds,
        b.seeds,
        len(in_a - in_b),
        len(in_b - in_a),
        len(common) - len(clip_ids),
    )


def _measured_alike(scores: list[Scored]) -> bool:
    """Whether a clip's truth and the protocol were the same: baselines that see neither frame nor sound agree."""
    first, *others = (score.yardsticks for score in scores)
    return all(abs(first[name] - other[name]) < SAME for other in others for name in first.keys() & other.keys())


def _figures(paired: Paired) -> Figures:
    """What one protocol says."""
    values_a, values_b = (np.stack([per_clip(ciou) for ciou in side]) for side in (paired.a, paired.b))
    found = paired_difference(values_a, values_b, paired.groups, RESAMPLES, generator(0, "bootstrap"))
    figures: Figures = {
        "n_paired": len(paired.clip_ids),
        "n_groups": len(set(paired.groups)),
        "n_only_a": paired.n_only_a,
        "n_only_b": paired.n_only_b,
        "n_unlike": paired.n_unlike,
    }
    for i, (name, interval) in enumerate(zip(MEASURES, found, strict=True)):
        numbers = {
            "a": values_a[..., i].mean(),
            "b": values_b[..., i].mean(),
            "difference": interval.mean,
            "low": interval.low,
            "high": interval.high,
        }
        figures[name] = {key: round(float(number), 6) for key, number in numbers.items()}
    success_a, success_b = values_a[..., 0] > 0, values_b[..., 0] > 0
    tests = []
    for i, j in _test_pairs(paired.seeds_a, paired.seeds_b):
        test = mcnemar(success_a[i], success_b[j])
        seeds = {"seed_a": paired.seeds_a[i], "seed_b": paired.seeds_b[j]}
        tests.append({**seeds, "only_a": test.only_a, "only_b": test.only_b, "p": float(f"{test.p:.6g}")})
    return figures | {"mcnemar": tests}


def _test_pairs(seeds_a: list[int], seeds_b: list[int]) -> list[tuple[int, int]]:
    """Which runs McNemar's test, which is of two checkpoints, is done on: the only ones, or those of equal seeds."""
    if len(seeds_a) == len(seeds_b) == 1:
        return [(0, 0)]
    return [(i, seeds_b.index(seed)) for i, seed in enumerate(seeds_a) if seed in seeds_b]


def _differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Figures]:
    """Parameters that differ, with the value of each side; a side that lacks one has no value there."""
    sides = {"a": a, "b": b}
    return {
        key: {side: values[key] for side, values in sides.items() if key in values}
        for key in [*a, *(key for key in b if key not in a)]
        if key not in a or key not in b or a[key] != b[key]
    }


def _moved(paired: Paired) -> list[Figures]:
    """The clips whose cIoU, mean of the seeds, rose most, then those whose fell most; only such as did at all."""
    before, after = paired.a.mean(axis=0), paired.b.mean(axis=0)
    order = np.argsort(before - after, kind="stable")
    risen = [i for i in order[:MOVED] if after[i] - before[i] > SAME]
    fallen = [i for i in order[::-1][:MOVED] if before[i] - after[i] > SAME]
    return [
        {
            "clip_id": paired.clip_ids[i],
            "label": paired.labels[i],
            "a": round(float(before[i]), 6),
            "b": round(float(after[i]), 6),
        }
        for i in risen + fallen
    ]


def _verdict(figures: Figures) -> str:
    rate = figures["success_rate"]
    if figures["n_groups"] > 1:  # one group alone has an interval of no width
        if rate["low"] > 0:
            return "better"
        if rate["high"] < 0:
            return "worse"
    return "undecided"
