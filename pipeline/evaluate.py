"""Stage `evaluate`: checkpoint -> metrics, scores per clip, plots, overlays.

Every figure comes from the raw maps, which are stored in data/heat. Each frame is also shown with a wrong sound: a
system that goes by sight alone scores the same with it. Baselines are scored beside the system, on the same clips.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.localization import THRESHOLDS, success_curve
from model.vision import MobileNetV2
from pipeline.foundation import checkpoints, leaks, manifest, pictures, shards
from pipeline.foundation.batches import Clips, Folders
from pipeline.foundation.checkpoints import System
from pipeline.foundation.devices import device_of
from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.errors import UserError
from pipeline.foundation.features import are_kept, kept_features
from pipeline.foundation.files import write_whole
from pipeline.foundation.manifest import Clip, Manifest
from pipeline.foundation.params import Evaluate, Runtime, Train
from pipeline.foundation.randomness import fraction, whole
from pipeline.foundation.scores import Scores, figures, mean_truth, score_maps
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

SOURCE, REJECTED, MODEL = Path("data/source"), Path("data/rejected"), Path("data/model")
FRAMES, SOUNDS, BOTTOM_UP = Path("data/frames"), Path("data/sounds"), Path("data/bottom_up")
HEAT, METRICS, OVERLAYS = Path("data/heat"), Path("data/metrics"), Path("data/overlays")
BATCH = 32  # clips at a time
CLIP_COLUMNS = ("clip_id", "group", "protocol", "ciou", "ciou_wrong_sound", "label", "hard", "area")  # and baselines
Map = NDArray[np.float32]


def main() -> None:
    with stage("evaluate") as params:
        settings = params.evaluate
        seen = look(settings, MODEL, Folders(FRAMES, SOUNDS, BOTTOM_UP), params.runtime)
        write_heat(seen, HEAT)
        scores = score(settings, seen)
        write_figures(settings, seen, scores, METRICS)
        write_overlays(settings.overlays, seen, OVERLAYS)
        if not scores.annotated.any():
            log.info("evaluate: no box in %s: figures that need the truth are null", SOURCE / settings.split)
        done = f"{len(seen.clips)} clips of {settings.split}"
        log.info("evaluate: %s -> %s, %s, %s", done, METRICS / "eval.json", HEAT, OVERLAYS)


@dataclass(frozen=True)
class Seen:
    """What a system showed for every usable clip of a split, with its own and with a wrong sound."""

    clips: list[Clip]
    split: Manifest
    store: Clips
    right: Map  # (n, h, w)
    wrong: Map
    wrong_of: list[str]  # the clip whose sound was the wrong one
    seed: int
    system: str
    device: str
    precision: str


def look(settings: Evaluate, model: Path, folders: Folders, runtime: Runtime) -> Seen:
    """Show a trained system every clip of the split."""
    device = device_of(runtime.device)
    system, card = checkpoints.load(model)
    train = Train.model_validate(card.train)
    if are_kept(train):
        assert isinstance(system.vision, MobileNetV2)  # params.yaml lets nothing else be frozen
        features = kept_features(system.vision, folders.frames, runtime, device)
        folders = Folders(folders.frames, folders.sounds, folders.bottom_up, features)
    split = manifest.read(SOURCE / settings.split)
    store = Clips([clip.clip_id for clip in split.clips], folders, device)
    if not store.clip_ids:
        raise UserError(
            f"params.yaml: evaluate.split: {settings.split} has no usable clip ({len(split.clips)} before rejections); "
            "name another split, or raise its share in source"
        )
    usable = set(store.clip_ids)
    clips = sorted((clip for clip in split.clips if clip.clip_id in usable), key=lambda clip: clip.clip_id)
    wrong_of = wrong_sounds(clips, split, store.sounds.clip_ids)
    right, wrong = _heat(system.to(device), store, wrong_of)
    precision = "bfloat16" if system.half_networks else "float32"
    return Seen(clips, split, store, right, wrong, wrong_of, train.seed, train.system, device.type, precision)


def wrong_sounds(clips: list[Clip], split: Manifest, heard: list[str]) -> list[str]:
    """For each clip another one whose sound is wrong for it, drawn from the clip's own id.

    A hard clip gets a sound of something else in sight that could make one; any other clip one of another label;
    without labels, one of another group. Where the split has none, any other clip that was heard.
    """
    boxes = split.boxes_of()
    by_label: dict[str, list[str]] = {}
    for clip in clips:
        by_label.setdefault(clip.label or clip.group, []).append(clip.clip_id)
    in_order = [clip_id for label in sorted(by_label) for clip_id in by_label[label]]
    first = {label: in_order.index(ids[0]) for label, ids in by_label.items()}
    chosen = []
    for clip in clips:
        label = clip.label or clip.group
        drawn = whole(0, "wrong sound", clip.clip_id)
        in_sight = {box.label for box in boxes[clip.clip_id] if not box.sounding} - {label}
        others = [clip_id for name in sorted(in_sight) for clip_id in by_label.get(name, [])] if clip.hard else []
        if others:
            chosen.append(others[drawn % len(others)])
        elif n_others := len(in_order) - len(by_label[label]):
            place = drawn % n_others  # among all but those of its own label, which lie together
            chosen.append(in_order[place + len(by_label[label]) * (place >= first[label])])
        else:
            any_other = [clip_id for clip_id in heard if clip_id != clip.clip_id]
            chosen.append(any_other[drawn % len(any_other)])
    return chosen


@torch.inference_mode()
def _heat(system: System, store: Clips, wrong_of: list[str]) -> tuple[Map, Map]:
    """Raw maps (n, h, w) of every clip with its own sound and with the wrong one."""
    right: list[Map] = []
    wrong: list[Map] = []
    with tqdm(total=len(store.clip_ids), desc="evaluate", unit="clip", disable=None) as progress:
        for start in range(0, len(store.clip_ids), BATCH):
            clip_ids = store.clip_ids[start : start + BATCH]
            for maps, sounds_of in ((right, clip_ids), (wrong, wrong_of[start : start + BATCH])):
                batch = store.batch(clip_ids, sounds_of)
                heat = system.heat(batch.frames, batch.sounds, batch.bottom_up, batch.features)
                maps.append(heat.float().cpu().numpy())
            progress.update(len(clip_ids))
    return np.concatenate(right), np.concatenate(wrong)


def score(settings: Evaluate, seen: Seen) -> Scores:
    """Score what a system showed, under every protocol and beside the baselines."""
    boxes = seen.split.boxes_of()
    of_clips = [boxes[clip.clip_id] for clip in seen.clips]
    bottom_up = seen.store.maps.stack(seen.store.clip_ids, "map")
    prior = mean_truth(manifest.read(SOURCE / "train").boxes_of().values())
    return score_maps(settings.protocols, seen.right, seen.wrong, bottom_up, of_clips, prior)


def write_figures(settings: Evaluate, seen: Seen, scores: Scores, out: Path) -> None:
    """Write eval.json, clips.csv and success.csv."""
    of_run = {
        "system": seen.system,
        "split": settings.split,
        "n": len(seen.clips),
        "n_annotated": int(scores.annotated.sum()),
        "n_missing": len(seen.split.clips) - len(seen.clips),
        "leaks": leaks.counts((SOURCE, REJECTED), [clip.clip_id for clip in seen.clips], settings.split),
        "seed": seen.seed,
        "device": seen.device,
        "precision": seen.precision,
    }
    hard = np.array([clip.hard for clip in seen.clips])
    of_scores = figures(scores, [clip.group for clip in seen.clips], hard, settings.bootstrap)
    write_whole(out / "eval.json", json.dumps(of_run | of_scores, indent=2, allow_nan=False) + "\n")
    columns = (*CLIP_COLUMNS, *(f"ciou_{name}" for name in scores.baselines))
    manifest.write_rows(out / "clips.csv", columns, _clip_rows(seen, scores))
    first = scores.ciou[settings.protocols[0]]
    rows: Iterable[Iterable[float]] = []
    if scores.annotated.any():
        curves = [success_curve(values[scores.annotated]) for values in first.values()]
        rows = np.column_stack([THRESHOLDS, *curves]).tolist()
    manifest.write_rows(out / "success.csv", ("threshold", *first), rows)


def _clip_rows(seen: Seen, scores: Scores) -> Iterator[tuple[object, ...]]:
    def cell(value: float) -> object:
        return "" if np.isnan(value) else float(value)

    for i, clip in enumerate(seen.clips):
        for protocol, ciou in scores.ciou.items():
            right, wrong = cell(ciou["method"][i]), cell(ciou["wrong_sound"][i])
            of_clip = (clip.clip_id, clip.group, protocol, right, wrong, clip.label, clip.hard, cell(scores.area[i]))
            yield (*of_clip, *(cell(ciou[name][i]) for name in scores.baselines))


def write_heat(seen: Seen, out: Path) -> None:
    """Write the raw maps, in shards of the frames' order."""
    scratch = SCRATCH / "evaluate"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    row = {clip.clip_id: i for i, clip in enumerate(seen.clips)}
    files = {}
    for shard in seen.store.frames.shards:
        clip_ids = [clip_id for clip_id in shard.clip_ids if clip_id in row]
        if clip_ids:
            rows = [row[clip_id] for clip_id in clip_ids]
            files[shard.path.name] = scratch / shard.path.name
            arrays = {"right": seen.right[rows], "wrong": seen.wrong[rows]}
            shards.write(scratch / shard.path.name, "evaluate", clip_ids, arrays)
    shards.publish(files, out)


def write_overlays(n: int, seen: Seen, out: Path) -> None:
    """Write pictures of n clips, chosen by their ids."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    boxes = seen.split.boxes_of()
    label = {clip.clip_id: clip.label for clip in seen.clips}
    chosen = sorted(range(len(seen.clips)), key=lambda i: fraction(0, "overlay", seen.clips[i].clip_id))[:n]
    for i in chosen:
        clip = seen.clips[i]
        picture = pictures.Overlay(
            clip.clip_id,
            seen.store.frames.read(clip.clip_id, "frame"),
            seen.store.maps.read(clip.clip_id, "map"),
            seen.right[i],
            seen.wrong[i],
            boxes[clip.clip_id],
            clip.label,
            label.get(seen.wrong_of[i], ""),
        )
        write_whole(out / f"{clip.clip_id}.png", pictures.draw(picture))


if __name__ == "__main__":
    main()
