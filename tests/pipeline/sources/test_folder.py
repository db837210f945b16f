import logging
import os
import unicodedata
from pathlib import Path

import pytest

from pipeline.foundation.errors import UserError
from pipeline.sources import folder
from pipeline.sources.reading import Reading
from tests.samples import source_of


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def clips_of(reading: Reading) -> dict[str, object]:
    return {clip.clip_id: clip for part in reading.splits.values() for clip in part.clips}


def split_of(reading: Reading) -> dict[str, str]:
    return {clip.clip_id: split for split, part in reading.splits.items() for clip in part.clips}


def told(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        folder.read(source_of(root))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_every_media_file_at_any_depth_is_a_clip(tmp_path):
    touch(tmp_path, "a.mp4", "b/c/d.MKV", "b/e.wav", "f.gif", "notes.txt", "g.jpg", ".hidden/h.mp4", "b/.i.mp4")
    found = clips_of(folder.read(source_of(tmp_path)))
    assert sorted(clip.media for clip in found.values()) == ["a.mp4", "b/c/d.MKV", "b/e.wav", "f.gif"]
    assert found["a.mp4"].media == "a.mp4"


def test_ids_are_safe_unique_and_follow_from_the_path_alone(tmp_path):
    names = ["x/a.mp4", "x-a.mp4", "te[s]t_ video ' _ .flv", "-dash.mp4", "ü.mp4", "a" * 150 + ".mp4", "b.ts", "b.mkv"]
    touch(tmp_path, *names)
    together = clips_of(folder.read(source_of(tmp_path)))
    assert len(together) == len(names)
    for clip_id, clip in together.items():
        assert folder.SAFE_ID.fullmatch(clip_id)
        assert folder.clip_id_of(Path(clip.media)) == clip_id
    assert folder.clip_id_of(Path("x/a.mp4")).startswith("x-a.mp4-")


def test_an_id_is_the_same_however_the_system_writes_an_umlaut():
    composed, decomposed = (unicodedata.normalize(form, "ü.mp4") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert folder.clip_id_of(Path(composed)) == folder.clip_id_of(Path(decomposed))


def test_splits_come_from_the_group_alone(tmp_path):
    touch(tmp_path, *(f"{i}.mp4" for i in range(300)))
    before = split_of(folder.read(source_of(tmp_path)))
    counts = {split: list(before.values()).count(split) for split in ("train", "val", "test")}
    assert counts["train"] == pytest.approx(210, abs=25)
    assert counts["val"] == pytest.approx(30, abs=15)
    touch(tmp_path, *(f"new{i}.mp4" for i in range(50)))
    after = split_of(folder.read(source_of(tmp_path)))
    assert {clip_id: after[clip_id] for clip_id in before} == before
    assert split_of(folder.read(source_of(tmp_path, seed=1))) != after


def test_one_film_in_two_containers_is_one_group(tmp_path):
    touch(tmp_path, *(f"{i}.{ending}" for i in range(40) for ending in ("mp4", "mkv")))
    found = split_of(folder.read(source_of(tmp_path)))
    assert all(found[f"{i}.mp4"] == found[f"{i}.mkv"] for i in range(40))


def test_a_list_of_clips_with_all_that_is_known(tmp_path):
    touch(tmp_path, "m/a.mp4", "b.jpg", "b.wav", "unlisted.mp4", "masks/a.png")
    (tmp_path / "clips.csv").write_text(
        "clip_id,media,frame,sound,split,label,hard,group,mask,extra\n"
        "a,m/a.mp4,,,val,dog,1,g,masks/a.png,x\nb,,b.jpg,b.wav,train,,,,,\n"
    )
    (tmp_path / "boxes.csv").write_text("clip_id,x0,y0,x1,y1,label,sounding\na,0,0,.5,1,dog,1\na,.5,0,1,1,cat,0\n")
    reading = folder.read(source_of(tmp_path))
    found = clips_of(reading)
    assert set(found) == {"a", "b"}
    assert (found["a"].label, found["a"].hard, found["a"].group, found["a"].mask) == ("dog", True, "g", "masks/a.png")
    assert (found["b"].frame, found["b"].sound, found["b"].group) == ("b.jpg", "b.wav", "b")
    assert split_of(reading) == {"a": "val", "b": "train"}
    assert [box.sounding for box in reading.splits["val"].boxes] == [True, False]


def test_a_list_without_splits_is_split_by_hash(tmp_path):
    touch(tmp_path, *(f"{i}.mp4" for i in range(40)))
    rows = "".join(f"c{i},{i}.mp4\n" for i in range(40))
    (tmp_path / "clips.csv").write_text(f"clip_id,media\n{rows}")
    assert set(split_of(folder.read(source_of(tmp_path))).values()) == {"train", "val", "test"}


def test_a_listed_file_that_is_missing_stays_in_its_split(tmp_path):
    (tmp_path / "clips.csv").write_text("clip_id,media,split\nb,b.mp4,test\n")
    assert [clip.clip_id for clip in folder.read(source_of(tmp_path)).splits["test"].clips] == ["b"]


def test_a_list_of_nothing_is_told(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "clips.csv").write_text("clip_id,media\n")
    assert "clips.csv: names no clip" in told(tmp_path)


def test_a_list_in_another_encoding_is_no_other_list(tmp_path):
    touch(tmp_path, "a.mp4")
    (tmp_path / "clips.csv").write_bytes(b"clip_id,media,label\na,a.mp4,h\xfcndchen\n")
    assert "clips.csv: not a UTF-8 CSV file" in told(tmp_path)


def test_a_name_that_is_no_text_is_told(tmp_path):
    (tmp_path / os.fsdecode(b"x\xff.mp4")).touch()
    assert "its name is no UTF-8 text; rename it" in told(tmp_path)


def test_a_link_to_a_folder_is_ignored_with_a_warning(tmp_path, caplog):
    touch(tmp_path, "root/a.mp4")
    touch(tmp_path, "other/b.mp4")
    (tmp_path / "root/more").symlink_to(tmp_path / "other")
    assert set(clips_of(folder.read(source_of(tmp_path / "root")))) == {"a.mp4"}
    assert "root/more: ignored, a link to a folder" in caplog.text


def test_somebody_else_s_tables_are_ignored_with_a_warning(tmp_path, caplog):
    touch(tmp_path, "a.mp4")
    for name in ("clips.csv", "boxes.csv"):
        (tmp_path / name).write_text("file,x0\na.mp4,3\n")
    with caplog.at_level(logging.WARNING):
        assert set(clips_of(folder.read(source_of(tmp_path)))) == {"a.mp4"}
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: ignored, its header has no clip_id" for name in ("clips.csv", "boxes.csv")
    ]


def test_roots_that_are_none(tmp_path):
    assert "missing does not exist; set it to the folder of your clips" in told(tmp_path / "missing")
    (tmp_path / "file").touch()
    assert "file is not a folder" in told(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "empty: no media file below it" in told(tmp_path / "empty")


@pytest.mark.parametrize(
    ("clips", "line"),
    [
        ("clip_id,path\na,a.mp4\n", "no column media, nor frame and sound; its header is: clip_id, path"),
        ("clip_id,media\n../a,a.mp4\n", "clips.csv:2: clip_id '../a' is no safe file name"),
        ("clip_id,media\na,../a.mp4\n", "clips.csv:2: path '../a.mp4' leaves the source's root"),
        ("clip_id,media\na,/a.mp4\n", "clips.csv:2: path '/a.mp4' leaves the source's root"),
        ("clip_id,media\na,\n", "clips.csv:2: names no media, nor a frame and a sound"),
        ("clip_id,media\na,a.mp4\na,a.mp4\n", "clip_id a occurs twice"),
        ("clip_id,media,split\na,a.mp4,dev\n", "clips.csv:2: split is 'dev'; accepted: train, val, test"),
        ("clip_id,media,hard\na,a.mp4,no\n", "clips.csv:2: hard: got 'no'; accepted: 1, 0 or nothing"),
    ],
)
def test_wrong_lists_are_told_in_one_line(tmp_path, clips, line):
    touch(tmp_path, "a.mp4")
    (tmp_path / "clips.csv").write_text(clips)
    assert line in told(tmp_path)


@pytest.mark.parametrize(
    ("boxes", "line"),
    [
        ("clip_id,x0,y0,x1\na.mp4,0,0,1\n", "no column y1"),
        ("clip_id,x0,y0,x1,y1\na.mp4,0,0,1.5,1\n", "boxes.csv:2: box x0=0 y0=0 x1=1.5 y1=1 leaves the frame"),
        ("clip_id,x0,y0,x1,y1\nz.mp4,0,0,1,1\n", "boxes.csv:2: box of clip 'z.mp4', which is not among the clips"),
        ("clip_id,x0,y0,x1,y1\na.mp4,0,0,x,1\n", "boxes.csv:2: x0, y0, x1, y1 are not all numbers"),
    ],
)
def test_wrong_boxes_are_told_in_one_line(tmp_path, boxes, line):
    touch(tmp_path, "a.mp4")
    (tmp_path / "boxes.csv").write_text(boxes)
    assert line in told(tmp_path)
