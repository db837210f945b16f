import pytest

from pipeline.foundation import manifest
from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, Clip, Manifest, Rejection

CLIPS = (
    Clip("a", media="x/a.mp4", label="dog", hard=True, group="g", negative=True, frame_s=5.0),
    Clip("b", frame='b,"1".jpg', sound="b.ogg"),
)
BOXES = (Box("a", "ann", 0.1, 0.2, 1 / 3, 1.0, "dog"), Box("a", "ann", 0.5, 0.0, 1.0, 0.5, "cat", sounding=False))


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    manifest.write(tmp_path, Manifest(CLIPS, BOXES))
    back = manifest.read(tmp_path)
    assert back.clips == CLIPS
    assert back.boxes[1] == BOXES[1]
    assert back.boxes[0].x1 == pytest.approx(1 / 3, abs=1e-9)
    assert back.boxes_of() == {"a": list(back.boxes), "b": []}


def test_rejections_are_ordered_by_clip(tmp_path):
    manifest.write_rejected(tmp_path, [Rejection("b", "b.mp4", 'no, "sound"'), Rejection("a", "a.mp4", "x")])
    assert [r.clip_id for r in manifest.read_rejected(tmp_path)] == ["a", "b"]
    assert manifest.read_rejected(tmp_path)[1].reason == 'no, "sound"'


def test_an_order_is_read_as_it_was_written_and_may_be_missing(tmp_path):
    assert manifest.read_order(tmp_path / "order.csv") == []
    manifest.write_order(tmp_path / "order.csv", ["b", "a"])
    assert manifest.read_order(tmp_path / "order.csv") == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip_id,x\n", r"boxes\.csv: no column y; its header is: clip_id, x"),
        ("clip_id,x,y\na,1\n", r"boxes\.csv:2: 2 cells under a header of 3"),
        ('clip_id,x,y\n"a,1,2\n', "not a UTF-8 CSV file"),
        ("", "no column clip_id, x, y"),
    ],
)
def test_a_wrong_table_is_told_with_its_place(tmp_path, text, told):
    file = tmp_path / "boxes.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=told):
        list(manifest.read_rows(file, ("clip_id", "x", "y")))


def test_a_table_that_is_no_text_is_told(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"clip_id\n\xff\xfe")
    with pytest.raises(UserError, match="not a UTF-8 CSV file"):
        list(manifest.read_rows(tmp_path / "t.csv", ["clip_id"]))


@pytest.mark.parametrize(
    "content",
    [
        b"clip_id,label\na,h\xfcndchen\n",
        "clip_id,label\na,b\n".encode("utf-16"),
        b"clip_id,label\ra,b\r",
        b"\xef\xbb\xbfclip_id,label\r\n",
    ],
)
def test_a_header_is_read_whatever_follows_it(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    assert manifest.header_of(tmp_path / "t.csv") == ["clip_id", "label"]


def test_a_byte_order_mark_windows_lines_and_blank_lines_are_read_over(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfclip_id,x\r\na,1\r\n\r\nb,2\r\n")
    assert [row for _, row in manifest.read_rows(tmp_path / "t.csv", ["clip_id"])] == [
        {"clip_id": "a", "x": "1"},
        {"clip_id": "b", "x": "2"},
    ]


@pytest.mark.parametrize(
    "corners", [(-0.1, 0, 1, 1), (0, 0, 1.01, 1), (0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (float("nan"), 0, 1, 1)]
)
def test_a_box_outside_the_frame_or_without_area_is_refused(corners):
    row = dict(zip(("x0", "y0", "x1", "y1"), map(str, corners), strict=True)) | {"clip_id": "a"}
    with pytest.raises(UserError, match=r"boxes\.csv:7: box .*; accepted: fractions of the frame"):
        manifest.box_of(row, "boxes.csv:7")


def test_a_box_that_is_no_number_is_refused():
    row = {"clip_id": "a", "x0": "left", "y0": "0", "x1": "1", "y1": "1"}
    with pytest.raises(UserError, match="not all numbers"):
        manifest.box_of(row, "boxes.csv:7")


@pytest.mark.parametrize(("text", "is_true"), [("1", True), ("0", False), ("", False)])
def test_a_truth_is_one_or_zero_or_nothing(text, is_true):
    assert manifest.truth_of(text, "clips.csv:2: hard") is is_true


def test_any_other_truth_is_refused():
    with pytest.raises(UserError, match="got 'yes'; accepted: 1, 0 or nothing"):
        manifest.truth_of("yes", "clips.csv:2: hard")


@pytest.mark.parametrize("clip_id", ["a", "9_x.mp4", "A-b.c", "_x"])
def test_safe_ids(clip_id):
    assert manifest.SAFE_ID.fullmatch(clip_id)


@pytest.mark.parametrize("clip_id", ["", "../a", "-a", ".a", "a b", "a/b", "ä", "a" * 121, "a\n"])
def test_unsafe_ids(clip_id):
    assert not manifest.SAFE_ID.fullmatch(clip_id)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_seconds_that_are_none_are_told(tmp_path, text):
    manifest.write(tmp_path, Manifest((Clip("a", media="a.mp4", group="a"),), ()))
    path = tmp_path / "clips.csv"
    path.write_text(path.read_text().rstrip("\n") + f"{text}\n")
    with pytest.raises(UserError, match=f"clips.csv:2: sound_s: got '{text}'; accepted: seconds"):
        manifest.read(tmp_path)
