"""Which clips of a reading are trained, validated and tested on: the user's lists and counts, for every source alike.

What is tested on is never trained on. `test_list` comes before the data set's own split, that before `train_list`:

test   what test_list names, else what the data set has in test
train  what of the rest train_list names, else what the data set has in train; without the items of silent_list
val    of that, what the data set has in val, or val_share of the groups where it says nothing

A count draws by a hash of the seed and the clip's own id: 2500 are among the 10 000 of the same seed.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SAFE_ID, SPLITS, Clip, Manifest, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.foundation.randomness import fraction
from pipeline.sources.layout import bare
from pipeline.sources.lists import ids_of, silent_rows_of
from pipeline.sources.reading import Reading, split_of_group

log = logging.getLogger(__name__)


def select(reading: Reading, source: Source) -> Reading:
    """The reading in the splits that the lists name, with the clips of silent_list, and as many as the counts say.

    Raises UserError where a list cannot be read or names nothing that is there, or a count is larger than what is.
    """
    selection = _Selection(reading, source)
    if source.test_list is not None:
        selection.test_on(selection.named("test", source.test_list))
    if source.train_list is not None:
        selection.train_on(selection.named("train", source.train_list))
    if source.silent_list is not None:
        selection.add_silent(source.silent_list)
    if source.train_clips is not None:
        selection.draw("train", source.train_clips)
    if source.test_clips is not None:
        selection.draw("test", source.test_clips)
    return selection.reading()


class _Selection:
    """A reading on its way: in which split each clip is by now, if in any."""

    def __init__(self, reading: Reading, source: Source) -> None:
        self.before, self.source = reading, source
        self.split_of: dict[str, Split | None] = {}
        self.clips: dict[str, Clip] = {}
        for split, part in reading.splits.items():
            self.clips |= {clip.clip_id: clip for clip in part.clips}
            self.split_of |= dict.fromkeys((clip.clip_id for clip in part.clips), split)
        self.index = _Index(reading, self.clips)
        self.missing = {split: list(part.missing) for split, part in reading.splits.items()}
        self.rejections = list(reading.rejections)
        self.listed = dict(reading.listed)
        self.negatives: dict[str, Clip] = {}
        self.vectors = None if reading.vectors is None else dict(reading.vectors)

    def named(self, split: Split, name: str) -> set[str]:
        """Ids of the clips that a list names for a split; the split misses what is named and not there."""
        path = Path(self.source.root) / name
        ids = ids_of(path, self.before.form)
        found = {item: self.index.clips_of(item, written) for item, written in ids.items()}
        absent = [item for item, clips in found.items() if not clips]
        if len(absent) == len(ids):
            raise UserError(
                f"{path}: none of its {len(ids)} ids is a clip of {self.source.root}, the first one is "
                f"{ids[absent[0]]!a:.80}; name another source.{split}_list, or bring its clips"
            )
        unreadable = {r.clip_id: r for r in self.before.rejections if r.clip_id not in self.clips}
        known = {r.clip_id: r for part in self.before.splits.values() for r in part.missing} | unreadable
        self.missing[split] = []
        for item in absent:
            clip_id = self.before.form.clip_id_of(item)
            reason = f"named as {ids[item]!a:.200} in {split}_list, and no clip below the root is called so"
            self.missing[split].append(known.get(clip_id, Rejection(clip_id, name, reason)))
        self.listed[split] = list(ids)
        n_unreadable = sum(self.before.form.clip_id_of(item) in unreadable for item in absent)
        log.info(
            "source: %s_list names %d: %d present, %d missing, %d unreadable",
            *(split, len(ids), len(ids) - len(absent), len(absent) - n_unreadable, n_unreadable),
        )
        return {clip_id for clips in found.values() for clip_id in clips}

    def test_on(self, wanted: set[str]) -> None:
        for clip_id, split in self.split_of.items():
            if clip_id in wanted:
                self.split_of[clip_id] = "test"
            elif split == "test":
                self.split_of[clip_id] = None

    def train_on(self, wanted: set[str]) -> None:
        n_tested = 0
        for clip_id, split in self.split_of.items():
            if split == "test":
                n_tested += clip_id in wanted
            elif clip_id not in wanted:
                self.split_of[clip_id] = None
            elif split is None:  # of the data set's own test, but not of test_list
                self.split_of[clip_id] = split_of_group(self.source, self.clips[clip_id].group)
        if n_tested:
            log.warning("source: %d clips of train_list are tested on, and so not trained on", n_tested)

    def add_silent(self, name: str) -> None:
        """Add a clip to test for each row of silent_list, and train on none of its items."""
        path, form = Path(self.source.root) / name, self.before.form
        rows = silent_rows_of(path, form, self.rejections)
        for row in rows:
            found = [
                self.index.clips_of(item, written)
                for item, written in zip((row.video, row.audio), row.written, strict=True)
            ]
            for clip_id in (clip_id for clips in found for clip_id in clips):
                if self.split_of[clip_id] != "test":
                    self.split_of[clip_id] = None
            if all(found):
                self._add_negative(*(self.clips[clips[0]] for clips in found))
                continue
            absent = " and ".join(what for what, clips in zip(("frame", "sound"), found, strict=True) if not clips)
            pair = f"{form.clip_id_of(row.video)}--{form.clip_id_of(row.audio)}"
            self.missing["test"].append(Rejection(pair, name, f"named in silent_list, and its {absent} is not there"))
        items = [item for row in rows for item in (row.video, row.audio)]
        self.listed["test"] = list(dict.fromkeys([*self.listed.get("test", []), *items]))
        log.info("source: silent_list names %d: %d present", len(rows), len(self.negatives))

    def _add_negative(self, video: Clip, audio: Clip) -> None:
        clip_id = f"{video.clip_id}--{audio.clip_id}"
        if not SAFE_ID.fullmatch(clip_id) or clip_id in self.clips:
            digits = hashlib.blake2b(clip_id.encode(), digest_size=4).hexdigest()
            clip_id = f"{video.clip_id[:54]}--{audio.clip_id[:54]}-{digits}"
        sound = video.sound if video == audio else audio.sound or audio.media
        frame = replace(video, clip_id=clip_id, negative=True, mask="", label="", hard=False)
        self.negatives[clip_id] = replace(frame, sound=sound, sound_s=audio.sound_s)
        if self.vectors is not None:
            self.vectors[clip_id] = self.vectors[audio.clip_id]

    def draw(self, split: Split, count: int) -> None:
        """Keep so many clips of a split, and as many of silent_list where it is test."""
        ids = [clip_id for clip_id, of_clip in self.split_of.items() if of_clip == split]
        if count > len(ids):
            raise UserError(
                f"params.yaml: source.{split}_clips: got {count}, but {split} has {len(ids)} clips; "
                "set it to no more than that, or to null"
            )
        for clip_id in set(ids) - self._drawn(split, count, ids):
            self.split_of[clip_id] = None
        if split == "test":
            kept = self._drawn("silent", count, self.negatives)
            self.negatives = {clip_id: clip for clip_id, clip in self.negatives.items() if clip_id in kept}

    def _drawn(self, purpose: str, count: int, clip_ids: Iterable[str]) -> set[str]:
        return set(sorted(clip_ids, key=lambda clip_id: fraction(self.source.seed, purpose, clip_id))[:count])

    def reading(self) -> Reading:
        boxes = [box for part in self.before.splits.values() for box in part.boxes]
        splits: dict[Split, Manifest] = {}
        for split in SPLITS:
            clips = [clip for clip_id, clip in self.clips.items() if self.split_of[clip_id] == split]
            clips += self.negatives.values() if split == "test" else ()
            clips.sort(key=lambda clip: clip.clip_id)
            of_split = (box for box in boxes if self.split_of[box.clip_id] == split)
            splits[split] = Manifest(tuple(clips), tuple(of_split), tuple(self.missing[split]))
        told = {rejection for missing in self.missing.values() for rejection in missing}
        rejections = [rejection for rejection in self.rejections if rejection not in told]
        return replace(self.before, splits=splits, rejections=rejections, vectors=self.vectors, listed=self.listed)


class _Index:
    """Clips by what a list may call them: path, the data set's own id, or a part of it that may stand alone."""

    def __init__(self, reading: Reading, clips: dict[str, Clip]) -> None:
        self.form = reading.form
        self.by_path: dict[str, list[str]] = {}
        self.by_item: dict[str, list[str]] = {}
        self.by_part: dict[str, list[str]] = {}
        for clip_id, clip in sorted(clips.items()):
            for path in {clip_id, clip.path, PurePosixPath(clip.path).with_suffix("").as_posix()}:
                self.by_path.setdefault(path, []).append(clip_id)
            names = {reading.ids[clip_id]} if clip_id in reading.ids else {bare(clip_id), bare(clip.path)}
            for item in {self.form.item_of(name) for name in names}:
                self.by_item.setdefault(item, []).append(clip_id)
                self.by_part.setdefault(self.form.part_of(item), []).append(clip_id)

    def clips_of(self, item: str, written: str) -> list[str]:
        """The clips that an entry names: of that path, else of that id.

        A video alone names all its clips; a clip of which only the video is known is named by any second of it.
        """
        part = self.form.part_of(item)
        of_part = self.by_part.get(item, []) if part == item else self.by_item.get(part, [])
        return self.by_path.get(written) or self.by_item.get(item) or of_part
