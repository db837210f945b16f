"""MUSIC solo and duet: films of people who play, with boxes round the instruments that sound.

Boxes: `solotest.json`, `duettest.json` (DTaoo/Discriminative-Sounding-Objects-Localization, frames at 30 a second,
four of each second) or `music_solo.json`, `music_duet.json` (stoneMo/AVGN). In all of them a box is x, y, width,
height in fractions of the frame, although AVGN's own loader reads corners. Or masks: `masks/<name of the frame>.png`.
A frame with an entry or a mask is a clip of test; the other videos of `MUSIC_solo_videos.json`,
`MUSIC_duet_videos.json` or `MUSIC21_solo_videos.json` are train and val: a clip for each second whose stills lie there,
else one for the film. `music_media` says where the stills, films and sounds of all these lie.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, Clip, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.foundation.randomness import fraction
from pipeline.sources.annotations import Corners, corners_of_xywh, member, named, read_json, shown
from pipeline.sources.music_media import VIDEO_ID, Media, Moment
from pipeline.sources.reading import Reading, Unusable, root_folder, split_up

INSTRUMENTS = {
    1: "cello",
    3: "acoustic_guitar",
    8: "saxophone",
    10: "trumpet",
    11: "violin",
    12: "flute",
    13: "accordion",
}  # DSOL's music-exp/eval.py
NAME = re.compile(  # <video>_0_1000/frame_<second>/<frame>, or AVGN's <video>_<second>_<frame>
    rf"({VIDEO_ID.pattern})(?:_0_1000/frame_([0-9]{{3}})/|_([0-9]{{3}})_)([0-9]{{5}})"
)
VIDEO_LISTS = ("MUSIC_solo_videos.json", "MUSIC_duet_videos.json", "MUSIC21_solo_videos.json")


def moment_of(name: str) -> Moment:
    """The frame that a key, file entry or mask means, without its ending; raises Unusable where it means none."""
    if not (found := NAME.fullmatch(name)):
        raise Unusable("is no frame's name; accepted: <video>_0_1000/frame_<sss>/<nnnnn>, or <video>_<sss>_<nnnnn>")
    video, second, second_again, frame = found.groups()
    return Moment(video, int(second or second_again), int(frame))


@dataclass
class Annotated:
    """What the lists and masks of a root say."""

    boxes: dict[Moment, list[tuple[str, Corners]]] = field(default_factory=dict)  # (instrument, corners) a frame
    masks: dict[Moment, str] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, name: str, path: str, reason: object) -> None:
        """Say that an entry or a box of it is not used."""
        self.rejections.append(Rejection(named(name), path, str(reason)))

    def begin(self, name: str, path: str) -> Moment:
        """The frame of an entry, which none has named yet."""
        moment = moment_of(name)
        if moment in self.boxes:
            raise Unusable("named twice; its first entry is used, this one is not")
        self.boxes[moment] = []
        return moment

    def add(self, moment: Moment, path: str, box: Callable[[], tuple[str, Corners]]) -> None:
        """Add one box, or reject it alone."""
        try:
            self.boxes[moment].append(box())
        except Unusable as fault:
            self.reject(moment.clip_id, path, f"{fault}; the clip is kept, this box is not")


def read(source: Source) -> Reading:
    """The frames that are annotated, and the videos that are not; raises UserError where a list cannot be read."""
    root = root_folder(source)
    annotated = annotations(root)
    classes = _classes(root, annotated)
    if not annotated.boxes and not annotated.masks and not classes:
        raise UserError(
            f"{root}: no list of MUSIC names anything here; put {', '.join(LISTS)}, a folder masks, or one of "
            f"{', '.join(VIDEO_LISTS)} there"
        )
    media = Media(root)
    clips, boxes = _tested(root, annotated, _labels(annotated, classes), media)
    tested = {moment.video for moment in {*annotated.boxes, *annotated.masks}}
    for video, (label, path) in classes.items():
        if video not in tested:
            split: Split = "val" if fraction(source.seed, "split", video) < source.val_share else "train"
            found = list(media.clips(video, label))
            clips += [(path, split, clip) for clip in found]
            if not found:
                annotated.reject(video, path, "to train on, but neither its film nor its stills with sound are there")
    ids = {clip.clip_id: clip.clip_id for _, _, clip in clips}  # a still's own name, such as 00411, says little
    return Reading(split_up(clips, boxes), annotated.rejections, ids=ids)


def _tested(
    root: Path, annotated: Annotated, labels: dict[str, str], media: Media
) -> tuple[list[tuple[str, Split, Clip]], list[tuple[str, Box]]]:
    """The annotated frames and their boxes, each with the place that a message should name."""
    clips: list[tuple[str, Split, Clip]] = []
    boxes: list[tuple[str, Box]] = []
    for moment in sorted({*annotated.boxes, *annotated.masks}, key=lambda moment: moment.name):
        mask = annotated.masks.get(moment, "")
        try:
            clip = media.clip(moment, labels.get(moment.video, ""), mask)
        except Unusable as fault:
            annotated.reject(moment.name, mask, fault)
            continue
        clips.append((str(root), "test", clip))
        of_clip = annotated.boxes.get(moment, [])
        boxes += [(str(root), Box(clip.clip_id, "", *corners, label)) for label, corners in of_clip]
    return clips, boxes


def annotations(root: Path) -> Annotated:
    """All lists of boxes and all masks of a root."""
    annotated = Annotated()
    names = [name for name in LISTS if (root / name).is_file()]
    for one, other in (("solotest.json", "music_solo.json"), ("duettest.json", "music_duet.json")):
        if one in names and other in names:
            raise UserError(f"{root}: {one} and {other} are two lists of the same frames; keep one of them there")
    for name in names:
        LISTS[name](root / name, annotated)
    for path in sorted((root / "masks").rglob("*.png")):
        mask = path.relative_to(root).as_posix()
        try:
            moment = moment_of(mask.removeprefix("masks/").removesuffix(".png"))
            if annotated.masks.setdefault(moment, mask) != mask:
                raise Unusable(f"its frame has another mask, {annotated.masks[moment]}, which is used")
        except Unusable as fault:
            annotated.reject(path.stem, mask, fault)
    return annotated


def _dsol(path: Path, annotated: Annotated) -> None:
    """{"<video>_0_1000/frame_<sss>/<nnnnn>.jpg": {"bbox": [{"box", "normbox", "category_id"}], "wdith", "height"}}."""
    entries, repeated = read_json(path, dict)
    annotated.rejections += repeated
    for name, entry in entries.items():
        try:
            boxes = member(entry, "bbox", list)
            moment = annotated.begin(name.removesuffix(".jpg"), path.name)
        except Unusable as fault:
            annotated.reject(name, path.name, fault)
            continue
        for box in boxes:
            annotated.add(moment, path.name, partial(_dsol_box, box))


def _dsol_box(box: object) -> tuple[str, Corners]:
    category = member(box, "category_id", int)
    return INSTRUMENTS.get(category, f"category_{category}"), corners_of_xywh(member(box, "normbox", list))


def _avgn(path: Path, annotated: Annotated) -> None:
    """[{"file": "<video>_<sss>_<nnnnn>", "class", "bbox"}], or class_src1, bbox_src1, class_src2, bbox_src2."""
    entries, repeated = read_json(path, list)
    annotated.rejections += repeated
    sources = ("_src1", "_src2") if path.name == "music_duet.json" else ("",)
    for place, entry in enumerate(entries):
        name = f"entry {place}"
        try:
            name = member(entry, "file", str)
            moment = annotated.begin(name, path.name)
        except Unusable as fault:
            annotated.reject(name, path.name, fault)
            continue
        for which in sources:
            annotated.add(moment, path.name, partial(_avgn_box, entry, which))


def _avgn_box(entry: object, which: str) -> tuple[str, Corners]:
    return member(entry, f"class{which}", str), corners_of_xywh(member(entry, f"bbox{which}", list))


LISTS: dict[str, Callable[[Path, Annotated], None]] = {
    "solotest.json": _dsol,
    "duettest.json": _dsol,
    "music_solo.json": _avgn,
    "music_duet.json": _avgn,
}


def _classes(root: Path, annotated: Annotated) -> dict[str, tuple[str, str]]:
    """Class and list of each video of the lists of videos: {"version", "videos": {class: [video]}}."""
    classes: dict[str, tuple[str, str]] = {}
    for path in (root / name for name in VIDEO_LISTS):
        if not path.is_file():
            continue
        value, repeated = read_json(path, dict)
        annotated.rejections += repeated
        try:
            by_class: dict[str, Any] = member(value, "videos", dict)
        except Unusable as fault:
            raise UserError(f"{path}: {fault}, not classes with their videos; bring it anew") from fault
        for label, videos in by_class.items():
            if not isinstance(videos, list) or not label.isprintable():
                annotated.reject(label, path.name, f"is no class with a list of videos, but with {shown(videos)}")
                continue
            for video in videos:
                if not isinstance(video, str) or not VIDEO_ID.fullmatch(video):
                    annotated.reject(shown(video), path.name, "no YouTube id")
                elif video in classes:
                    annotated.reject(video, path.name, f"listed twice; it counts as {classes[video][0]}")
                else:
                    classes[video] = label, path.name
    return classes


def _labels(annotated: Annotated, classes: dict[str, tuple[str, str]]) -> dict[str, str]:
    """A label for each annotated video: its class, or else the instruments that are boxed in it anywhere."""
    boxed: dict[str, set[str]] = {}
    for moment, boxes in annotated.boxes.items():
        boxed.setdefault(moment.video, set()).update(instrument for instrument, _ in boxes)
    return {video: " ".join(sorted(found)) for video, found in boxed.items()} | {
        video: label for video, (label, _) in classes.items()
    }
