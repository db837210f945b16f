from pathlib import Path

import numpy as np
import pytest

from model.baselines import centre_map
from model.localization import ciou
from model.voting import vote
from pipeline.foundation import scores, shards
from pipeline.foundation.manifest import Box, Clip
from pipeline.foundation.voters import Voters, other_clips

SIZE = 64
BOXES = {
    "a": [[0, 0, 32, 32], [8, 8, 40, 40], [0, 0, 64, 64]],
    "b": [[32, 32, 32, 32], [10, 0, 20, 60]],
    "c": [[0, 32, 32, 32]],
}


def clips(**groups: str) -> list[Clip]:
    return [Clip(clip_id, media=clip_id, group=group) for clip_id, group in groups.items()]


@pytest.fixture
def voters(tmp_path: Path) -> Voters:
    (tmp_path / "regions").mkdir()
    (tmp_path / "frames").mkdir()
    boxes = [np.array(box, np.int16) for box in BOXES.values()]
    shards.write_flat(tmp_path / "regions/shard-00000.h5", "propose", [*BOXES], {"box": boxes})
    frames = np.zeros((3, SIZE, SIZE, 3), np.uint8)
    shards.write(tmp_path / "frames/shard-00000.h5", "extract", [*BOXES], {"frame": frames})
    return Voters.of(clips(a="1", b="2", c="1"), tmp_path / "regions", tmp_path / "frames")


def test_each_map_is_voted_on_by_its_own_clips_regions_and_by_another_groups(voters):
    maps = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    rows = np.array([2, 0])
    own = [np.array(BOXES[clip_id]) for clip_id in ("c", "a")]
    assert np.array_equal(voters.vote(rows, maps), vote(maps, own, SIZE))
    assert voters.others == ["b", voters.others[1], "b"]
    other = [np.array(BOXES["b"])] * 2
    assert np.array_equal(voters.vote_of_others(rows, maps), vote(maps, other, SIZE))


def test_the_other_clip_shows_another_picture_where_there_is_one():
    many = clips(**{f"p{i}": f"g{i // 2}" for i in range(20)})
    others = dict(zip([clip.clip_id for clip in many], other_clips(many), strict=True))
    group = {clip.clip_id: clip.group for clip in many}
    assert all(group[other] != group[clip_id] for clip_id, other in others.items())
    assert len(set(others.values())) > 5
    assert other_clips(clips(a="1", b="1")) == ["b", "a"]
    assert other_clips(clips(a="1")) == ["a"]


def test_scores_are_of_the_voted_maps_and_the_baselines_stay(voters, monkeypatch):
    rng = np.random.default_rng(1)
    right, wrong, below = rng.normal(size=(3, 3, 4, 4)).astype(np.float32)
    boxes = [[Box("", "", 0, 0, 0.5, 0.5, "", True)]] * 3
    names = ("adaptive", "half_max", "slavc_absolute")
    plain = scores.score(names, scores.Material(right, wrong, below, boxes), {})
    material = scores.Material(right, wrong, below, boxes, voters=voters)
    voted = scores.score(names, material, {})
    assert [*voted.baselines] == [*plain.baselines, "centre_voted", "bottom_up_voted", "other_boxes"]
    rows = np.arange(3)
    centre = np.repeat(centre_map()[None], 3, axis=0)
    shown = {
        "method": voters.vote(rows, right),
        "wrong_sound": voters.vote(rows, wrong),
        "centre_voted": voters.vote(rows, centre),
        "bottom_up_voted": voters.vote(rows, below),
        "other_boxes": voters.vote_of_others(rows, right),
    }
    truth = np.repeat(scores.truth_of(boxes[0])[None], 3, axis=0)
    for name in names:
        for who in ("centre", "bottom_up", "oracle"):
            assert np.array_equal(voted.ciou[name][who], plain.ciou[name][who])
        for who, maps in shown.items():
            # voted maps lie in [0, 1], where systems' own are cosines
            of_rule = 2 * maps - 1 if name == "slavc_absolute" else maps
            masks = scores.PROTOCOLS[name].masks(of_rule, truth)
            assert np.allclose(voted.ciou[name][who], ciou(masks, truth), atol=1e-3)
    monkeypatch.setattr(scores, "CHUNK", 2)
    again = scores.score(names, material, {})
    for name, by_who in again.ciou.items():
        for who, values in by_who.items():
            assert np.array_equal(values, voted.ciou[name][who]), (name, who)
