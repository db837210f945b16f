"""VGG-SS (Chen et al., CVPR 2021) and the films of VGGSound (Chen et al., ICASSP 2020).

`vggss.json` names the test clips and boxes what sounds in the frame at 5.0 s of each; all other clips of the folder are
for training. Films or frames and sounds are found by name at any depth (layout.py), in every form of a clip's name
(youtube.py). A clip's group is its video: other clips of one video are in no other split by chance.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SAFE_ID, Box, Clip, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.sources import youtube
from pipeline.sources.annotations import read_json
from pipeline.sources.layout import Files, bare, files_by_item, still_of
from pipeline.sources.reading import Form, Reading, Unusable, fraction_box, root_folder, split_of_group, split_up

log = logging.getLogger(__name__)

FRAME_S = 5.0  # the boxed frame: 125 at 25 fps, by ACL-SSL's account of the annotation


@dataclass(frozen=True)
class Annotation:
    """One entry of vggss.json: a clip, its class, and its boxes in fractions of the frame."""

    item: str
    label: str
    boxes: tuple[Box, ...]


@dataclass
class _Found:
    """What of the set lies below the root."""

    clips: list[tuple[str, Split, Clip]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    missing: list[Rejection] = field(default_factory=list)

    def add(self, place: str, split: Split, clip: Clip, item: str) -> None:
        self.clips.append((place, split, clip))
        self.ids[clip.clip_id] = item


def read(source: Source) -> Reading:
    """The clips below a folder; raises UserError where there is none, or no vggss.json."""
    root = root_folder(source)
    path = next(iter(sorted(root.glob("vggss.json")) + sorted(root.glob("*/vggss.json"))), None)
    if path is None:
        raise UserError(f"{root}: no vggss.json in it, nor in a folder of it; bring it from the set's authors")
    rejections: list[Rejection] = []
    annotations = {entry.item: entry for entry in annotations_of(path, rejections)}
    files = files_by_item(root, _item_of)
    named = path.relative_to(root).as_posix()
    found = _found(source, files, annotations, named, rejections)
    if not found.clips:
        raise UserError(
            f"{root}: no film, nor frame with sound, below it is called by a clip of YouTube; see docs/datasets.md for "
            "the names that are read, or name another source.root"
        )
    present = {clip.clip_id for _, _, clip in found.clips}
    boxes = [(named, box) for entry in annotations.values() for box in entry.boxes if box.clip_id in present]
    splits = split_up(found.clips, boxes)
    splits["test"] = replace(splits["test"], missing=tuple(found.missing))
    log.info("source: vggss: %d of %d annotated clips are there", len(splits["test"].clips), len(annotations))
    if bare_of_boxes := sorted(present.intersection(clip_id_of(i) for i, a in annotations.items() if not a.boxes)):
        log.warning("source: vggss: no box is left of %s, which count as not annotated", ", ".join(bare_of_boxes))
    return Reading(splits, rejections, form=FORM, ids=found.ids)


def _item_of(folder: str, name: str) -> str | None:
    """The clip of a file: of its folder where that names a second, then of its own name, then of the folder's video."""
    of_folder, of_name = youtube.clip_of(folder), youtube.clip_of(name)
    if of_folder is not None and of_folder != youtube.video_of(of_folder):
        return of_folder
    return of_name or of_folder


def clip_id_of(item: str) -> str:
    """The clip itself, with `_` before a leading `-`, which no file name should begin with."""
    return item if SAFE_ID.fullmatch(item) else f"_{item}"


FORM = Form(lambda name: youtube.clip_of(name) or name, youtube.video_of, clip_id_of)


def annotations_of(path: Path, rejections: list[Rejection]) -> Iterator[Annotation]:
    """Every entry of vggss.json that can be used; what cannot is added to `rejections`, an entry or a box each.

    The boxes of a clip are one annotation: its truth is their union.
    Raises UserError where the file is no such list at all.
    """
    entries, repeated = read_json(path, list)
    rejections += repeated
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        try:
            item, label, boxes = _entry(entry)
            if item in seen:
                raise Unusable(f"{item} is named before; the first entry is used")
        except Unusable as error:
            rejections.append(Rejection("", path.name, f"entry {number}: {error}"))
            continue
        seen.add(item)
        yield Annotation(item, label, tuple(_boxes(item, label, boxes, path.name, rejections)))


def _entry(entry: object) -> tuple[str, str, list[object]]:
    if not isinstance(entry, dict) or not {"file", "class", "bbox"} <= entry.keys():
        raise Unusable("no file, class and bbox in it")
    name, label, boxes = entry["file"], entry["class"], entry["bbox"]
    item = youtube.clip_of(bare(name)) if isinstance(name, str) and "/" not in name else None
    if item is None:
        raise Unusable(f"file {name!a} is no clip of YouTube")
    if not isinstance(label, str) or not label.isprintable():
        raise Unusable(f"class {label!a} of {item} is no text")
    if not isinstance(boxes, list):
        raise Unusable(f"bbox {boxes!a} of {item} is no list")
    return item, label, boxes


def _boxes(item: str, label: str, boxes: list[object], path: str, rejections: list[Rejection]) -> Iterator[Box]:
    clip_id = clip_id_of(item)
    for number, box in enumerate(boxes):
        try:
            if not isinstance(box, list) or len(box) != 4 or not all(type(value) in (int, float) for value in box):
                raise Unusable(f"no four numbers but {box!a:.80}")
            x0, y0, x1, y1 = map(float, box)
            made = fraction_box(clip_id, "", (x0, y0, x1, y1), 1)
            yield Box(clip_id, "", made.x0, made.y0, made.x1, made.y1, label)
        except (Unusable, OverflowError) as error:
            rejections.append(Rejection(clip_id, path, f"the clip is kept without box {number}: {error}"))


def _found(
    source: Source, files: dict[str, Files], annotations: dict[str, Annotation], named: str, rejections: list[Rejection]
) -> _Found:
    """The clips that are there, those of vggss.json in test and all others in train or val by their video."""
    found = _Found()
    starts = Counter(youtube.video_of(item) for item in annotations)
    used = set()
    for item, annotation in annotations.items():
        video = youtube.video_of(item)
        # A file named by the video alone is the clip, where only one clip of that video is annotated.
        name = item if item in files or starts[video] > 1 else video
        used.add(name)
        if clip := _clip(item, files.get(name, Files()), annotation.label):
            found.add(source.root, "test", clip, item)
            continue
        reason = "neither a film nor a frame and a sound of it lies below the root"
        if name == item and item not in files and video in files:
            reason = f"its file is called {video} alone, but {starts[video]} clips of that video are annotated"
        found.missing.append(Rejection(clip_id_of(item), named, reason))
    for item in files.keys() - used:
        clip = _clip(item, files[item], "")
        if item == youtube.video_of(item) and starts[item]:
            reason = "names no second of a video of which clips are annotated; add it to the name"
        elif clip is None:
            reason = "no film, nor both a frame and a sound, of this clip"
        else:
            split = split_of_group(source, clip.group)
            found.add(source.root, "train" if split == "test" else split, clip, item)
            continue
        rejections.append(Rejection(clip_id_of(item), files[item].any(), reason))
    return found


def _clip(item: str, files: Files, label: str) -> Clip | None:
    """A film where there is one, for its frame can be taken at 5.0 s; else a frame with a sound."""
    clip_id, video = clip_id_of(item), youtube.video_of(item)
    if files.films:
        return Clip(clip_id, media=files.films[0], label=label, group=video, frame_s=FRAME_S)
    if files.stills and files.sounds:
        return Clip(clip_id, frame=still_of(files.stills), sound=files.sounds[0], label=label, group=video)
    return None
