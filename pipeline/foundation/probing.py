"""What is lit under sounds that the frame does not make: silence, noise, another clip's (model/probes.py)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import probes
from model.localization import ciou
from model.protocols import adaptive_bound, upper_median
from model.upsampling import linear
from pipeline.foundation.heat import Shown
from pipeline.foundation.scores import CHUNK, Map, Values
from pipeline.foundation.truth import truth_of

SOUNDS = {"silence": "silence", "noise": "noise", "wrong_sound": "wrong"}
Figures = dict[str, Any]


def universal(val: Shown) -> dict[str, float]:
    """Thresholds for all clips: of the maxima of val's maps under all sounds that their frames do not make."""
    maps = [val.maps[sound] for sound in SOUNDS.values() if sound in val.maps]
    maxima = [probes.maxima(linear(m[i : i + CHUNK])) for m in maps for i in range(0, len(m), CHUNK)]
    return probes.universal_thresholds(np.concatenate(maxima))


def figures(shown: Shown, val: Shown | None, positive: NDArray[np.bool_]) -> Figures:
    """By sound and threshold: `lit`, `aoc`, and the `overlap` with the mask under the clip's own sound.

    Thresholds: .5; the clip's own (median, adaptive) from its own sound; the universal ones of val, null without val.
    `f` is at the third quartile, over the sounds that there are. Sounds that the front end cannot make are null.
    """
    fixed: dict[str, float] = {"half": 0.5, **(universal(val) if val is not None else {})}
    names = [*fixed, "own_median", "own_adaptive"]
    rows = np.flatnonzero(positive)
    boxes = shown.split.boxes_of()
    lit = {sound: {name: np.full(len(rows), np.nan) for name in names} for sound in SOUNDS}
    overlap = {sound: {name: np.full(len(rows), np.nan) for name in names} for sound in SOUNDS}
    found = np.full(len(rows), np.nan)
    for start in range(0, len(rows), CHUNK):
        here = slice(start, start + CHUNK)
        truths = [truth_of(boxes[shown.clips[row].clip_id]) for row in rows[here]]
        right = linear(shown.maps["right"][rows[here]])
        bounds = _bounds(fixed, right, truths)
        if "universal_q3" in fixed:
            found[here] = _located(right >= np.float32(fixed["universal_q3"]), truths)
        for sound, stored in SOUNDS.items():
            if stored in shown.maps:
                maps = linear(shown.maps[stored][rows[here]])
                for name, bound in bounds.items():
                    dark = np.isnan(bound).ravel()  # a clip that has no such threshold
                    masks = probes.lit(maps, bound)
                    lit[sound][name][here] = np.where(dark, np.nan, probes.share(masks))
                    both = probes.overlap(probes.lit(right, bound), masks)
                    overlap[sound][name][here] = np.where(dark, np.nan, both)
    made = [sound for sound, stored in SOUNDS.items() if stored in shown.maps]
    return {
        "n": len(rows),
        "thresholds": {name: round(value, 6) for name, value in fixed.items()},
        **{s: {n: _told(lit[s][n], overlap[s][n]) for n in names} if s in made else None for s in SOUNDS},
        "f": _f(found, [lit[sound]["universal_q3"] for sound in made]) if "universal_q3" in fixed else None,
    }


def _bounds(fixed: dict[str, float], right: Map, truths: Sequence[Map | None]) -> dict[str, Map]:
    """(B, 1, 1) each threshold of some clips; NaN where a clip has none."""
    bounds = {name: np.full((len(right), 1, 1), value, np.float32) for name, value in fixed.items()}
    known = np.array([truth is not None for truth in truths])
    own = np.full((len(right), 1, 1), np.nan, np.float32)
    if known.any():
        own[known] = adaptive_bound(right[known], np.stack([t for t in truths if t is not None]))
    return {**bounds, "own_median": upper_median(right), "own_adaptive": own}


def _located(masks: NDArray[np.bool_], truths: Sequence[Map | None]) -> Values:
    return np.array(
        [np.nan if t is None else ciou(mask[None], t[None])[0] for mask, t in zip(masks, truths, strict=True)]
    )


def _told(lit: Values, overlap: Values) -> Figures | None:
    lit, overlap = lit[~np.isnan(lit)], overlap[~np.isnan(overlap)]
    if not len(lit):
        return None
    figures = {"lit": lit.mean(), "aoc": probes.aoc(lit), "overlap": overlap.mean()}
    return {name: round(float(value), 6) for name, value in figures.items()}


def _f(found: Values, lit: Sequence[Values]) -> Figures | None:
    """`mean_ciou` under the clips' own sounds, `lit` the mean under the others, and the F score of the two."""
    found = found[~np.isnan(found)]
    if not len(found) or not lit:
        return None
    share = float(np.mean([values.mean() for values in lit]))
    score = probes.f_score(float(found.mean()), share)
    return {"mean_ciou": round(float(found.mean()), 6), "lit": round(share, 6), "f": round(score, 6)}
