"""The regions that vote on the maps of a split (model/voting.py), read for a few clips at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.voting import vote
from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Clip
from pipeline.foundation.randomness import whole
from pipeline.foundation.shards import Shards

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Voters:
    """Whose regions vote on whose map.

    regions:  folder of data/regions. clip_ids: of the maps, in their order. size: of the frames, pixels a side.
    others:   for each clip another one, whose boxes know nothing of its frame.
    """

    regions: Shards
    clip_ids: list[str]
    others: list[str]
    size: int

    @classmethod
    def of(cls, clips: Sequence[Clip], regions: Path, frames: Path) -> "Voters":
        """The voters of these clips; raises UserError where a clip has no regions."""
        stored = Shards(regions)
        clip_ids = [clip.clip_id for clip in clips]
        if missing := [clip_id for clip_id in clip_ids if clip_id not in stored]:
            raise UserError(
                f"{regions}: no regions of {len(missing)} clips, among them {missing[0]}, to vote on their maps; run "
                "`dvc repro`, or set evaluate.vote: none"
            )
        size = len(Shards(frames).read(clip_ids[0], "frame"))
        return cls(stored, clip_ids, other_clips(clips), size)

    def vote(self, rows: NDArray[np.intp], maps: Map) -> Map:
        """The maps (B, h, w) of some clips as their own regions draw them, (B, S, S)."""
        return self._vote([self.clip_ids[row] for row in rows], maps)

    def vote_of_others(self, rows: NDArray[np.intp], maps: Map) -> Map:
        """The same maps as the regions of other clips draw them."""
        return self._vote([self.others[row] for row in rows], maps)

    def _vote(self, voters: Sequence[str], maps: Map) -> Map:
        return vote(maps, [self.regions.read(clip_id, "box") for clip_id in voters], self.size)


def other_clips(clips: Sequence[Clip]) -> list[str]:
    """For each clip one of another group, drawn from the clip's own id; where all are of one, the next one."""
    by_group: dict[str, list[str]] = {}
    for clip in clips:
        by_group.setdefault(clip.group, []).append(clip.clip_id)
    in_order = [clip_id for clip_ids in by_group.values() for clip_id in clip_ids]
    starts = np.cumsum([0, *map(len, by_group.values())])
    first = dict(zip(by_group, starts, strict=False))
    others = []
    for clip in clips:
        own = by_group[clip.group]
        if n_others := len(in_order) - len(own):
            place = whole(0, "other boxes", clip.clip_id) % n_others  # among all but its own group, who lie together
            others.append(in_order[place + len(own) * (place >= first[clip.group])])
        else:
            others.append(own[(own.index(clip.clip_id) + 1) % len(own)])
    return others
