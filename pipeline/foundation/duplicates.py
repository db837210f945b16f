"""Leaks by content: a frame or a sound of one split found again in another, also where it was encoded anew.

Each clip's fingerprints lie beside its shard, in `fingerprints.h5`: `phash` int8 (n, 64), `thumbnail` uint8
(n, 16, 16), `bits` uint32 and `counts` bool (n, T), `outline` int8 (n, T). Only clips of different splits are compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import fingerprints
from pipeline.foundation import shards
from pipeline.foundation.leaks import By, Leak
from pipeline.foundation.manifest import SPLITS, Split
from pipeline.foundation.shards import Shards

PCM = 32767  # of 16 bit samples


def write(
    path: Path,
    clip_ids: Sequence[str],
    frames: NDArray[np.uint8],
    waveforms: Sequence[NDArray[np.int16]],
    sample_rate: int,
    seconds: float,
) -> None:
    """Write the fingerprints of some clips: frames (n, S, S, 3), waveforms of at most `seconds`."""
    steps = fingerprints.n_steps(seconds)
    n = len(clip_ids)
    arrays: dict[str, NDArray[Any]] = {
        "phash": np.zeros((n, 64), np.int8),
        "thumbnail": np.zeros((n, fingerprints.THUMBNAIL, fingerprints.THUMBNAIL), np.uint8),
        "bits": np.zeros((n, steps), np.uint32),
        "counts": np.zeros((n, steps), bool),
        "outline": np.zeros((n, steps // fingerprints.POOL * fingerprints.BITS), np.int8),
    }
    for i, (frame, waveform) in enumerate(zip(frames, waveforms, strict=True)):
        arrays["phash"][i], arrays["thumbnail"][i] = fingerprints.frame_hash(frame)
        heard = fingerprints.sound_hash(_floats(waveform), sample_rate, steps)
        arrays["bits"][i], arrays["counts"][i], arrays["outline"][i] = heard
    shards.write(path, "extract", clip_ids, arrays)


def _floats(waveform: NDArray[np.int16]) -> NDArray[np.float32]:
    return waveform.astype(np.float32) / np.float32(PCM)


class _Frames:
    """How frames are compared: roughly by `vectors`, then more and more strictly, at more and more cost."""

    by: By = "frame"
    vectors = "phash"
    least_cosine = fingerprints.PHASH_COSINE

    def __init__(self, marks: Shards, _: Shards) -> None:
        self.marks = marks

    def alike(self, one: str, others: list[str]) -> NDArray[np.bool_]:
        thumbnail, thumbnails = self.marks.read(one, "thumbnail"), self.marks.stack(others, "thumbnail")
        return fingerprints.correlations(thumbnail, thumbnails) >= fingerprints.THUMBNAIL_CORRELATION

    def same(self, one: str, other: str) -> bool:
        return True


class _Sounds:
    """How sounds are compared, likewise."""

    by: By = "sound"
    vectors = "outline"
    least_cosine = fingerprints.OUTLINE_COSINE

    def __init__(self, marks: Shards, sounds: Shards) -> None:
        self.marks, self.sounds = marks, sounds
        self.sample_rate = int(sounds.attributes["sample_rate"])

    def alike(self, one: str, others: list[str]) -> NDArray[np.bool_]:
        mine = self.marks.read(one, "bits"), self.marks.read(one, "counts")
        theirs = self.marks.stack(others, "bits"), self.marks.stack(others, "counts")
        return fingerprints.error_rates(*mine, *theirs) <= fingerprints.BIT_ERRORS

    def same(self, one: str, other: str) -> bool:
        a, b = (_floats(self.sounds.read(clip_id, "waveform")) for clip_id in (one, other))
        return fingerprints.waveform_correlation(a, b, self.sample_rate) >= fingerprints.WAVEFORM_CORRELATION


def leaks(folder: Path, waveforms: Path, split_of: Mapping[str, Split]) -> set[Leak]:
    """Frames and sounds that are in two splits: fingerprints from the shards of `folder`, sounds from `waveforms`."""
    marks, sounds = Shards(folder), Shards(waveforms)
    place = {clip_id: i for i, clip_id in enumerate(marks.clip_ids)}
    ids = {split: sorted(clip_id for clip_id in place if split_of[clip_id] == split) for split in SPLITS}
    found: set[Leak] = set()
    for kind in (_Frames(marks, sounds), _Sounds(marks, sounds)):
        vectors = np.concatenate([shard.read_all(kind.vectors) for shard in marks.shards])
        for number, later in enumerate(SPLITS):
            for earlier in SPLITS[:number]:
                one, other = (vectors[[place[clip_id] for clip_id in ids[split]]] for split in (later, earlier))
                near = fingerprints.similar(one, other, kind.least_cosine)
                pairs = sorted((ids[later][i], ids[earlier][j]) for i, j in near.tolist())
                found |= {Leak(a, later, b, earlier, kind.by) for a, b in _same(pairs, kind)}
    return found


def _same(pairs: list[tuple[str, str]], kind: _Frames | _Sounds) -> Iterator[tuple[str, str]]:
    """Pairs that are the same, until each of their clips is named: the jingle of a thousand clips costs thousands of
    the last comparison, not a million.
    """
    named: set[str] = set()
    for one, group in groupby(pairs, key=itemgetter(0)):
        others = [other for _, other in group]
        for other in compress(others, kind.alike(one, others)):
            if not {one, other} <= named and kind.same(one, other):
                named |= {one, other}
                yield one, other
