"""Raw maps of a split: shown by a system, stored in data/heat, read again. All figures come from them.

Each frame is shown under its own sound (`right`) and under sounds that it does not make: another clip's (`wrong`), and
`silence` and `noise` where the front end can make them. data/heat holds the evaluated split, data/heat/val the clips of
val, on which thresholds are chosen.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.system import System
from pipeline.foundation import shards
from pipeline.foundation.batches import Clips, Folders
from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.manifest import Clip, Manifest, Rejection
from pipeline.foundation.probe_sounds import SILENCE, noise_for, probes_of
from pipeline.foundation.randomness import whole

BATCH = 32  # clips at a time
Map = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """The usable clips of a split, ordered by clip_id, and the maps of each.

    maps:      by sound, (n, h, w) raw. bottom_up: (n, h', w').
    wrong_of:  the clip whose sound was the wrong one; nothing where maps were read again.
    missing:   what the split names and is not there, and its clips that were rejected, with the reason.
    """

    split: Manifest
    clips: list[Clip]
    maps: dict[str, Map]
    bottom_up: Map
    wrong_of: list[str]
    missing: list[Rejection]


def show(system: System, split: Manifest, folders: Folders, device: torch.device, what: str) -> Shown | None:
    """Show a system every usable clip of a split, under every sound; None where there is no usable clip."""
    store = Clips([clip.clip_id for clip in split.clips], folders, device)
    if not store.clip_ids:
        return None
    clips = _usable(split, store.clip_ids)
    wrong_of = wrong_sounds(clips, split, store.sounds.clip_ids)
    maps = _heat(system, store, wrong_of, probes_of(folders.sounds), what)
    return Shown(split, clips, maps, store.maps.stack(store.clip_ids, "map"), wrong_of, _missing(split, store))


def _usable(split: Manifest, clip_ids: list[str]) -> list[Clip]:
    usable = set(clip_ids)
    return sorted((clip for clip in split.clips if clip.clip_id in usable), key=lambda clip: clip.clip_id)


def _missing(split: Manifest, store: Clips) -> list[Rejection]:
    needed = {"frame": store.frames, "sound": store.sounds, "bottom-up map": store.maps}
    absent = ((clip, [name for name, kept in needed.items() if clip.clip_id not in kept]) for clip in split.clips)
    rejected = [Rejection(clip.clip_id, clip.path, f"has no {', no '.join(names)}") for clip, names in absent if names]
    return [*split.missing, *rejected]


@torch.inference_mode()
def _heat(
    system: System, store: Clips, wrong_of: list[str], probe_sounds: shards.Shard | None, what: str
) -> dict[str, Map]:
    made: dict[str, list[Map]] = {}
    with tqdm(total=len(store.clip_ids), desc=what, unit="clip", disable=None) as progress:
        for start in range(0, len(store.clip_ids), BATCH):
            clip_ids = store.clip_ids[start : start + BATCH]
            batch = store.batch(clip_ids)
            sounds = {"wrong": store.sounds.stack(wrong_of[start : start + BATCH], store.sound_name)}
            if probe_sounds is not None:
                noises = [probe_sounds.read(noise_for(clip_id), store.sound_name) for clip_id in clip_ids]
                silence = probe_sounds.read(SILENCE, store.sound_name)
                sounds |= {"silence": np.stack([silence] * len(clip_ids)), "noise": np.stack(noises)}
            heard = {name: torch.from_numpy(sound.astype(np.float32)) for name, sound in sounds.items()}
            features = system.see(batch.frames, batch.features)  # once for all sounds
            for name, sound in {"right": batch.sounds, **heard}.items():
                heat = system.heat(None, sound.to(store.device), batch.bottom_up, features)
                made.setdefault(name, []).append(heat.float().cpu().numpy())
            progress.update(len(clip_ids))
    return {name: np.concatenate(parts) for name, parts in made.items()}


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


def write(shown: dict[str, Shown], frames: Path, out: Path) -> None:
    """Write the raw maps of splits, each in a folder below `out` ("" = out itself), in shards of the frames' order."""
    scratch = SCRATCH / "evaluate"
    shutil.rmtree(scratch, ignore_errors=True)
    files = {}
    for folder, of_split in shown.items():
        row = {clip.clip_id: i for i, clip in enumerate(of_split.clips)}
        (scratch / folder).mkdir(parents=True)
        for path in shards.shard_paths(frames):
            clip_ids = [clip_id for clip_id in shards.Shard(path).clip_ids if clip_id in row]
            if clip_ids:
                rows = [row[clip_id] for clip_id in clip_ids]
                name = (Path(folder) / path.name).as_posix()
                files[name] = scratch / name
                arrays = {sound: heat[rows] for sound, heat in of_split.maps.items()}
                shards.write(files[name], "evaluate", clip_ids, arrays)
    shards.publish(files, out)


def read(folder: Path, split: Manifest, bottom_up: Path) -> Shown | None:
    """Read again what `write` wrote of a split; None where there is nothing of it."""
    if not folder.is_dir() or not any(folder.glob("shard-*.h5")):
        return None
    stored, maps = shards.Shards(folder), shards.Shards(bottom_up)
    clips = _usable(split, stored.clip_ids)
    clip_ids = [clip.clip_id for clip in clips]
    names = sorted(stored.shards[0].names - {"clip_id"})
    return Shown(split, clips, {n: stored.stack(clip_ids, n) for n in names}, maps.stack(clip_ids, "map"), [], [])
