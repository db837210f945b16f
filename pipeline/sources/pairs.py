"""Still frames with sound files: photographs and recordings that belong together by class.

`pairs.csv` (clip_id, split, frame, sound, class, hard, width, height), `boxes.csv` (clip_id, x0, y0, x1, y1 in pixels
of the stored frame, end exclusive, class, sounding) and, optional, `audio_scores.npz` (paths, scores): one vector a
sound.
"""

from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, Clip, Split, checked, numbers, read_rows, truth_of
from pipeline.foundation.params import Source
from pipeline.sources.reading import Reading, inside_root, named_split, root_folder, safe_id, split_up

COLUMNS = ("clip_id", "split", "frame", "sound", "class", "hard", "width", "height")


def read(source: Source) -> Reading:
    """The pairs of a folder; raises UserError where a file is missing or wrong."""
    root = root_folder(source)
    sizes: dict[str, tuple[float, float]] = {}
    clips = list(_clips(root / "pairs.csv", sizes))
    if not clips:
        raise UserError(f"{root / 'pairs.csv'}: names no pair; name another source.root")
    scores = root / "audio_scores.npz"
    vectors = _vectors(scores, [clip for _, _, clip in clips]) if scores.exists() else None
    return Reading(split_up(clips, _boxes(root / "boxes.csv", sizes)), vectors=vectors)


def _clips(path: Path, sizes: dict[str, tuple[float, float]]) -> Iterator[tuple[str, Split, Clip]]:
    for line, row in read_rows(path, COLUMNS):
        place = f"{path}:{line}"
        clip_id = safe_id(row["clip_id"], place)
        frame, sound = inside_root(row["frame"], place), inside_root(row["sound"], place)
        sizes[clip_id] = _size(row, place)
        hard = truth_of(row["hard"], f"{place}: hard")
        # One photograph may stand in several pairs, once for each thing that sounds: it is the group.
        clip = Clip(clip_id, frame=frame, sound=sound, label=row["class"], hard=hard, group=frame)
        yield place, named_split(row["split"], place), clip


def _size(row: dict[str, str], place: str) -> tuple[float, float]:
    width, height = numbers(row, ("width", "height"), place)
    if not (width > 0 and height > 0):
        raise UserError(f"{place}: width {width:g} and height {height:g} are no size of a frame")
    return width, height


def _boxes(path: Path, sizes: dict[str, tuple[float, float]]) -> Iterator[tuple[str, Box]]:
    for line, row in read_rows(path, ("clip_id", "x0", "y0", "x1", "y1", "class", "sounding")):
        place = f"{path}:{line}"
        if row["clip_id"] not in sizes:
            raise UserError(f"{place}: box of clip {row['clip_id']!r}, which is not in pairs.csv")
        width, height = sizes[row["clip_id"]]
        x0, y0, x1, y1 = numbers(row, ("x0", "y0", "x1", "y1"), place)
        sounding = truth_of(row["sounding"], f"{place}: sounding")
        box = Box(row["clip_id"], "", x0 / width, y0 / height, x1 / width, y1 / height, row["class"], sounding)
        yield place, checked(box, place)


def _vectors(path: Path, clips: list[Clip]) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            paths, scores = archive["paths"], archive["scores"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(
            f"{path}: not an archive with paths and scores ({error}); delete it or bring it anew"
        ) from error
    if scores.ndim != 2 or len(paths) != len(scores) or not np.isfinite(scores).all():
        raise UserError(
            f"{path}: {len(paths)} paths and scores of shape {scores.shape}; accepted: one finite vector a path"
        )
    by_sound = dict(zip(map(str, paths), scores.astype(np.float32), strict=True))
    missing = sorted({clip.sound for clip in clips} - by_sound.keys())
    if missing:
        raise UserError(f"{path}: no vector for {len(missing)} sounds, among them {missing[0]}; bring the archive anew")
    return {clip.clip_id: by_sound[clip.sound] for clip in clips}
