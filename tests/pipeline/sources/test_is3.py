import gzip
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.foundation import manifest
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Source
from pipeline.sources import is3
from tests.samples import real, source_of, tone


def source(root: Path) -> Source:
    return source_of(root, "is3")


def thing(stem: str, box: object) -> dict:
    return {"image": f"/home/x/frames/{stem}.jpg", "audio": f"/home/x/../wav/{stem}.wav", "gt_box": box}


CAT, DOG = thing("cat_dog_10_cat", [0.0, 56.0, 112.0, 224.0]), thing("cat_dog_10_dog", [112.0, 0.0, 224.0, 224.0])


def lay_out(root: Path, entries: object, name: str = "IS3_annotation.json") -> Path:
    (root / name).write_text(json.dumps(entries))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("images", "audio_waw", "gt_segmentation"):
        (tmp_path / folder).mkdir()
    for stem in ("cat_dog_10_cat", "cat_dog_10_dog"):
        Image.fromarray(np.zeros((224, 224, 3), np.uint8)).save(tmp_path / "images" / f"{stem}.jpg")
        soundfile.write(tmp_path / "audio_waw" / f"{stem}.wav", tone(0.1, 8000), 8000)
    Image.fromarray(np.ones((224, 224), np.uint8)).save(tmp_path / "gt_segmentation" / "cat_dog_10_cat.png")
    return lay_out(tmp_path, [CAT, DOG])


def test_each_thing_of_a_picture_is_a_hard_clip_of_test_with_the_other_as_silent(root):
    reading = is3.read(source(root))
    test = reading.splits["test"]
    assert not reading.splits["train"].clips
    cat, dog = test.clips
    assert (cat.clip_id, cat.label, cat.group, cat.hard) == ("cat_dog_10_cat", "cat", "cat_dog_10", True)
    assert (cat.frame, cat.sound) == ("images/cat_dog_10_cat.jpg", "audio_waw/cat_dog_10_cat.wav")
    assert (cat.mask, dog.mask) == ("gt_segmentation/cat_dog_10_cat.png", "")
    assert dog.group == cat.group
    boxes = {box.label: box for box in test.boxes_of()["cat_dog_10_cat"]}
    box = boxes["cat"]
    assert (box.x0, box.y0, box.x1, box.y1, box.sounding) == (0.0, 0.25, 0.5, 1.0, True)
    assert (boxes["dog"].x0, boxes["dog"].sounding) == (0.5, False)
    assert [box.sounding for box in test.boxes_of()["cat_dog_10_dog"]] == [False, True]


@pytest.mark.parametrize(("images", "sounds"), [("visual_frames", "audio_wav"), ("images", "audio")])
def test_other_names_of_the_folders_are_found(root, images, sounds):
    (root / "images").rename(root / images)
    (root / "audio_waw").rename(root / sounds)
    cat = is3.read(source(root)).splits["test"].clips[0]
    assert (cat.frame, cat.sound) == (f"{images}/cat_dog_10_cat.jpg", f"{sounds}/cat_dog_10_cat.wav")


def test_a_missing_file_stays_a_clip_that_extract_will_miss(root):
    (root / "images" / "cat_dog_10_cat.jpg").unlink()
    cat, dog = is3.read(source(root)).splits["test"].clips[:2]
    assert (cat.frame, dog.frame) == ("images/cat_dog_10_dog.jpg",) * 2  # the other file of the same picture
    (root / "images" / "cat_dog_10_dog.jpg").unlink()
    assert is3.read(source(root)).splits["test"].clips[0].frame == "images/cat_dog_10_cat.jpg"


def test_the_clips_of_a_picture_name_one_file(root):
    cat, dog = is3.read(source(root)).splits["test"].clips[:2]
    assert (cat.frame, cat.sound) == ("images/cat_dog_10_cat.jpg", "audio_waw/cat_dog_10_cat.wav")
    assert (dog.frame, dog.sound) == ("images/cat_dog_10_cat.jpg", "audio_waw/cat_dog_10_dog.wav")


def test_a_name_with_spaces_becomes_a_safe_one(root):
    stem = "baby_electric grinder grinding_baby"
    (clip,) = is3.read(source(lay_out(root, [thing(stem, [0, 0, 9, 9])]))).splits["test"].clips
    assert clip.clip_id.startswith("baby_electric_grinder_grinding_baby-")
    assert (clip.frame, clip.label, clip.hard) == (f"images/{stem}.jpg", "baby", False)


def test_a_box_of_zeros_means_that_nothing_is_boxed(root, caplog):
    (root / "IS3_annotation.json").unlink()
    entries = [thing("000000489267_157452", [0.0, 0.0, 0.0, 0.0]), thing("000000489267_157453", [1, 1, 9, 9])]
    with caplog.at_level(logging.INFO):
        reading = is3.read(source(lay_out(root, entries, "vpo_ms_bbox.json")))
    test = reading.splits["test"]
    assert [(clip.label, clip.group, clip.hard) for clip in test.clips] == [("", "000000489267", True)] * 2
    silent, boxed = test.boxes_of().values()
    assert ([box.sounding for box in silent], [box.sounding for box in boxed]) == ([False], [True])
    assert "1 boxes of vpo_ms_bbox.json are all zeros" in caplog.text
    assert reading.rejections == []


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (["no object"], "not an object with image"),
        ({"image": "a_b.jpg", "gt_box": [0, 0, 9, 9]}, "its audio is None"),
        ({"image": "a/..", "audio": "b.wav", "gt_box": [0, 0, 9, 9]}, "no file's name"),
        (thing("x_y_1_y", "/home/x/mask.png"), "its gt_box is '/home/x/mask.png'"),
        (CAT, "named twice"),
    ],
)
def test_a_faulty_entry_is_rejected_alone(root, entry, reason):
    reading = is3.read(source(lay_out(root, [CAT, DOG, entry])))
    assert (len(reading.splits["test"].clips), len(reading.splits["test"].boxes)) == (2, 4)
    (rejection,) = reading.rejections
    assert reason in rejection.reason
    assert rejection.path == "IS3_annotation.json"


@pytest.mark.parametrize("box", [[9, 9, 0, 0], [0, 0, 225, 9], [float("nan"), 0, 9, 9], [1, 2, 3], [-1, 0, 9, 9]])
def test_a_faulty_box_is_rejected_and_its_clip_kept(root, box):
    reading = is3.read(source(lay_out(root, [CAT, thing("cat_dog_10_dog", box)])))
    test = reading.splits["test"]
    assert [clip.clip_id for clip in test.clips] == ["cat_dog_10_cat", "cat_dog_10_dog"]
    assert [(box.clip_id, box.label) for box in test.boxes] == [("cat_dog_10_cat", "cat"), ("cat_dog_10_dog", "cat")]
    assert [rejection.clip_id for rejection in reading.rejections] == ["cat_dog_10_dog"]


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=3)
ENTRIES = st.fixed_dictionaries(
    {"image": st.text(max_size=6) | VALUES, "audio": st.just("a.wav"), "gt_box": st.lists(VALUES, max_size=5) | VALUES}
)


@given(st.lists(ENTRIES | VALUES, max_size=6))
@settings(max_examples=40, deadline=None)
def test_whatever_the_list_holds_every_entry_is_kept_or_named(tmp_path_factory, value):
    root = lay_out(tmp_path_factory.mktemp("is3"), [CAT, *value])
    reading = is3.read(source(root))
    test = reading.splits["test"]
    assert len(test.clips) + len([r for r in reading.rejections if "box is not" not in r.reason]) == 1 + len(value)
    manifest.write(root / "test", test)
    assert [clip.clip_id for clip in manifest.read(root / "test").clips] == [clip.clip_id for clip in test.clips]
    manifest.write_rejected(root, reading.rejections)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{"image":', "not a JSON file"),
        ("{}", "holds a dict"),
        ("[]", "names no picture"),
        ("[1]", "names no picture"),
    ],
)
def test_a_list_that_cannot_be_read_is_told_in_one_line(root, text, line):
    (root / "IS3_annotation.json").write_text(text)
    with pytest.raises(UserError, match=line) as caught:
        is3.read(source(root))
    assert len(str(caught.value).splitlines()) == 1


def test_no_list_and_two_lists_are_told(root):
    lay_out(root, [CAT], "vpo_ss_bbox.json")
    with pytest.raises(UserError, match=r"holds IS3_annotation.json, vpo_ss_bbox.json; put exactly one"):
        is3.read(source(root))
    (root / "vpo_ss_bbox.json").unlink()
    (root / "IS3_annotation.json").unlink()
    with pytest.raises(UserError, match="holds no list"):
        is3.read(source(root))


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_clips", "n_pictures", "n_boxed"),
    [
        ("synthetic3240_bbox.json", 6480, 3240, 6480),
        ("vpo_ss_bbox.json", 890, 890, 890),
        ("vpo_ms_bbox.json", 2157, 1432, 2155),
    ],
)
def test_the_real_lists_are_read_whole(tmp_path, name, n_clips, n_pictures, n_boxed):
    packed = real("annotations") / "kaistmm__SSLalignment" / "metadata" / f"{name}.gz"
    (tmp_path / name).write_bytes(gzip.decompress(packed.read_bytes()))
    reading = is3.read(source(tmp_path))
    test = reading.splits["test"]
    assert reading.rejections == []
    assert (len(test.clips), len({clip.group for clip in test.clips})) == (n_clips, n_pictures)
    assert sum(box.sounding for box in test.boxes) == n_boxed
    if name.startswith("synthetic"):
        assert all(clip.hard for clip in test.clips)
        assert {len(boxes) for boxes in test.boxes_of().values()} == {2}
        assert len({clip.label for clip in test.clips}) == 111
