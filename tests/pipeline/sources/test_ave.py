import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.extract import sample_of
from pipeline.foundation import manifest
from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import SAFE_ID
from pipeline.foundation.params import Extract, Source
from pipeline.sources import ave
from tests.samples import greys, real, source_of, tone, write_media

LINES = (
    "Church bell&RUhOCu3LNXM&good&0&10",
    "Bark&MH3m4AwEcRY&good&6&8",
    "Baby cry, infant cry&-ccciEuH9FE&good&5&10",
    "Female speech, woman speaking&-ccciEuH9FE&good&5&10",
)


def source(root: Path) -> Source:
    return source_of(root, "ave")


def lay_out(root: Path, lines: tuple[str, ...] = LINES, folder: str = "", **orders: list[int]) -> Path:
    (root / folder).mkdir(exist_ok=True)
    (root / folder / "Annotations.txt").write_text("\n".join(lines))
    for split, order in ({"train": [0, 2], "val": [1], "test": [3]} | orders).items():
        with h5py.File(root / folder / f"{split}_order.h5", "w") as file:
            file["order"] = np.array(order, np.int64)
    return root


def test_a_line_is_a_clip_of_the_event_s_middle_and_its_sound(tmp_path):
    reading = ave.read(source(lay_out(tmp_path)))
    (bark,) = reading.splits["val"].clips
    assert (bark.clip_id, bark.media, bark.label) == ("MH3m4AwEcRY_6_8_Bark", "AVE/MH3m4AwEcRY.mp4", "Bark")
    assert (bark.frame_s, bark.sound_s, bark.group) == (7.0, 6.0, "MH3m4AwEcRY")
    assert not any(part.boxes for part in reading.splits.values())
    assert reading.rejections == []


def test_two_lines_of_one_video_are_two_clips_of_one_group_even_in_two_splits(tmp_path):
    reading = ave.read(source(lay_out(tmp_path)))
    crying = next(clip for clip in reading.splits["train"].clips if "cry" in clip.label)
    (speaking,) = reading.splits["test"].clips
    assert crying.group == speaking.group == "-ccciEuH9FE"
    assert crying.media == speaking.media
    assert crying.clip_id != speaking.clip_id
    assert SAFE_ID.fullmatch(crying.clip_id)


def test_frame_and_sound_come_from_the_event(tmp_path):
    lay_out(tmp_path, ("Bark&MH3m4AwEcRY&good&1&3",), train=[0], val=[], test=[])
    (tmp_path / "AVE").mkdir()
    write_media(tmp_path / "AVE" / "MH3m4AwEcRY.mp4", greys(40), tone(4), fps=10)
    settings = Extract(
        frame_position=0.5,
        frame_size=32,
        sample_rate=44100,
        seconds=10.0,
        cpu_limit=60.0,
        max_megapixels=50.0,
        shard_clips=8,
    )
    (clip,) = ave.read(source(tmp_path)).splits["train"].clips
    sample = sample_of(clip, tmp_path, settings)
    assert abs(float(sample.frame.mean()) - 10 * (20 % 24 + 1)) < 3
    assert abs(len(sample.waveform) - 3 * 44_100) < 4400


def test_the_repository_s_folder_and_films_at_the_top_are_found(tmp_path):
    lay_out(tmp_path, folder="data")
    write_media(tmp_path / "MH3m4AwEcRY.mp4", greys(2), tone(1))
    (bark,) = ave.read(source(tmp_path)).splits["val"].clips
    assert bark.media == "MH3m4AwEcRY.mp4"


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        ("Bark&VWi2ENBuTbw&good&0&0", "VWi2ENBuTbw", "from 0 to 0 s is empty"),
        ("Bark&VWi2ENBuTbw&good&8&6", "VWi2ENBuTbw", "from 8 to 6 s is empty"),
        ("Bark&VWi2ENBuTbw&good&0&11", "VWi2ENBuTbw", "leaves the film"),
        ("Bark&VWi2ENBuTbw&good&-1&5", "VWi2ENBuTbw", "leaves the film"),
        ("Bark&VWi2ENBuTbw&good&nan&5", "VWi2ENBuTbw", "empty, or leaves"),
        ("Bark&VWi2ENBuTbw&good&one&5", "VWi2ENBuTbw", "not in seconds"),
        ("Bark&../../x.mp4&good&0&5", "../../x.mp4", "no YouTube id"),
        ("Bark&VWi2ENBuTbw&good&0", "VWi2ENBuTbw", "is not class&video"),
        ("", "line 4", "is not class&video"),
        (LINES[1], "MH3m4AwEcRY", "the same event"),
    ],
)
def test_a_faulty_line_is_rejected_alone(tmp_path, line, name, reason):
    reading = ave.read(source(lay_out(tmp_path, (*LINES, line, "Cat&VWi2ENBuTbx&good&0&5"), train=[0, 2, 4, 5])))
    assert sum(len(part.clips) for part in reading.splits.values()) == 5
    (rejection,) = reading.rejections
    assert (rejection.clip_id, rejection.path) == (name, "Annotations.txt:5")
    assert reason in rejection.reason


PARTS = st.text(st.characters(exclude_characters="&\r\n", exclude_categories=["Cs"]), max_size=4)


@given(st.lists(PARTS | st.sampled_from(["VWi2ENBuTbw", "0", "5"]), max_size=6))
@settings(max_examples=40, deadline=None)
def test_whatever_a_line_holds_it_is_kept_or_named(tmp_path_factory, parts):
    root = lay_out(tmp_path_factory.mktemp("ave"), (*LINES, "&".join(parts), LINES[0]), train=[0, 2, 4])
    reading = ave.read(source(root))
    clips = sum(len(part.clips) for part in reading.splits.values())
    assert clips + len(reading.rejections) == 6
    manifest.write(root / "train", reading.splits["train"])
    assert manifest.read(root / "train").clips == reading.splits["train"].clips
    manifest.write_rejected(root, reading.rejections)


def test_lines_that_the_splits_do_not_list_once_are_named(tmp_path):
    reading = ave.read(source(lay_out(tmp_path, train=[0], val=[1, 0, 9, -1])))
    assert [(rejection.clip_id, rejection.path) for rejection in reading.rejections] == [
        ("line 0", "val_order.h5"),
        ("line 9", "val_order.h5"),
        ("line -1", "val_order.h5"),
        ("-ccciEuH9FE", "Annotations.txt:3"),
    ]
    assert [clip.label for clip in reading.splits["train"].clips] == ["Church bell"]


def broken_order(path: Path, value: object) -> None:
    with h5py.File(path, "w") as file:
        file["order"] = value


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda root: (root / "val_order.h5").unlink(), "no val_order.h5"),
        (lambda root: (root / "val_order.h5").write_bytes(b"no HDF5"), "val_order.h5: not an HDF5 file"),
        (lambda root: h5py.File(root / "val_order.h5", "w").close(), "val_order.h5: not an HDF5 file with an array"),
        (lambda root: broken_order(root / "val_order.h5", [0.5]), "val_order.h5: order is float64"),
        (lambda root: broken_order(root / "val_order.h5", [[1]]), "val_order.h5: order is int64 of shape"),
        (lambda root: (root / "Annotations.txt").write_bytes(b"\xff\xfe"), "Annotations.txt: not UTF-8"),
        (lambda root: (root / "Annotations.txt").write_text("none"), "none of its 1 lines can be used"),
        (lambda root: (root / "Annotations.txt").unlink(), "no Annotations.txt"),
    ],
)
def test_a_list_that_cannot_be_read_is_told_in_one_line(tmp_path, spoil, line):
    lay_out(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=line) as caught:
        ave.read(source(tmp_path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.real
def test_the_real_lists_are_read_whole(tmp_path):
    for path in (real("annotations") / "YapengTian__AVE-ECCV18" / "data").iterdir():
        shutil.copy(path, tmp_path)
    reading = ave.read(source(tmp_path))
    assert {split: len(part.clips) for split, part in reading.splits.items()} == {
        "train": 3338,
        "val": 402,
        "test": 402,
    }
    (empty,) = reading.rejections
    assert empty.clip_id == "VWi2ENBuTbw"
    splits_of: dict[str, set[str]] = {}
    for split, part in reading.splits.items():
        for clip in part.clips:
            splits_of.setdefault(clip.group, set()).add(split)
    assert len(splits_of) == 4097 - 1
    assert Counter(frozenset(splits) for splits in splits_of.values() if len(splits) > 1) == {
        frozenset({"train", "test"}): 8,
        frozenset({"train", "val"}): 10,
    }
    assert len({clip.label for part in reading.splits.values() for clip in part.clips}) == 28
