"""AVE: films of 10 s, each with the seconds of an event that is both seen and heard (YapengTian/AVE-ECCV18); no boxes.

`Annotations.txt` has a line an event, class&video&quality&start&end, without a header; `train_order.h5`,
`val_order.h5` and `test_order.h5` list line numbers, from 0. A line is a clip: its frame is from the middle of the
event, its sound from the event's start on. 45 videos have two lines and some of them stand in two splits; a video is a
group.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SPLITS, Clip, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.sources.annotations import first_there, named, shown
from pipeline.sources.folder import clip_id_of
from pipeline.sources.reading import Reading, Unusable, root_folder, split_up

LINES = "Annotations.txt"
SECONDS = 10  # that a film has
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
PLACES = ("", "data/")  # the films' archive has the list at the top, the repository in its folder data


def read(source: Source) -> Reading:
    """The events of the films; raises UserError where a list is missing or cannot be read."""
    root = root_folder(source)
    lines = _lines(_list(root, LINES))
    rejections: list[Rejection] = []
    split_of = _splits(root, len(lines), rejections)
    clips: dict[str, tuple[str, Split, Clip]] = {}
    for number, line in enumerate(lines):
        name = line.split("&")[1] if line.count("&") else f"line {number}"
        try:
            clip = _clip(root, line)
            if clip.clip_id in clips:
                raise Unusable("the same event of the same video stands in an earlier line")
            if number not in split_of:
                raise Unusable("is in none of train_order.h5, val_order.h5, test_order.h5")
            clips[clip.clip_id] = (f"{LINES}:{number + 1}", split_of[number], clip)
        except Unusable as fault:
            rejections.append(Rejection(named(name), f"{LINES}:{number + 1}", str(fault)))
    if not clips:
        raise UserError(f"{root / LINES}: none of its {len(lines)} lines can be used; bring it anew")
    return Reading(split_up(clips.values(), []), rejections)


def _list(root: Path, name: str) -> Path:
    if not (found := first_there(root, (f"{place}{name}" for place in PLACES))):
        raise UserError(f"{root}: no {name} in it or in its folder data; bring it from the data set's repository")
    return root / found


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); bring it back or change its rights") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error}); bring it anew") from error
    return text.removesuffix("\n").split("\n")  # read_text made every line end a plain one


def _splits(root: Path, n_lines: int, rejections: list[Rejection]) -> dict[int, Split]:
    """The split of each line number."""
    split_of: dict[int, Split] = {}
    for split in SPLITS:
        path = _list(root, f"{split}_order.h5")
        for number in _order(path):
            if not 0 <= number < n_lines:
                rejections.append(Rejection(f"line {number}", path.name, f"there are {n_lines} lines, from 0"))
            elif number in split_of:
                reason = f"listed twice; it counts as {split_of[number]}"
                rejections.append(Rejection(f"line {number}", path.name, reason))
            else:
                split_of[number] = split
    return split_of


def _order(path: Path) -> Iterable[int]:
    try:
        with h5py.File(path) as file:
            order = np.asarray(file["order"])
    except (OSError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not an HDF5 file with an array order ({error}); bring it anew") from error
    if order.ndim != 1 or order.dtype.kind not in "iu":
        raise UserError(f"{path}: order is {order.dtype} of shape {order.shape}, not a list of line numbers")
    return order.tolist()


def _clip(root: Path, line: str) -> Clip:
    parts = line.split("&")
    if len(parts) != 5:
        raise Unusable(f"{shown(line)} is not class&video&quality&start&end")
    label, video, _, start, end = parts
    if not VIDEO_ID.fullmatch(video) or not label.isprintable():
        raise Unusable(f"{shown(video)} is no YouTube id, or {shown(label)} no class")
    start_s, end_s = _seconds(start, end)
    return Clip(
        clip_id_of(Path(f"{video}_{start_s:g}_{end_s:g}_{re.sub('[^A-Za-z0-9]+', '_', label).strip('_')}")),
        media=_film(root, video),
        label=label,
        group=video,
        frame_s=(start_s + end_s) / 2,
        sound_s=start_s,
    )


def _seconds(start: str, end: str) -> tuple[float, float]:
    try:
        start_s, end_s = float(start), float(end)
    except ValueError:
        raise Unusable(f"its event from {shown(start)} to {shown(end)} is not in seconds") from None
    if not 0 <= start_s < end_s <= SECONDS:
        raise Unusable(f"its event from {start_s:g} to {end_s:g} s is empty, or leaves the film of {SECONDS} s")
    return start_s, end_s


def _film(root: Path, video: str) -> str:
    """The film that lies there, or else the one that `extract` will miss."""
    paths = (f"AVE/{video}.mp4", f"{video}.mp4", f"AVE_Dataset/AVE/{video}.mp4")
    return first_there(root, paths) or paths[0]
