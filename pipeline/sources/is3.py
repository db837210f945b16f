"""IS3 and VPO: pictures in which several things could sound, each with its own sound (kaistmm/SSLalignment).

One JSON list of {"image", "audio", "gt_box"}: paths of the authors' machine, of which only the names count, and the
corners of a box in pixels of 224. Names are <picture>_<thing>, and each picture lies there once for each of its things.
All of it is test: a clip is one thing's sound over the picture, its box the one that sounds, and the boxes of the
picture's other things those that are silent, which makes it hard. Clips of one picture are one group.
"""

import logging
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, Clip, Rejection
from pipeline.foundation.params import Source
from pipeline.sources.annotations import Corners, corners, file_name, first_there, member, named, read_json
from pipeline.sources.folder import clip_id_of
from pipeline.sources.reading import Reading, Unusable, root_folder, split_up

log = logging.getLogger(__name__)

LISTS = ("IS3_annotation.json", "synthetic3240_bbox.json", "vpo_ss_bbox.json", "vpo_ms_bbox.json")
IMAGES = ("images", "visual_frames")
SOUNDS = ("audio_waw", "audio_wav", "audio")  # the first is no slip of ours: it is what the archive has
SIZE = 224


@dataclass(frozen=True)
class Entry:
    """One thing of one picture; without a box where nothing sounds, or its box is rejected."""

    stem: str
    image: str
    audio: str
    box: Corners | None

    @property
    def clip_id(self) -> str:
        """Its name, made safe: two have spaces."""
        return clip_id_of(Path(self.stem))

    @property
    def picture(self) -> str:
        """What its picture's other things have in common with it."""
        return self.stem.rpartition("_")[0]

    @property
    def thing(self) -> str:
        """Its class; VPO has a number there, which tells none."""
        last = self.stem.rpartition("_")[2]
        return "" if last.strip(string.digits) == "" else last


def read(source: Source) -> Reading:
    """The clips of a list; raises UserError where there is no list, or more than one."""
    root = root_folder(source)
    lists = [name for name in LISTS if (root / name).is_file()]
    if len(lists) != 1:
        raise UserError(f"{root}: holds {', '.join(lists) or 'no list'}; put exactly one of {', '.join(LISTS)} there")
    entries, rejections = entries_of(root / lists[0])
    if not entries:
        raise UserError(f"{root / lists[0]}: names no picture that can be used; bring it anew")
    by_picture: dict[str, list[Entry]] = {}
    for entry in entries:
        by_picture.setdefault(entry.picture, []).append(entry)
    clips = [_clip(root, entry, by_picture[entry.picture]) for entry in entries]
    boxes = [box for entry in entries for box in _boxes(entry, by_picture[entry.picture])]
    return Reading(split_up([("", "test", clip) for clip in clips], [("", box) for box in boxes]), rejections)


def entries_of(path: Path) -> tuple[list[Entry], list[Rejection]]:
    """What a list names, and what of it cannot be used."""
    values, rejections = read_json(path, list)
    entries: dict[str, Entry] = {}
    silent = 0
    for place, value in enumerate(values):
        name = f"entry {place}"
        try:
            image, audio = (file_name(member(value, key, str)) for key in ("image", "audio"))
            name = PurePosixPath(image).stem
            if (clip_id := clip_id_of(Path(name))) in entries:
                raise Unusable("named twice; its first entry is used, this one is not")
            given = member(value, "gt_box", list)
        except Unusable as fault:
            rejections.append(Rejection(named(name), path.name, str(fault)))
            continue
        box = None
        try:
            if given == [0, 0, 0, 0]:
                silent += 1
            else:
                box = corners(given, SIZE)
        except Unusable as fault:
            reason = f"{fault}; the clip is kept, this box is not"
            rejections.append(Rejection(clip_id, path.name, reason))
        entries[clip_id] = Entry(name, image, audio, box)
    if silent:
        log.info("source: %d boxes of %s are all zeros: nothing of these clips is boxed", silent, path.name)
    return list(entries.values()), rejections


def _clip(root: Path, entry: Entry, of_picture: list[Entry]) -> Clip:
    """A picture lies there once for each thing in it: its clips all name the first of the files, and so one picture."""
    images = [entry.image, *(other.image for other in of_picture)]
    there = [path for image in sorted(images) if (path := first_there(root, _paths(IMAGES, image)))]
    return Clip(
        entry.clip_id,
        frame=there[0] if there else f"{IMAGES[0]}/{entry.image}",  # where `extract` will miss it
        sound=first_there(root, _paths(SOUNDS, entry.audio)) or f"{SOUNDS[0]}/{entry.audio}",
        mask=first_there(root, (f"gt_segmentation/{entry.stem}.{ending}" for ending in ("png", "jpg"))),
        label=entry.thing,
        hard=len(of_picture) > 1,
        group=entry.picture,
    )


def _paths(folders: tuple[str, ...], name: str) -> list[str]:
    return [f"{folder}/{name}" for folder in folders]


def _boxes(entry: Entry, things: list[Entry]) -> Iterable[Box]:
    for thing in things:
        if thing.box is not None:
            yield Box(entry.clip_id, "", *thing.box, thing.thing, sounding=thing is entry)
