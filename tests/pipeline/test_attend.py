from pathlib import Path

import numpy as np
import pytest

from model import bottom_up, regions
from model.regions import UNKNOWN, Regions
from pipeline import attend
from pipeline.foundation import shards
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Attend

SETTINGS = Attend(
    proposer="selective_search",
    k=10,
    order="area",
    mask_t=None,
    weight="uniform",
    tau=0.5,
    resize="bilinear",
    control="none",
    seed=0,
)
BOXES = np.array([[x, y, 40, 30] for x in range(0, 24, 2) for y in range(0, 34, 3)], np.int16)


def map_of(boxes: np.ndarray, clip_id: str, settings: Attend, size: int) -> np.ndarray:
    weight = "uniform" if settings.weight == "auto" else settings.weight
    return attend.maps_of({clip_id: found(boxes)}, settings, weight, size)[0]


def found(boxes: np.ndarray) -> Regions:
    return Regions(boxes, np.arange(1, len(boxes) + 1, dtype=np.int16), np.zeros(len(boxes), np.int16))


def with_(**changes) -> Attend:
    return SETTINGS.model_copy(update=changes)


def test_a_map_is_eq_1_of_the_first_k():
    unknown = np.full(len(BOXES), UNKNOWN, np.int16)
    made = attend.maps_of({"clip": Regions(BOXES, unknown, unknown)}, with_(order="opencv"), "uniform", 64)
    expected = bottom_up.grid_maps([BOXES[:10]], [np.full(10, 0.1)], 64, "bilinear")
    assert made.tolist() == expected.tolist()


def test_the_order_by_area_follows_from_seed_and_clip():
    maps = [map_of(BOXES, clip, with_(seed=seed), 64).tolist() for clip in ("a", "b") for seed in (0, 1)]
    assert all(maps.count(made) == 1 for made in maps)
    assert map_of(BOXES, "a", SETTINGS, 64).tolist() == maps[0]


def test_controls():
    made = map_of(BOXES, "clip", SETTINGS, 64)
    permuted = map_of(BOXES, "clip", with_(control="cells"), 64)
    assert sorted(permuted.ravel()) == sorted(made.ravel())
    assert permuted.tolist() != made.tolist()
    assert not map_of(BOXES, "clip", with_(control="constant"), 64).any()
    moved = map_of(BOXES, "clip", with_(control="places"), 64)
    assert moved.sum() > 0
    assert moved.tolist() != made.tolist()


def test_the_expected_map_is_the_mean_over_seeds():
    seeds = [map_of(BOXES, "clip", with_(order="opencv", seed=seed), 64) for seed in range(1000)]
    expected = map_of(BOXES, "clip", with_(order="expected"), 64)
    assert expected == pytest.approx(np.mean(seeds, axis=0), abs=0.02)


def test_the_expected_mask_is_how_often_a_seed_s_map_is_above_the_threshold():
    seeds = [map_of(BOXES, "clip", with_(order="opencv", seed=seed), 64) > 0.5 for seed in range(1000)]
    expected = map_of(BOXES, "clip", with_(order="expected", mask_t=0.5), 64)
    assert np.abs(expected - np.mean(seeds, axis=0)).mean() < 0.05


@pytest.mark.parametrize(
    ("changes", "unit"), [({}, 1 / 40), ({"weight": "rank"}, 0), ({"resize": "area"}, 0), ({"order": "expected"}, 0)]
)
def test_a_shard_says_what_its_numbers_count(tmp_path, changes, unit):
    clips = [found(BOXES), found(BOXES[:3])]
    rows = {name: [getattr(of_clip, name) for of_clip in clips] for name in ("box", "level", "grouping")}
    shards.write_flat(tmp_path / "regions.h5", "propose", ["a", "b"], rows, size=64)
    attend.attend_shard(tmp_path, tmp_path / "regions.h5", with_(**changes))
    shard = shards.Shard(tmp_path / "bottom_up.h5")
    assert shard.attributes["unit"] == unit
    assert shard.read("b", "map").shape == (4, 4)
    assert shard.read("b", "map").dtype == np.float32


def test_changing_the_order_searches_nothing_again(prepared):
    before = prepared.bytes_of("data/bottom_up")
    prepared.set({"attend": {"order": "opencv"}})
    prepared.stage("attend")
    assert prepared.bytes_of("data/bottom_up") != before
    prepared.set({"attend": {"order": "area"}})
    prepared.stage("attend")
    assert prepared.bytes_of("data/bottom_up") == before


def scored(tmp_path, scores: np.ndarray) -> Path:
    rows = {
        "box": [BOXES[: len(scores)]],
        "score": [scores.astype(np.float32)],
        "label": [np.ones(len(scores), np.int16)],
    }
    shards.write_flat(tmp_path / "regions.h5", "detect", ["a"], rows, size=64, is_scored=1)
    return tmp_path / "regions.h5"


def attended(tmp_path, path: Path, **changes) -> shards.Shard:
    attend.attend_shard(tmp_path, path, with_(**changes))
    return shards.Shard(tmp_path / "bottom_up.h5")


@pytest.mark.parametrize("weight", ["score", "auto"])
def test_scored_regions_above_tau_are_summed_by_their_scores(tmp_path, weight):
    scores = np.linspace(0, 1, 40)
    made = attended(tmp_path, scored(tmp_path, scores), weight=weight, tau=0.6, k=1)
    kept = scores.astype(np.float32) > 0.6
    expected = bottom_up.clipped_map(BOXES[:40][kept], scores[kept], 64, "bilinear")
    assert made.read("a", "map") == pytest.approx(expected, abs=1e-6)
    assert made.attributes["unit"] == 0


def test_table_3_tau_keeps_other_numbers_of_boxes_and_detects_nothing_again(tmp_path):
    path = scored(tmp_path, np.linspace(0, 1, 101))
    before = path.read_bytes()
    maps = {tau: attended(tmp_path, path, weight="score", tau=tau).read("a", "map") for tau in (0.3, 0.5, 0.7)}
    read = shards.Shard(path)
    kept = {tau: len(regions.surer(read.read("a", "box"), read.read("a", "score"), tau)[0]) for tau in maps}
    assert len(read.read("a", "box")) == 101
    assert kept == {0.3: 70, 0.5: 50, 0.7: 30}
    assert len({made.tobytes() for made in maps.values()}) == 3
    assert path.read_bytes() == before


def test_a_search_has_no_score_to_weigh_by(tmp_path):
    rows = {name: [getattr(found(BOXES), name)] for name in ("box", "level", "grouping")}
    shards.write_flat(tmp_path / "regions.h5", "propose", ["a"], rows, size=64)
    auto = attended(tmp_path, tmp_path / "regions.h5", weight="auto").read("a", "map")
    assert auto.tolist() == attended(tmp_path, tmp_path / "regions.h5").read("a", "map").tolist()
    with pytest.raises(UserError, match=r"attend\.weight.*selective_search have none.*accepted"):
        attended(tmp_path, tmp_path / "regions.h5", weight="score")


def test_scored_regions_can_be_taken_by_area_too(tmp_path):
    made = attended(tmp_path, scored(tmp_path, np.zeros(40)), weight="uniform")
    assert made.read("a", "map").any()
    assert made.attributes["unit"] == 1 / 40


def test_no_region_above_tau_gives_an_empty_map(tmp_path):
    assert not attended(tmp_path, scored(tmp_path, np.zeros(40)), weight="score").read("a", "map").any()


def test_a_shard_of_clips_that_were_all_rejected_is_an_empty_one(tmp_path):
    shards.write_flat(tmp_path / "regions.h5", "propose", [], {"box": []}, size=0)
    attend.attend_shard(tmp_path, tmp_path / "regions.h5", SETTINGS)
    assert shards.Shard(tmp_path / "bottom_up.h5").clip_ids == []
