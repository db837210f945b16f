"""Stage `evaluate`: checkpoint -> metrics, scores per clip, plots, overlays.

Every figure comes from the raw maps, which are stored in data/heat. With `vote: regions` the boxes of a search vote on
them before they are scored (model/voting.py); probes and overlays show them raw. Each frame is also shown with sounds
that it does not make: a system that goes by sight alone scores the same with them. Baselines are scored beside the
system, on the same clips. What is chosen (thresholds) is chosen on val.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.localization import THRESHOLDS, success_curve
from model.protocols import FITTED, PROTOCOLS
from model.truth import size_class
from pipeline.foundation import checkpoints, heat, leaks, manifest, pictures, probing, shards
from pipeline.foundation.batches import Folders
from pipeline.foundation.devices import device_of
from pipeline.foundation.errors import UserError
from pipeline.foundation.features import are_kept, kept_features
from pipeline.foundation.figures import PART_COLUMNS, Known, figures, parts
from pipeline.foundation.files import write_whole
from pipeline.foundation.heat import Shown
from pipeline.foundation.manifest import Clip
from pipeline.foundation.params import Evaluate, Runtime, Train
from pipeline.foundation.randomness import fraction
from pipeline.foundation.scores import Material, Scores, fitted_thresholds, mean_truth
from pipeline.foundation.scores import score as score_maps
from pipeline.foundation.stages import stage
from pipeline.foundation.voters import Voters

log = logging.getLogger(__name__)

SOURCE, REJECTED, MODEL = Path("data/source"), Path("data/rejected"), Path("data/model")
FRAMES, SOUNDS, BOTTOM_UP = Path("data/frames"), Path("data/sounds"), Path("data/bottom_up")
REGIONS = Path("data/regions")
HEAT, METRICS, OVERLAYS = Path("data/heat"), Path("data/metrics"), Path("data/overlays")
CLIP_COLUMNS = ("clip_id", "group", "protocol", "ciou", "ciou_wrong_sound", "label", "hard", "area")  # then baselines
MORE_COLUMNS = ("size", "mask_area", "iou_mask", "negative", "confidence")  # after them
Map = NDArray[np.float32]


def main() -> None:
    with stage("evaluate") as params:
        settings = params.evaluate
        folders = Folders(FRAMES, SOUNDS, BOTTOM_UP, regions=REGIONS / params.attend.proposer)
        seen = look(settings, MODEL, folders, params.runtime)
        beside = {"val": seen.val} if seen.val is not None and seen.val is not seen.shown else {}
        heat.write({"": seen.shown, **beside}, FRAMES, HEAT)
        scores = score(settings, seen)
        write_figures(settings, seen, scores, METRICS)
        write_overlays(settings.overlays, seen, OVERLAYS)
        if not scores.annotated.any():
            log.info("evaluate: no box in %s: figures that need the truth are null", SOURCE / settings.split)
        if unfitted := [p for p in settings.protocols if p in FITTED and p not in scores.thresholds]:
            log.info("evaluate: %s: no clip with boxes to choose a threshold on: figures are null", ", ".join(unfitted))
        done = f"{len(seen.shown.clips)} clips of {settings.split}"
        log.info("evaluate: %s -> %s, %s, %s", done, METRICS / "eval.json", HEAT, OVERLAYS)


@dataclass(frozen=True)
class Seen:
    """What a system showed of the evaluated split and of val (None where val has no usable clip), and what it was."""

    shown: Shown
    val: Shown | None
    frames: Path
    voting: Path | None  # the regions that vote on the maps
    mean_bottom_up: Map | None  # (h, w) over the usable clips of train; None where there is none
    seed: int
    system: str
    device: str
    precision: str


def look(settings: Evaluate, model: Path, folders: Folders, runtime: Runtime) -> Seen:
    """Show a trained system every clip of the evaluated split, and of val."""
    device = device_of(runtime.device)
    system, card = checkpoints.load(model)
    train = Train.model_validate(card.train)
    if are_kept(train):
        features = kept_features(system.vision, folders.frames, runtime, device)
        folders = replace(folders, features=features)
    system = system.to(device)
    split = manifest.read(SOURCE / settings.split)
    shown = heat.show(system, split, folders, device, "evaluate")
    if shown is None:
        raise UserError(
            f"params.yaml: evaluate.split: {settings.split} has no usable clip ({len(split.clips)} before rejections); "
            "name another split, or raise its share in source"
        )
    val = shown if settings.split == "val" else heat.show(system, manifest.read(SOURCE / "val"), folders, device, "val")
    precision = "bfloat16" if system.half_networks else "float32"
    mean = mean_bottom_up(folders.bottom_up)
    voting = folders.regions if settings.vote == "regions" else None
    return Seen(shown, val, folders.frames, voting, mean, train.seed, train.system, device.type, precision)


def mean_bottom_up(folder: Path) -> Map | None:
    """The mean bottom-up map of the training clips; None where there is none."""
    stored = shards.Shards(folder)
    total, n = np.zeros(()), 0
    for clip in manifest.read(SOURCE / "train").clips:
        if clip.clip_id in stored:
            total, n = total + stored.read(clip.clip_id, "map").astype(np.float64), n + 1
    return (total / n).astype(np.float32) if n else None


def score(settings: Evaluate, seen: Seen) -> Scores:
    """Score what a system showed, under every protocol and beside the baselines."""
    prior = mean_truth(manifest.read(SOURCE / "train").boxes_of().values())
    learned = {"prior": prior, "mean_bottom_up": seen.mean_bottom_up}
    priors = {name: map_ for name, map_ in learned.items() if map_ is not None}
    here = _material(seen, seen.shown, settings.split, priors)
    val = _material(seen, seen.val, "val", priors) if seen.val else None
    return score_maps(settings.protocols, here, fitted_thresholds(settings.protocols, here, val))


def _material(seen: Seen, shown: Shown, split: str, priors: dict[str, Map]) -> Material:
    boxes = shown.split.boxes_of()
    path = SOURCE / split / "masks.h5"
    masks = shards.Shard(path) if path.exists() else None
    with_mask = set(masks.clip_ids) if masks else set()

    def mask_of(place: int) -> NDArray[np.uint8] | None:
        clip_id = shown.clips[place].clip_id
        return masks.read(clip_id, "mask") if masks and clip_id in with_mask else None

    of_clips = [boxes[clip.clip_id] for clip in shown.clips]
    voters = Voters.of(shown.clips, seen.voting, seen.frames) if seen.voting else None
    return Material(shown.maps["right"], shown.maps["wrong"], shown.bottom_up, of_clips, priors, mask_of, voters)


def known_of(clips: list[Clip]) -> Known:
    """What is known of clips besides their maps. Clips show one picture where they share a file and a time in it."""
    return Known(
        [clip.group for clip in clips],
        [clip.label for clip in clips],
        np.array([clip.hard for clip in clips], bool),
        np.array([clip.negative for clip in clips], bool),
        [f"{clip.path} {clip.frame_s}" for clip in clips],
    )


def write_figures(settings: Evaluate, seen: Seen, scores: Scores, out: Path) -> None:
    """Write eval.json and the tables of clips, success, parts and missing clips."""
    shown = seen.shown
    known = known_of(shown.clips)
    of_run = {
        "system": seen.system,
        "split": settings.split,
        "n": len(shown.clips),
        "n_annotated": int((scores.annotated & ~known.negative).sum()),
        "n_missing": len(shown.missing),
        "leaks": leaks.counts((SOURCE, REJECTED), [clip.clip_id for clip in shown.clips], settings.split),
        "seed": seen.seed,
        "device": seen.device,
        "precision": seen.precision,
        "vote": "none" if seen.voting is None else "regions",
        "regions": None if seen.voting is None else seen.voting.name,
    }
    of_protocols = {name: _of_protocol(name, settings.split, scores) for name in scores.ciou}
    of_scores = {"protocols": of_protocols, **figures(scores, known, settings.bootstrap)}
    of_probes = {"probes": probing.figures(shown, seen.val, ~known.negative)}
    write_whole(out / "eval.json", json.dumps(of_run | of_scores | of_probes, indent=2, allow_nan=False) + "\n")
    columns = (*CLIP_COLUMNS, *(f"ciou_{name}" for name in scores.baselines), *MORE_COLUMNS)
    manifest.write_rows(out / "clips.csv", columns, _clip_rows(shown.clips, scores))
    manifest.write_rows(out / "parts.csv", PART_COLUMNS, parts(scores, known, settings.bootstrap))
    manifest.write_rejections(out / "missing.csv", shown.missing)
    first = scores.ciou[settings.protocols[0]]
    rows: Iterable[Iterable[float]] = []
    if not np.isnan(first["method"][scores.annotated]).any() and scores.annotated.any():
        curves = [success_curve(values[scores.annotated]) for values in first.values()]
        rows = np.column_stack([THRESHOLDS, *curves]).tolist()
    manifest.write_rows(out / "success.csv", ("threshold", *first), rows)


def _of_protocol(name: str, split: str, scores: Scores) -> dict[str, object]:
    """What a reader must know: does the protocol see the truth, was its threshold chosen on the clips it is told of."""
    return {
        "sees_truth": name in PROTOCOLS and PROTOCOLS[name].sees_truth,
        "optimistic": name in FITTED and (name != "best_fixed" or split == "val"),
        "thresholds": scores.thresholds.get(name),
    }


def _clip_rows(clips: list[Clip], scores: Scores) -> Iterator[tuple[object, ...]]:
    def cell(value: float) -> object:
        return "" if np.isnan(value) else float(value)

    for i, clip in enumerate(clips):
        truth = scores.truth[i]
        size = "" if np.isnan(truth) else size_class(truth)
        for protocol, ciou in scores.ciou.items():
            right, wrong = cell(ciou["method"][i]), cell(ciou["wrong_sound"][i])
            of_clip = (clip.clip_id, clip.group, protocol, right, wrong, clip.label, clip.hard, cell(truth))
            area, iou = (values[protocol]["method"][i] for values in (scores.area, scores.iou))
            more = (size, cell(area), cell(iou), clip.negative, float(scores.confidence[i]))
            yield (*of_clip, *(cell(ciou[name][i]) for name in scores.baselines), *more)


def write_overlays(n: int, seen: Seen, out: Path) -> None:
    """Write pictures of n clips, chosen by their ids."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    shown, frames = seen.shown, shards.Shards(seen.frames)
    boxes = shown.split.boxes_of()
    label = {clip.clip_id: clip.label for clip in shown.clips}
    chosen = sorted(range(len(shown.clips)), key=lambda i: fraction(0, "overlay", shown.clips[i].clip_id))[:n]
    for i in chosen:
        clip = shown.clips[i]
        picture = pictures.Overlay(
            clip.clip_id,
            frames.read(clip.clip_id, "frame"),
            shown.bottom_up[i],
            shown.maps["right"][i],
            shown.maps["wrong"][i],
            boxes[clip.clip_id],
            clip.label,
            label.get(shown.wrong_of[i], ""),
        )
        write_whole(out / f"{clip.clip_id}.png", pictures.draw(picture))


if __name__ == "__main__":
    main()
