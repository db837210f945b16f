"""What maps are worth, clip by clip: scored under every protocol, against boxes and masks, beside baselines."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model import localization as loc
from model.baselines import centre_map, oracle_map
from model.extended import confidence
from model.protocols import FITTED, FIXED_THRESHOLDS, PROTOCOLS, Protocol, fixed
from model.upsampling import SIZE, Upsampling
from pipeline.foundation.manifest import Box
from pipeline.foundation.truth import truth_of
from pipeline.foundation.voters import Voters

CHUNK = 32  # clips at a time: masks and truth of 224 x 224 take a megabyte a clip; the scores do not depend on it
HEARING = ("method", "wrong_sound")
VOTED = ("centre_voted", "bottom_up_voted", "other_boxes")  # what votes are worth to what hears nothing, or elsewhere
Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
Thresholds = dict[str, dict[str, float]]  # protocol of FITTED -> who -> threshold


@dataclass(frozen=True)
class Material:
    """What is scored of n clips.

    method, wrong_sound: (n, h, w) a system's maps with the clips' own and with wrong sounds. bottom_up: (n, h', w').
    boxes:   of each clip. mask_of: the mask of the clip at a place, uint8 (224, 224), or None where it has none.
    priors:  maps (h, w) that are the same for all clips, learned from the training clips: baselines by name.
    voters:  whose regions vote on the system's maps before they are scored; None: the maps are scored as they are.
    """

    method: Map
    wrong_sound: Map
    bottom_up: Map
    boxes: Sequence[list[Box]]
    priors: Mapping[str, Map] = field(default_factory=dict)
    mask_of: Callable[[int], NDArray[np.uint8] | None] = lambda place: None
    voters: Voters | None = None

    @property
    def who(self) -> list[str]:
        """All that is scored, in the order of the tables."""
        first = [*HEARING, "centre", "full", "bottom_up"]
        return [
            *first,
            *(name for name in ("prior",) if name in self.priors),
            "oracle",
            *sorted({*self.priors} - {"prior"}),
            *(VOTED if self.voters else ()),
        ]


@dataclass(frozen=True)
class Scores:
    """What came out, clip by clip.

    ciou:       protocol -> who ("method", "wrong_sound", a baseline) -> (n,), NaN where a clip has no box.
    iou:        likewise against masks, NaN where a clip has none.
    area:       likewise the share of the frame that the mask takes, NaN where the protocol needs a truth and has none.
    moved:      protocol -> (n,) share of the mask that the wrong sound moves, NaN where that means nothing.
    truth:      (n,) share of the frame that the truth covers, weighted by votes, NaN without boxes.
    confidence: (n,) of the method, as the extended sets take it.
    thresholds: of the fitted protocols.
    """

    ciou: dict[str, dict[str, Values]]
    iou: dict[str, dict[str, Values]]
    area: dict[str, dict[str, Values]]
    moved: dict[str, Values]
    truth: Values
    confidence: Values
    thresholds: Thresholds

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(n,) which clips have a box round what sounds."""
        return ~np.isnan(self.truth)

    @property
    def baselines(self) -> list[str]:
        """Who hears nothing and is scored all the same."""
        first = next(iter(self.ciou.values()))
        return [who for who in first if who not in HEARING]

    @property
    def masked(self) -> NDArray[np.bool_]:
        """(n,) which clips have a mask."""
        return np.any([~np.isnan(iou["method"]) for iou in self.iou.values()], axis=0)


def score(protocols: Sequence[str], material: Material, thresholds: Thresholds) -> Scores:
    """Score raw maps under every protocol; `thresholds` of those that are fitted, null figures where there is none."""
    n = len(material.boxes)

    def blank() -> dict[str, dict[str, Values]]:
        return {protocol: {who: np.full(n, np.nan) for who in material.who} for protocol in protocols}

    found = Scores(
        blank(),
        blank(),
        blank(),
        {p: np.full(n, np.nan) for p in protocols},
        np.full(n, np.nan),
        np.zeros(n),
        thresholds,
    )
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        found.confidence[rows] = confidence(material.method[rows])
        truth, known = _boxed(material, rows)
        found.truth[rows[known]] = truth[known].mean(axis=(1, 2), dtype=np.float64)
        _score_boxes(found, _Chunk(material, rows, truth), known)
        truth, known = _masked(material, rows)
        if known.any():
            _score_masks(found, _Chunk(material, rows[known], truth[known]))
    return found


def _boxed(material: Material, rows: NDArray[np.intp]) -> tuple[Map, Mask]:
    """The truths of some clips, 0 where there is none, and which have one."""
    truths = [truth_of(material.boxes[row]) for row in rows]
    return _stacked(truths)


def _masked(material: Material, rows: NDArray[np.intp]) -> tuple[Map, Mask]:
    masks = [material.mask_of(int(row)) for row in rows]
    return _stacked([None if mask is None else mask.astype(np.float32) for mask in masks])


def _stacked(truths: Sequence[Map | None]) -> tuple[Map, Mask]:
    empty = np.zeros((SIZE, SIZE), np.float32)
    return np.stack([empty if t is None else t for t in truths]), np.array([t is not None for t in truths])


class _Chunk:
    """Some clips: who shows what, enlarged once for all protocols that do it in the same way."""

    def __init__(self, material: Material, rows: NDArray[np.intp], truth: Map) -> None:
        self.rows, self.truth, self.who = rows, truth, material.who
        same = {"centre": centre_map(), **material.priors}
        self._raw: dict[str, Map] = {
            "method": material.method[rows],
            "wrong_sound": material.wrong_sound[rows],
            "bottom_up": material.bottom_up[rows],
            "oracle": oracle_map(truth),
            **{name: heat[None] for name, heat in same.items()},
        }
        self._signed: tuple[str, ...] = HEARING  # whose maps are cosines; all others lie in [0, 1]
        if material.voters:
            self._raw |= _voted(material.voters, rows, self._raw)
            self._signed = ()
        self._enlarged: dict[tuple[Upsampling, str], Map] = {}

    def masks(self, protocol: Protocol, who: str) -> Mask:
        """(B, 224, 224) what one shows under a protocol."""
        if who == "full":  # by definition, whatever a protocol makes of a constant map
            return np.ones(self.truth.shape, bool)
        maps = self.enlarged(protocol.upsampling, who)
        if protocol.absolute and who not in self._signed:
            maps = 2 * maps - 1
        if len(maps) == 1 and protocol.sees_truth:
            maps = np.broadcast_to(maps, self.truth.shape)
        return np.broadcast_to(protocol.rule(maps, self.truth), self.truth.shape)

    def enlarged(self, upsampling: Upsampling, who: str) -> Map:
        key = upsampling, who
        if key not in self._enlarged:
            self._enlarged[key] = upsampling(self._raw[who])
        return self._enlarged[key]


def _voted(voters: Voters, rows: NDArray[np.intp], raw: Mapping[str, Map]) -> dict[str, Map]:
    """What the votes make of the system's maps, and what they make of maps without a system or without their frame."""
    centre = np.repeat(raw["centre"], len(rows), axis=0)
    return {
        **{name: voters.vote(rows, raw[name]) for name in HEARING},
        "centre_voted": voters.vote(rows, centre),
        "bottom_up_voted": voters.vote(rows, raw["bottom_up"]),
        "other_boxes": voters.vote_of_others(rows, raw["method"]),
    }


def _score_boxes(found: Scores, chunk: _Chunk, known: Mask) -> None:
    rows = chunk.rows
    for protocol, ciou in found.ciou.items():
        means_something = known if _sees_truth(protocol) else np.ones_like(known)
        shown: dict[str, Mask] = {}
        for who in chunk.who:
            masks = _masks(found, chunk, protocol, who)
            if masks is None:
                continue
            ciou[who][rows[known]] = loc.ciou(masks, chunk.truth)[known]
            found.area[protocol][who][rows[means_something]] = masks.mean(axis=(1, 2))[means_something]
            if who in HEARING:
                shown[who] = masks
        if shown:
            share = loc.moved(shown["method"], shown["wrong_sound"])
            found.moved[protocol][rows[means_something]] = share[means_something]


def _score_masks(found: Scores, chunk: _Chunk) -> None:
    for protocol, iou in found.iou.items():
        for who in chunk.who:
            masks = _masks(found, chunk, protocol, who)
            if masks is not None:
                iou[who][chunk.rows] = loc.mask_iou(masks, chunk.truth)


def _masks(found: Scores, chunk: _Chunk, protocol: str, who: str) -> Mask | None:
    if protocol in PROTOCOLS:
        return chunk.masks(PROTOCOLS[protocol], who)
    if protocol not in found.thresholds:
        return None
    # The threshold is the system's, whatever it hears; a full frame has none.
    of_whom = "method" if who == "wrong_sound" else who
    return chunk.masks(fixed(found.thresholds[protocol].get(of_whom, 0.0)), who)


def _sees_truth(protocol: str) -> bool:
    return protocol in PROTOCOLS and PROTOCOLS[protocol].sees_truth


def best_thresholds(material: Material) -> dict[str, float] | None:
    """For each who the threshold of `FIXED_THRESHOLDS` with the largest AUC on these clips, the lowest of equal ones.

    None where no clip has a box.
    """
    who = [name for name in material.who if name not in ("wrong_sound", "full")]
    candidates = [fixed(float(threshold)) for threshold in FIXED_THRESHOLDS]
    total = {name: np.zeros(len(candidates)) for name in who}
    n_known = 0
    for start in range(0, len(material.boxes), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(material.boxes)))
        truth, known = _boxed(material, rows)
        if known.any():
            chunk = _Chunk(material, rows[known], truth[known])
            n_known += int(known.sum())
            for name in who:
                for i, protocol in enumerate(candidates):
                    ciou = loc.ciou(chunk.masks(protocol, name), chunk.truth)
                    total[name][i] += loc.per_clip(ciou)[:, 1].sum()
    if not n_known:
        return None
    return {name: float(FIXED_THRESHOLDS[np.argmax(np.round(areas, 9))]) for name, areas in total.items()}


def fitted_thresholds(protocols: Sequence[str], here: Material, val: Material | None) -> Thresholds:
    """The thresholds of the fitted protocols among these: chosen on val, and on the evaluated clips themselves."""
    chosen_on = dict(zip(FITTED, (val, here), strict=True))
    found = {name: best_thresholds(chosen_on[name]) for name in FITTED if name in protocols and chosen_on[name]}  # type: ignore[arg-type]
    return {name: thresholds for name, thresholds in found.items() if thresholds is not None}


def mean_truth(boxes: Iterable[list[Box]]) -> Map | None:
    """The mean truth of some clips, as a map; None where nothing that sounds is boxed."""
    total, n = np.zeros((SIZE, SIZE)), 0
    for of_clip in boxes:
        truth = truth_of(of_clip)
        if truth is not None:
            total, n = total + truth, n + 1
    return (total / n).astype(np.float32) if n else None
