import os
from pathlib import Path

import pytest

from pipeline.foundation.errors import UserError
from pipeline.sources.layout import bare, files_by_item, still_of


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def own_name(folder: str, name: str) -> str:
    return name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("10000130166", "10000130166"),
        ("10000130166.png", "10000130166"),
        ("/hdd/a b/10000130166.mp4", "10000130166"),
        ("videos/0/0/0/2615133000.mp4.mp3", "2615133000"),
        (r"c:\frames\1.JPG", "1"),
        ("X_40.000.mp4", "X_40.000"),
        ("../../etc/passwd", "passwd"),
        (" 1.wav ", "1"),
    ],
)
def test_folders_and_media_endings_are_no_part_of_a_name(written, name):
    assert bare(written) == name


def test_files_are_sorted_by_item_and_kind(tmp_path):
    touch(tmp_path, "b/1.jpg", "a/1.JPEG", "1.wav", "x/1.mp4", "1.mat", "1.xml", "1.txt", "2.ogg")
    found = files_by_item(tmp_path, own_name)
    assert set(found) == {"1", "2"}
    one = found["1"]
    assert (one.stills, one.sounds, one.films) == (["a/1.JPEG", "b/1.jpg"], ["1.wav"], ["x/1.mp4"])
    assert (one.arrays, one.annotations) == (["1.mat"], ["1.xml"])
    assert found["2"].any() == "2.ogg"


def test_pictures_of_something_else_hidden_files_and_links_to_folders_are_passed_over(tmp_path, caplog):
    touch(tmp_path, "root/flow/flow_x/1.jpg", "root/.cache/1.jpg", "root/._1.jpg", "root/masks/1.png", "other/1.jpg")
    (tmp_path / "root/more").symlink_to(tmp_path / "other")
    assert files_by_item(tmp_path / "root", own_name) == {}
    assert "root/more: ignored, a link to a folder" in caplog.text


def test_a_name_that_is_no_text_is_told(tmp_path):
    (tmp_path / os.fsdecode(b"x\xff.jpg")).touch()
    with pytest.raises(UserError, match="its name is no UTF-8 text; rename it"):
        files_by_item(tmp_path, own_name)


def test_of_the_frames_of_a_clip_the_one_at_5_s_of_10_is_taken():
    assert still_of(f"a/{i:03d}.jpg" for i in range(1, 251)) == "a/125.jpg"
    assert still_of(f"a/image_{i:03d}.jpg" for i in range(1, 101)) == "a/image_050.jpg"
    assert still_of(["a/00000003.jpg", "a/00000008.jpg", "a/00000013.jpg", "a/00000018.jpg"]) == "a/00000008.jpg"


def test_a_picture_in_a_preferred_folder_comes_first():
    assert still_of(["a/1.jpg", "b/1.jpg"]) == "a/1.jpg"
    assert still_of(["a/1.jpg", "b/1.jpg"], lambda folder: folder == "b") == "b/1.jpg"
