"""What eval.json and parts.csv say: scores of clips summed up, with 95 % intervals over groups.

All numbers are fractions of 1, or null where nothing is annotated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import extended
from model import localization as loc
from model.truth import size_class
from pipeline.foundation.randomness import generator
from pipeline.foundation.scores import HEARING, Scores, Values

Figures = dict[str, Any]
Flags = NDArray[np.bool_]
RATES = ("success_rate", "auc", "mean_ciou")
LEVELS = tuple(f"iou_{round(100 * level)}" for level in loc.IOU_LEVELS)
PART_COLUMNS = ("part", "value", "protocol", "n", "k", *(f"{r}{end}" for r in RATES for end in ("", "_low", "_high")))


@dataclass(frozen=True)
class Known:
    """What is known of the clips besides their maps, all in the clips' order.

    picture: a name shared by clips that show the same frame. negative: what is heard is not in sight.
    """

    groups: Sequence[str]
    labels: Sequence[str]
    hard: Flags
    negative: Flags
    pictures: Sequence[str]


def figures(scores: Scores, known: Known, n_resamples: int) -> Figures:
    """All that eval.json says of the scores."""
    everyone = _Part(scores, np.ones_like(known.hard), known, n_resamples)
    on_hard = _Part(scores, known.hard, known, n_resamples)
    found: Figures = {
        "method": everyone.of("method"),
        "hard": {"n": on_hard.n, **on_hard.of("method")},
        "wrong_sound": everyone.under_wrong_sound(),
        "hard_wrong_sound": {"n": on_hard.n, **on_hard.under_wrong_sound()},
        "baselines": {name: everyone.of(name, led_by="method") for name in scores.baselines},
        "mask_area": {who: _areas(scores, who, ~known.negative) for who in HEARING},
    }
    if scores.masked.any():
        found["masks"] = _against_masks(scores, known, n_resamples)
    if known.negative.any():
        found["extended"] = _extended(scores, known.negative)
    if interactive := _interactive(scores, known, n_resamples):
        found["interactive"] = interactive
    return found


class _Part:
    """Figures over a part of the clips; the same resamples for all: what differs is not the luck of the draw."""

    def __init__(self, scores: Scores, part: Flags, known: Known, n_resamples: int) -> None:
        self._scores, self._part = scores, part & ~known.negative
        self._scored = self._part & scores.annotated
        self._protocols = [p for p, ciou in scores.ciou.items() if not np.isnan(ciou["method"][self._scored]).any()]
        self.n = int(self._scored.sum())
        self._intervals: dict[tuple[str, str], list[loc.Interval]] = {}
        self._k: dict[tuple[str, str], int] = {}
        if self.n and self._protocols:
            self._sum_up(np.asarray(known.groups)[self._scored].tolist(), n_resamples)

    def _sum_up(self, groups: list[str], n_resamples: int) -> None:
        keys = [(protocol, who) for protocol in self._protocols for who in self._scores.ciou[protocol]]
        columns = []
        for protocol, who in keys:
            ciou = self._scores.ciou[protocol]
            values, best = loc.per_clip(ciou[who][self._scored]), loc.per_clip(ciou["method"][self._scored])
            columns += [values, best[:, :1] - values[:, :1]]
            self._k[protocol, who] = int(values[:, 0].sum())
        found = loc.intervals(np.column_stack(columns), groups, n_resamples, generator(0, "bootstrap"))
        for i, key in enumerate(keys):
            self._intervals[key] = found[4 * i : 4 * i + 4]

    def of(self, who: str, led_by: str | None = None) -> Figures:
        """Success rate, AUC and mean cIoU under every protocol; with the lead that the method has over it."""
        names = (*RATES, "lead") if led_by else RATES
        return {protocol: self._figures(protocol, who, names) for protocol in self._scores.ciou}

    def _figures(self, protocol: str, who: str, names: Sequence[str]) -> Figures:
        if (protocol, who) not in self._intervals:
            return dict.fromkeys(["n", "k", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))])
        return {"n": self.n, "k": self._k[protocol, who], **_told(names, self._intervals[protocol, who])}

    def under_wrong_sound(self) -> Figures:
        """What a wrong sound leaves, how far the right one leads, and how much of the mask it moves."""
        found = self.of("wrong_sound", led_by="method")
        for protocol, of_protocol in found.items():
            of_protocol["moved"] = _mean(self._scores.moved[protocol][self._part])
        return found


def _told(names: Sequence[str], intervals: Sequence[loc.Interval]) -> Figures:
    told: Figures = {}
    for name, found in zip(names, intervals, strict=False):  # the lead, where it is asked for, stands last
        told |= {name: round(found.mean, 6), f"{name}_low": round(found.low, 6), f"{name}_high": round(found.high, 6)}
    return told


def _mean(values: Values) -> float | None:
    values = values[~np.isnan(values)]
    return round(float(values.mean()), 6) if len(values) else None


def _areas(scores: Scores, who: str, part: Flags) -> Figures:
    """By protocol: the mean share of the frame that the masks take, and the shares of masks that are empty and full."""
    found = {}
    for protocol, area in scores.area.items():
        of_part = area[who][part & ~np.isnan(area[who])]
        found[protocol] = {"mean": _mean(of_part), "empty": _mean(of_part == 0), "full": _mean(of_part == 1)}
    return found


def _against_masks(scores: Scores, known: Known, n_resamples: int) -> Figures:
    """IoU with the clips' masks: the share of at least .2, .3 and .5, and the mean."""
    part = scores.masked & ~known.negative
    groups = np.asarray(known.groups)[part].tolist()
    found: Figures = {"n": int(part.sum())}
    for who in (*HEARING, *scores.baselines):
        found[who] = {}
        for protocol, iou in scores.iou.items():
            values = iou[who][part]
            if not len(values) or np.isnan(values).any():
                found[who][protocol] = None
                continue
            columns = np.column_stack([loc.reached(values), values])
            intervals = loc.intervals(columns, groups, n_resamples, generator(0, "bootstrap"))
            found[who][protocol] = _told((*LEVELS, "mean_iou"), intervals)
    return found


def _extended(scores: Scores, negative: Flags) -> Figures:
    """The extended sets' figures: positives with boxes and all negatives."""
    part = scores.annotated | negative
    sure, absent = scores.confidence[part], negative[part]
    found: Figures = {"n_positive": int((~absent).sum()), "n_negative": int(absent.sum())}
    for protocol, ciou in scores.ciou.items():
        values = ciou["method"][part]
        located = ~absent & (np.nan_to_num(values) >= loc.SUCCESS - loc.SLACK)
        if np.isnan(values[~absent]).any():
            found[protocol] = None
            continue
        steps, exact = (of(sure, located, absent) for of in (extended.at_steps, extended.exact))
        found[protocol] = {
            "loc_acc": _mean(located[~absent].astype(np.float64)),
            "ap": round(steps.average_precision, 6),
            "max_f1": round(steps.max_f1, 6),
            "ap_exact": round(exact.average_precision, 6),
            "max_f1_exact": round(exact.max_f1, 6),
        }
    return found


def _interactive(scores: Scores, known: Known, n_resamples: int) -> Figures | None:
    """IIoU, IAUC and mean of each picture's worst sound, where pictures have sounds of several labels; else None."""
    labels: dict[str, set[str]] = {}
    part = scores.annotated & ~known.negative
    for i in np.flatnonzero(part).tolist():
        labels.setdefault(known.pictures[i], set()).add(known.labels[i])
    part &= np.array([len(labels.get(picture, ())) > 1 for picture in known.pictures], bool)
    if not part.any():
        return None
    pictures = np.asarray(known.pictures)[part].tolist()
    group = dict(zip(known.pictures, known.groups, strict=True))
    found: Figures = {"n_pictures": len(set(pictures)), "n": len(pictures)}
    for protocol, ciou in scores.ciou.items():
        values = ciou["method"][part]
        if np.isnan(values).any():
            found[protocol] = None
            continue
        worst, names = loc.worst_of_each(values, pictures)
        groups = [group[name] for name in names]
        intervals = loc.intervals(loc.per_clip(worst), groups, n_resamples, generator(0, "bootstrap"))
        found[protocol] = _told(("iiou", "iauc", "mean_ciou"), intervals)
    return found


def parts(scores: Scores, known: Known, n_resamples: int) -> Iterator[tuple[object, ...]]:
    """The method's figures by label, by size of the thing and by hard or easy: rows of parts.csv."""
    sizes = ["" if np.isnan(area) else size_class(area) for area in scores.truth]
    hard = ["hard" if is_hard else "easy" for is_hard in known.hard]
    for part, values in (("hard", hard), ("size", sizes), ("label", known.labels)):
        for value in sorted({*values} - {""}):
            chosen = _Part(scores, np.array([v == value for v in values], bool), known, n_resamples)
            for protocol, of_protocol in chosen.of("method").items():
                if of_protocol["n"]:
                    yield part, value, protocol, *(of_protocol[column] for column in PART_COLUMNS[3:])
