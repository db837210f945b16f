"""What maps are worth: scored clip by clip against boxes and beside baselines, then summed up with intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import localization as loc
from pipeline.foundation.manifest import Box
from pipeline.foundation.randomness import generator

CHUNK = 32  # clips at a time: masks and truth of 224 x 224 take a megabyte a clip; the scores do not depend on it
Map = NDArray[np.float32]
Values = NDArray[np.float64]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Scores:
    """What came out, clip by clip.

    ciou:  protocol -> who ("method", "wrong_sound", a baseline) -> (n,), NaN where a clip has no box.
    moved: protocol -> (n,) share of the mask that the wrong sound moves, NaN where that means nothing.
    area:  (n,) share of the frame that the truth covers, NaN without boxes.
    """

    ciou: dict[str, dict[str, Values]]
    moved: dict[str, Values]
    area: Values

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(n,) which clips have a box round what sounds."""
        return ~np.isnan(self.area)

    @property
    def baselines(self) -> list[str]:
        """Who hears nothing and is scored all the same."""
        first = next(iter(self.ciou.values()))
        return [who for who in first if who not in ("method", "wrong_sound")]


def score_maps(
    protocols: Sequence[str], right: Map, wrong: Map, bottom_up: Map, boxes: Sequence[list[Box]], prior: Map | None
) -> Scores:
    """Score raw maps under every protocol.

    right, wrong: (n, h, w) the system's maps with the clips' own and with wrong sounds. bottom_up: (n, h', w').
    boxes:        of each clip. prior: the mean truth of the training clips, where there is one.
    """
    n = len(boxes)
    who = ["method", "wrong_sound", "centre", "full", "bottom_up", *(["prior"] if prior is not None else []), "oracle"]
    ciou: dict[str, dict[str, Values]] = {p: {name: np.full(n, np.nan) for name in who} for p in protocols}
    moved: dict[str, Values] = {protocol: np.full(n, np.nan) for protocol in protocols}
    area = np.full(n, np.nan)
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        truths = [truth_of(of_clip) for of_clip in boxes[start : start + CHUNK]]
        truth = np.stack([np.zeros((loc.SIZE, loc.SIZE), np.float32) if t is None else t for t in truths])
        known = np.array([t is not None for t in truths])
        area[rows[known]] = truth[known].mean(axis=(1, 2))
        maps = {
            "method": loc.upsampled(right[rows]),
            "wrong_sound": loc.upsampled(wrong[rows]),
            "centre": np.broadcast_to(loc.centre_map(), truth.shape),
            "bottom_up": loc.upsampled(bottom_up[rows]),
            "oracle": loc.oracle_map(truth),
        }
        if prior is not None:
            maps["prior"] = np.broadcast_to(prior, truth.shape)
        for protocol in protocols:
            masks = {name: loc.PROTOCOLS[protocol](heat, truth) for name, heat in maps.items()}
            masks["full"] = np.ones_like(masks["method"])  # by definition, whatever a protocol makes of a constant map
            for name in who:
                ciou[protocol][name][rows[known]] = loc.ciou(masks[name], truth)[known]
            means_something = known if protocol in loc.SEES_TRUTH else np.ones_like(known)
            share = loc.moved(masks["method"], masks["wrong_sound"])
            moved[protocol][rows[means_something]] = share[means_something]
    return Scores(ciou, moved, area)


def truth_of(boxes: Iterable[Box]) -> Map | None:
    """The consensus map of what sounds in a clip; None where nothing that sounds is boxed."""
    annotators: dict[str, list[tuple[float, float, float, float]]] = {}
    for box in boxes:
        if box.sounding:
            annotators.setdefault(box.annotator, []).append((box.x0, box.y0, box.x1, box.y1))
    return loc.consensus_map(list(annotators.values())) if annotators else None


def mean_truth(boxes: Iterable[list[Box]]) -> Map | None:
    """The mean truth of some clips, as a map; None where nothing that sounds is boxed."""
    total, n = np.zeros((loc.SIZE, loc.SIZE)), 0
    for of_clip in boxes:
        truth = truth_of(of_clip)
        if truth is not None:
            total, n = total + truth, n + 1
    return (total / n).astype(np.float32) if n else None


def figures(scores: Scores, groups: Sequence[str], hard: NDArray[np.bool_], n_resamples: int) -> Figures:
    """What eval.json says of the scores: fractions of 1, null where nothing is annotated."""
    everyone = _Part(scores, np.ones_like(hard), groups, n_resamples)
    on_hard = _Part(scores, hard, groups, n_resamples)
    return {
        "method": everyone.of("method"),
        "hard": {"n": on_hard.n, **on_hard.of("method")},
        "wrong_sound": everyone.under_wrong_sound(),
        "hard_wrong_sound": {"n": on_hard.n, **on_hard.under_wrong_sound()},
        "baselines": {name: everyone.of(name, led_by="method") for name in scores.baselines},
    }


class _Part:
    """Figures over a part of the clips."""

    def __init__(self, scores: Scores, part: NDArray[np.bool_], groups: Sequence[str], n_resamples: int) -> None:
        self._scores, self._part, self._n_resamples = scores, part, n_resamples
        self._scored = part & scores.annotated
        self._groups = np.asarray(groups)[self._scored].tolist()
        self.n = int(self._scored.sum())

    def of(self, who: str, led_by: str | None = None) -> Figures:
        """Success rate, AUC and mean cIoU under every protocol; with the lead that another has over it."""
        return {protocol: self._figures(ciou, who, led_by) for protocol, ciou in self._scores.ciou.items()}

    def under_wrong_sound(self) -> Figures:
        """What a wrong sound leaves, how far the right one leads, and how much of the mask it moves."""
        found = self.of("wrong_sound", led_by="method")
        for protocol, of_protocol in found.items():
            shares = self._scores.moved[protocol][self._part]
            shares = shares[~np.isnan(shares)]
            of_protocol["moved"] = round(float(shares.mean()), 6) if len(shares) else None
        return found

    def _figures(self, ciou: dict[str, Values], who: str, led_by: str | None) -> Figures:
        names = ["success_rate", "success_rate_low", "success_rate_high", "auc", "auc_low", "auc_high", "mean_ciou"]
        names += ["lead", "lead_low", "lead_high"] if led_by else []
        if not self.n:
            return dict.fromkeys(names)
        values = loc.per_clip(ciou[who][self._scored])
        if led_by:
            leader = loc.per_clip(ciou[led_by][self._scored])
            values = np.column_stack([values, leader[:, 0] - values[:, 0]])
        # The same resamples for all: what differs is the clips' scores, not the luck of the draw.
        rate, auc, mean, *lead = loc.intervals(values, self._groups, self._n_resamples, generator(0, "bootstrap"))
        numbers = [rate.mean, rate.low, rate.high, auc.mean, auc.low, auc.high, mean.mean]
        for interval in lead:
            numbers += [interval.mean, interval.low, interval.high]
        return dict(zip(names, (round(number, 6) for number in numbers), strict=True))
