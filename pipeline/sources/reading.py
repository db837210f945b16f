"""What a reader gives back, and the checks that all readers share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SAFE_ID, SPLITS, Box, Clip, Manifest, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.foundation.randomness import fraction


class Unusable(Exception):  # noqa: N818  (a finding about a file, not an error of ours)
    """One item's own file or entry that says nothing, with the reason in words."""


def same(name: str) -> str:
    """The name itself: where a data set writes its ids in one way only."""
    return name


@dataclass(frozen=True)
class Form:
    """How a data set writes the ids of its items, so that lists can name them."""

    item_of: Callable[[str], str] = same  # a name without folders and ending -> the id in one form
    part_of: Callable[[str], str] = same  # an id -> what of it may stand alone: the video, without the second
    clip_id_of: Callable[[str], str] = same  # an id -> the clip_id
    respelt: Mapping[str, str] = field(default_factory=dict)  # ids that a list of the field misspells -> the right ones


@dataclass(frozen=True)
class Reading:
    """A data set in the product's own terms."""

    splits: dict[Split, Manifest]
    rejections: list[Rejection] = field(default_factory=list)
    vectors: dict[str, NDArray[np.float32]] | None = None  # sound vectors by clip_id, where the set brings them
    form: Form = field(default_factory=Form)
    ids: dict[str, str] = field(default_factory=dict)  # by clip_id, the id in that form; empty: the clips' file names
    listed: dict[Split, list[str]] = field(default_factory=dict)  # ids in that form, as a user's lists name them


def split_of_group(source: Source, group: str) -> Split:
    """The split of a group where the data set names none: from a hash, so the same whatever else there is.

    None of it is test where a list says what is trained or tested on.
    """
    place = fraction(source.seed, "split", group)
    is_listed = source.train_list is not None or source.test_list is not None
    test_share = 0.0 if is_listed else source.test_share
    if place < test_share:
        return "test"
    return "val" if place < test_share + source.val_share else "train"


def named_split(text: str, place: str) -> Split:
    """A split that a file names."""
    for split in SPLITS:
        if text == split:
            return split
    raise UserError(f"{place}: split is {text!r}; accepted: {', '.join(SPLITS)}")


def safe_id(clip_id: str, place: str) -> str:
    """A clip_id that can be a file name anywhere."""
    if not SAFE_ID.fullmatch(clip_id):
        raise UserError(
            f"{place}: clip_id {clip_id!r} is no safe file name; accepted: 1 to 120 letters, digits, _ . -, "
            "beginning with a letter, a digit or _"
        )
    return clip_id


def fraction_box(clip_id: str, annotator: str, corners: tuple[float, float, float, float], side: float) -> Box:
    """A box in fractions of the frame, from corners x0, y0, x1, y1 of a frame that is `side` wide and high.

    Raises Unusable where it leaves the frame, has no area, or is not of numbers.
    """
    x0, y0, x1, y1 = (value / side for value in corners)
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        told = ", ".join(f"{name} {value:g}" for name, value in zip(("x0", "y0", "x1", "y1"), corners, strict=True))
        raise Unusable(f"{told} leaves the frame of {side:g} or has no area")
    return Box(clip_id, annotator, x0, y0, x1, y1)


def inside_root(path: str, place: str) -> str:
    """A relative path that stays below the root."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\x00" in path:
        raise UserError(f"{place}: path {path!r} leaves the source's root; accepted: relative paths below it")
    return path


def root_folder(source: Source) -> Path:
    """The source's root, which must be a folder."""
    root = Path(source.root)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"params.yaml: source.root: {root} {what}; set it to the folder of your clips")
    return root


def split_up(clips: Iterable[tuple[str, Split, Clip]], boxes: Iterable[tuple[str, Box]]) -> dict[Split, Manifest]:
    """Clips and boxes by split, ordered by clip_id; each comes with the place that a message should name.

    Raises UserError for a clip_id that occurs twice, or a box of no clip. A group in two splits is a leak
    (pipeline/sources/leaks.py).
    """
    split_of: dict[str, Split] = {}
    by_split: dict[Split, list[Clip]] = {split: [] for split in SPLITS}
    for place, split, clip in sorted(clips, key=lambda listed: listed[2].clip_id):
        if clip.clip_id in split_of:
            raise UserError(f"{place}: clip_id {clip.clip_id} occurs twice; name each clip once")
        split_of[clip.clip_id] = split
        by_split[split].append(clip)
    boxes_by_split: dict[Split, list[Box]] = {split: [] for split in SPLITS}
    for place, box in boxes:
        if box.clip_id not in split_of:
            raise UserError(f"{place}: box of clip {box.clip_id!r}, which is not among the clips")
        boxes_by_split[split_of[box.clip_id]].append(box)
    return {split: Manifest(tuple(by_split[split]), tuple(boxes_by_split[split])) for split in SPLITS}
