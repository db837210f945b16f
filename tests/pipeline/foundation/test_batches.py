from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.foundation import shards
from pipeline.foundation.batches import Annotations, Augmentation, Clips, Folders
from pipeline.foundation.manifest import Box, Clip, Manifest

N, SIDE, CELLS = 7, 64, 4
IDS = [f"c{i}" for i in range(N)]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Seven clips in two shards; the frame and the map of a clip show the same pattern, cell by cell."""
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 200, (N, CELLS, CELLS)).astype(np.float32)
    frames = np.repeat(np.repeat(maps, 16, axis=1), 16, axis=2)[..., None].repeat(3, axis=3).astype(np.uint8)
    sounds = rng.normal(-40, 10, (N, 64, 20)).astype(np.float16)
    kinds = {"frames": ("frame", frames), "sounds": ("logmel", sounds), "maps": ("map", maps)}
    for folder, (name, values) in kinds.items():
        (tmp_path / folder).mkdir()
        for i, part in enumerate((slice(0, 4), slice(4, N))):
            path = tmp_path / folder / shards.shard_name(i)
            shards.write(path, "test", IDS[part], {name: values[part]}, unit=0.5)
    return Folders(tmp_path / "frames", tmp_path / "sounds", tmp_path / "maps")


@pytest.fixture
def clips(folders: Folders) -> Clips:
    return Clips(IDS, folders, torch.device("cpu"))


def test_a_batch_is_what_the_shards_hold(clips):
    batch = clips.batch(["c5", "c0"])
    assert batch.frames.shape == (2, 3, SIDE, SIDE)
    assert batch.frames.max() <= 1
    assert batch.sounds.shape == (2, 64, 20)
    assert batch.bottom_up[1].tolist() == clips.maps.read("c0", "map").tolist()
    assert torch.equal(batch.frames[0, 1, ::16, ::16] * 255, batch.bottom_up[0])
    assert batch.negative_sounds is None


def test_a_clip_that_a_stage_rejected_is_left_out(folders):
    assert Clips(["c3", "unknown", "c1"], folders, torch.device("cpu")).clip_ids == ["c1", "c3"]


def test_other_sounds_can_be_heard_with_a_frame(clips):
    batch = clips.batch(["c0", "c1"], sounds_of=["c2", "c3"])
    assert torch.equal(batch.sounds, clips.batch(["c2", "c3"]).sounds)


def test_batches_hold_every_clip_once_and_follow_from_seed_and_epoch(clips):
    order = [c for chunk in clips.shuffled(3, seed=0, epoch=0) for c in chunk]
    assert len(order) == 6  # the seventh, alone in its batch, waits
    assert len(set(order)) == 6
    assert order == [c for chunk in clips.shuffled(3, 0, 0) for c in chunk]
    assert order != [c for chunk in clips.shuffled(3, 0, 1) for c in chunk]
    assert order != [c for chunk in clips.shuffled(3, 1, 0) for c in chunk]


def test_the_shuffle_of_some_clips_does_not_depend_on_the_others(folders):
    some = Clips(IDS[:4], folders, torch.device("cpu"))
    everyone = Clips(IDS, folders, torch.device("cpu"))
    order = [c for chunk in everyone.shuffled(N, 0, 0) for c in chunk if c in some.clip_ids]
    assert order == [c for chunk in some.shuffled(N, 0, 0) for c in chunk]


def test_a_negative_is_never_the_clip_itself_and_any_other_one(clips):
    drawn = {(c, o) for epoch in range(200) for c, o in zip(IDS, clips.others_than(IDS, 0, epoch), strict=True)}
    assert drawn == {(c, o) for c in IDS for o in IDS if c != o}


@pytest.mark.parametrize("kind", ["flips", "strong"])
def test_frame_and_map_are_augmented_as_one(clips, kind):
    moved = 0
    for epoch in range(20):
        batch = clips.batch(IDS, augmentation=Augmentation(kind, 0, epoch))
        for i in range(N):
            cells = batch.frames[i, 0, 8::16, 8::16].flatten()
            values = batch.bottom_up[i].flatten()
            order = values.argsort()
            assert (cells[order].diff() >= -1e-5).all()  # still the same pattern, but for brightness and contrast
            moved += not torch.equal(batch.bottom_up[i], torch.from_numpy(clips.maps.read(IDS[i], "map")))
    assert moved > 20


def test_flips_only_mirror_and_strong_also_shifts(clips):
    original = clips.maps.read("c0", "map")

    def variants(kind: str) -> set[bytes]:
        maps = (clips.batch(["c0"], augmentation=Augmentation(kind, 0, e)).bottom_up[0] for e in range(300))
        return {m.numpy().tobytes() for m in maps}

    assert variants("flips") == {original.tobytes(), np.ascontiguousarray(original[:, ::-1]).tobytes()}
    assert len(variants("strong")) == 4 * CELLS * CELLS  # mirrored, upside down, and shifted by whole cells


def test_an_augmented_clip_is_the_same_alone_and_in_company(clips):
    together = clips.batch(IDS, augmentation=Augmentation("strong", 0, 3))
    alone = clips.batch(["c4"], augmentation=Augmentation("strong", 0, 3))
    assert torch.equal(alone.frames[0], together.frames[4])
    assert torch.equal(alone.sounds[0], together.sounds[4])


def test_sound_is_rolled_and_made_louder_or_softer(clips):
    plain = clips.batch(["c0"]).sounds[0]
    heard = clips.batch(["c0"], augmentation=Augmentation("flips", 0, 1)).sounds[0]
    rolls = [heard - plain.roll(shift, dims=1) for shift in range(20)]
    gain = min(rolls, key=lambda difference: float(difference.std()))
    assert float(gain.std()) < 1e-4
    assert 0 < abs(float(gain.mean())) <= 6


def test_colours_are_changed_each_by_itself(clips):
    plain = clips.batch(["c0"]).frames[0]
    changed = clips.batch(["c0"], augmentation=Augmentation("flips", 0, 0)).frames[0]
    means = changed.mean(dim=(1, 2)) - plain.mean(dim=(1, 2))
    assert len({round(float(mean), 4) for mean in means}) == 3


def test_a_negative_is_the_other_s_sound_augmented_as_the_clip_s_own(clips):
    batch = clips.batch(["c0", "c1"], negatives_of=["c3", "c4"])
    assert torch.equal(batch.negative_sounds, clips.batch(["c3", "c4"]).sounds)
    augmented = clips.batch(["c0", "c1"], augmentation=Augmentation("flips", 0, 1), negatives_of=["c3", "c4"])
    plain = clips.batch(["c3"]).sounds[0]
    rolls = [augmented.negative_sounds[0] - plain.roll(shift, dims=1) for shift in range(20)]
    assert min(float(difference.std()) for difference in rolls) < 1e-4
    assert not torch.equal(augmented.negative_sounds[0], plain)
    assert torch.equal(augmented.sounds, clips.batch(["c0", "c1"], augmentation=Augmentation("flips", 0, 1)).sounds)


def test_kept_features_stand_in_for_frames(folders, tmp_path):
    (tmp_path / "features").mkdir()
    kept = np.random.default_rng(0).normal(size=(N, 5, CELLS, CELLS)).astype(np.float32)
    shards.write(tmp_path / "features" / shards.shard_name(0), "features", IDS, {"features": kept})
    with_features = Folders(folders.frames, folders.sounds, folders.bottom_up, tmp_path / "features")
    batch = Clips(IDS, with_features, torch.device("cpu")).batch(["c2"])
    assert batch.frames is None
    assert batch.features[0].tolist() == kept[2].tolist()


def test_statistics_of_the_sounds(clips):
    every = np.stack([clips.sounds.read(c, "logmel") for c in IDS]).astype(np.float64)
    assert clips.sound_statistics() == pytest.approx((every.mean(), every.std()), rel=1e-6)
    assert clips.sound_size == 64
    assert clips.unit == 0.5


def told(uses: set[str]) -> Annotations:
    split = Manifest(
        tuple(Clip(clip_id, media=f"{clip_id}.mp4", label="ab"[i % 2]) for i, clip_id in enumerate(IDS)),
        (
            Box("c0", "", 0, 0, 0.25, 0.125, "a", sounding=True),  # the first of four cells across, half of it
            Box("c1", "", 0, 0, 1, 1, "b", sounding=False),
            Box("c2", "", 0.5, 0.5, 1, 1, "a", sounding=True),
        ),
    )
    return Annotations.of(split, split, uses)


def test_nobody_is_told_of_boxes_and_labels_who_does_not_ask(folders):
    batch = Clips(IDS, folders, torch.device("cpu"), told(set())).batch(IDS)
    assert (batch.boxes, batch.labels) == (None, None)


def test_boxes_come_as_shares_of_cells_for_the_clips_that_have_any_round_what_sounds(folders):
    clips = Clips(IDS, folders, torch.device("cpu"), told({"boxes"}))
    assert clips.clip_ids == ["c0", "c2"]
    boxes = clips.batch(["c0", "c2"]).boxes
    assert boxes[0].nonzero().tolist() == [[0, 0]]
    assert boxes[0, 0, 0] == 0.5
    assert boxes[1].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_boxes_are_mirrored_and_shifted_as_the_frame_is(folders):
    clips = Clips(IDS, folders, torch.device("cpu"), told({"boxes"}))
    for epoch in range(8):
        batch = clips.batch(["c2"], augmentation=Augmentation("strong", 0, epoch))
        plain = clips.batch(["c2"])
        marked = {float(value) for value in plain.bottom_up[plain.boxes > 0]}
        assert {float(value) for value in batch.bottom_up[batch.boxes > 0]} == marked


def test_labels_are_numbered_as_those_of_the_clips_to_train_on(folders):
    clips = Clips(IDS, folders, torch.device("cpu"), told({"labels"}))
    assert clips.n_labels == 2
    assert clips.batch(["c1", "c4", "c0"]).labels.tolist() == [1, 0, 0]


def test_a_clip_without_a_label_is_not_among_those_that_have_one(folders):
    split = Manifest((Clip("c0", media="c0.mp4", label="a"), Clip("c1", media="c1.mp4")), ())
    clips = Clips(IDS, folders, torch.device("cpu"), Annotations.of(split, split, {"labels"}))
    assert clips.clip_ids == ["c0"]
    assert clips.n_labels == 1


@pytest.mark.parametrize("kind", ["as_coded", "as_coded_map_follows"])
def test_the_authors_flips_leave_the_map_behind_unless_told_otherwise(kind):
    """Half of the frames are upside down and half mirrored; a grey of four corners tells, whatever its colour."""
    corners = np.zeros((32, 32, 3), np.uint8)
    corners[:16, :16], corners[:16, 16:], corners[16:, :16], corners[16:, 16:] = 20, 60, 100, 140
    maps = np.arange(8, dtype=np.float32).reshape(2, 2, 2)  # the bottom-up map, and one that is annotated
    seen = set()
    for i in range(40):
        frame, moved, _, colour = Augmentation(kind, 0, 0)(f"clip {i}", corners, maps, np.zeros(3, np.float32))
        four = frame[::16, ::16].astype(int).sum(axis=2)
        flips = [
            (down, right)
            for down in (1, -1)
            for right in (1, -1)
            if (four[::down, ::right].argsort(axis=None) == np.arange(4)).all()
        ]
        ((down, right),) = flips
        seen.add((down, right))
        assert (moved[1] == maps[1, ::down, ::right]).all()
        assert (moved[0] == (maps[0] if kind == "as_coded" else maps[0, ::down, ::right])).all()
        assert colour.tolist() == [[1, 0]] * 3
    assert len(seen) == 4


def test_the_authors_jitter_greys_half_and_turns_hues():
    red = np.zeros((32, 32, 3), np.uint8) + np.array([200, 40, 40], np.uint8)
    drawn = [
        Augmentation("as_coded", 0, 0)(f"clip {i}", red, np.zeros((1, 2, 2), np.float32), np.zeros(1))[0][0, 0]
        for i in range(60)
    ]
    grey = [pixel for pixel in drawn if pixel.max() - pixel.min() <= 2]
    coloured = [pixel for pixel in drawn if pixel.max() - pixel.min() > 2]
    assert 15 < len(grey) < 45
    assert {int(pixel.argmax()) for pixel in coloured} == {0, 1, 2}
    again = Augmentation("as_coded", 0, 0)("clip 3", red, np.zeros((1, 2, 2), np.float32), np.zeros(1))[0]
    assert (again[0, 0] == drawn[3]).all()


def test_the_authors_leave_sounds_alone(clips):
    batch = clips.batch(["c0", "c1"], augmentation=Augmentation("as_coded", 0, 0), negatives_of=["c2", "c3"])
    plain = clips.batch(["c0", "c1"], negatives_of=["c2", "c3"])
    assert torch.equal(batch.sounds, plain.sounds)
    assert torch.equal(batch.negative_sounds, plain.negative_sounds)
    assert torch.equal(batch.bottom_up, plain.bottom_up)
    assert not torch.equal(batch.frames, plain.frames)
