from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from pipeline import source
from pipeline.foundation import manifest
from pipeline.foundation.manifest import Clip, Manifest
from pipeline.foundation.params import Source
from pipeline.foundation.shards import Shard
from pipeline.source import in_order
from pipeline.sources.reading import Reading
from tests.samples import greys, source_of, tone, write_media


def test_every_name_that_params_accepts_has_its_reader():
    assert set(source.READERS) == set(get_args(Source.model_fields["name"].annotation))


def test_a_fresh_order_is_by_clip_id():
    assert in_order([], ["b", "a"]) == ["a", "b"]


def test_new_clips_are_appended_and_old_ones_keep_their_places():
    assert in_order(["b", "c"], ["a", "b", "c", "d"]) == ["b", "c", "a", "d"]


def test_a_clip_that_is_gone_keeps_its_place():
    assert in_order(["b", "c", "d"], ["d", "a"]) == ["b", "c", "d", "a"]


def test_another_data_set_begins_a_fresh_order():
    assert in_order(["b", "c"], ["x", "y"]) == ["x", "y"]


def test_the_world_is_read_as_a_user_s_folder_is(prepared):
    splits = {split: manifest.read(prepared.folder / "data" / "source" / split) for split in manifest.SPLITS}
    assert {split: len(part.clips) for split, part in splits.items()} == {"train": 12, "val": 4, "test": 6}
    assert all(clip.label and clip.mask for clip in splits["train"].clips)
    assert all(any(box.sounding for box in boxes) for boxes in splits["test"].boxes_of().values())


def test_nothing_to_train_on_is_told(project):
    root = project.folder / "videos"
    root.mkdir()
    write_media(root / "a.mp4", greys(2), tone(1))
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos", "test_share": 0.99, "val_share": 0.0}})
    done = project.run("python", "-m", "pipeline.source")
    assert done.returncode == 1
    assert done.stderr.startswith("videos: none of its 1 clips is in train; lower source.val_share")
    assert len(done.stderr.splitlines()) == 1


def test_a_checkpoint_that_is_only_evaluated_needs_nothing_to_train_on(project):
    root = project.folder / "videos"
    root.mkdir()
    write_media(root / "a.mp4", greys(2), tone(1))
    shares = {"test_share": 1.0, "val_share": 0.0}
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos", **shares}})
    project.set({"train": {"init": "weights/world", "epochs": 0}})
    done = project.stage("source")
    assert "source: 0 train, 0 val, 1 test clips" in done.stderr
    assert manifest.read(project.folder / "data/source/train").clips == ()


def test_vectors_of_the_source_are_stored_by_clip(tmp_path):
    clips = (Clip("b", media="b.mp4", group="b"), Clip("a", media="a.mp4", group="a"))
    empty = Manifest((), ())
    vectors = {"a": np.ones(3, np.float32), "b": np.zeros(3, np.float32)}
    settings = source_of(Path("r"), "pairs")
    reading = Reading({"train": Manifest(clips, ()), "val": empty, "test": empty}, [], vectors)
    source.write(reading, settings, tmp_path / "out", tmp_path / "order.csv")
    shard = Shard(tmp_path / "out" / "vectors.h5")
    assert shard.read("a", "vector").tolist() == [1, 1, 1]


def test_masks_are_stored_on_the_grid_of_the_scores(tmp_path):
    mask = np.zeros((448, 112), np.uint8)
    mask[:224] = 255  # the upper half
    Image.fromarray(mask).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    clips = tuple(Clip(name, media=f"{name}.mp4", mask=f"{name}.png", group=name) for name in "ab")
    empty = Manifest((), ())
    settings = source_of(tmp_path)
    reading = Reading(
        {"train": Manifest((*clips, Clip("c", media="c.mp4", group="c")), ()), "val": empty, "test": empty}
    )
    source.write(reading, settings, tmp_path / "out", tmp_path / "order.csv")
    shard = Shard(tmp_path / "out" / "train" / "masks.h5")
    assert shard.clip_ids == ["a"]
    stored = shard.read("a", "mask")
    assert stored.shape == (224, 224)
    assert stored[:112].all()
    assert not stored[112:].any()
    (rejection,) = manifest.read_rejected(tmp_path / "out")
    assert (rejection.clip_id, rejection.path) == ("b", "b.png")
    assert rejection.reason.startswith("the clip is kept without its mask")


def test_a_group_in_two_splits_stops_with_the_list_unless_it_is_accepted(project):
    root = project.folder / "videos"
    root.mkdir()
    write_media(root / "a.mp4", greys(2), tone(1))
    (root / "clips.csv").write_text("clip_id,media,split,group\na,a.mp4,train,g\nb,a.mp4,test,g\n")
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos"}})
    done = project.run("python", "-m", "pipeline.source")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "videos: 1 clip in two splits at once, 1 by video: test b is train a (video); all of "
    )
    assert "data/source/leaks.csv; put what belongs together into one split" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    listed = (project.folder / "data/source/leaks.csv").read_text()
    assert listed == "clip_id,split,other_clip_id,other_split,by\nb,test,a,train,video\n"
    project.set({"source": {"accept_leaks": True}})
    assert "source.accept_leaks" in project.stage("source").stderr
    assert (project.folder / "data/source/leaks.csv").read_text() == listed
