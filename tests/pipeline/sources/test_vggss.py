import json
from pathlib import Path

import pytest
import soundfile
from PIL import Image

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Clip, Rejection
from pipeline.sources import vggss
from pipeline.sources.reading import Reading
from tests.samples import greys, real, source_of, tone, write_media

A, B, DASH = "zpWuikVorYg_000032", "gklbB7TYoK4_000030", "-ANxUxvGASw_000010"
ENTRIES = [
    {"file": A, "class": "elk bugling", "bbox": [[0.25, 0.25, 0.5, 0.75], [0, 0, 1, 0.125]]},
    {"file": B, "class": "playing harp", "bbox": [[0.1, 0.2, 0.9812500000000001, 0.4]]},
    {"file": DASH, "class": "cat meowing", "bbox": [[0.0, 0.0, 0.5, 0.5]]},
]


def film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_media(path, greys(3), tone(0.3))


def read(root: Path, entries: object = ENTRIES, **changes) -> Reading:
    (root / "vggss.json").write_text(json.dumps(entries))
    return vggss.read(source_of(root, "vggss", **changes))


def clips(reading: Reading, split: str = "test") -> dict[str, Clip]:
    return {clip.clip_id: clip for clip in reading.splits[split].clips}


def boxes(reading: Reading) -> dict[str, list[tuple[float, ...]]]:
    found: dict[str, list[tuple[float, ...]]] = {}
    for box in reading.splits["test"].boxes:
        found.setdefault(box.clip_id, []).append((box.x0, box.y0, box.x1, box.y1))
    return found


@pytest.mark.parametrize(
    "name",
    [
        f"videos/{A}.mp4",
        f"{A}.mp4",
        "video/test/zpWuikVorYg_32000_42000.mp4",
        "zpWuikVorYg_32.000.mkv",
        "clips/zpWuikVorYg.mp4",
    ],
)
def test_a_film_is_found_under_every_form_of_its_name(tmp_path, name):
    film(tmp_path / name)
    reading = read(tmp_path)
    assert clips(reading) == {A: Clip(A, media=name, label="elk bugling", group="zpWuikVorYg", frame_s=5.0)}
    assert boxes(reading) == {A: [(0.25, 0.25, 0.5, 0.75), (0, 0, 1, 0.125)]}
    assert {box.annotator for box in reading.splits["test"].boxes} == {""}  # one annotation: a union, no consensus
    assert {box.label for box in reading.splits["test"].boxes} == {"elk bugling"}


@pytest.mark.parametrize(
    "frame", [f"frames/{A}.jpg", f"frame/{A}.png", f"frames/{A}/125.jpg", f"total_video_frames/{A}/image_050.jpg"]
)
def test_the_flat_folders(tmp_path, frame):
    (tmp_path / frame).parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / frame)
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / f"audio/{A}.wav", tone(0.1), 44_100)
    (clip,) = clips(read(tmp_path)).values()
    assert clip == Clip(A, frame=frame, sound=f"audio/{A}.wav", label="elk bugling", group="zpWuikVorYg")


def test_a_film_comes_before_a_frame_of_unknown_time(tmp_path):
    film(tmp_path / f"videos/{A}.mp4")
    for name in (f"frames/{A}.jpg", f"audio/{A}.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert clips(read(tmp_path))[A].media == f"videos/{A}.mp4"


def test_an_id_with_a_dash_in_front_makes_a_safe_clip_id(tmp_path):
    film(tmp_path / f"{DASH}.mp4")
    reading = read(tmp_path)
    assert clips(reading)[f"_{DASH}"].group == "-ANxUxvGASw"
    assert reading.ids == {f"_{DASH}": DASH}
    assert list(boxes(reading)) == [f"_{DASH}"]


def test_what_is_not_annotated_is_for_training_by_its_video(tmp_path):
    (tmp_path / "videos").mkdir()
    for i in range(60):
        for second in (0, 10):
            (tmp_path / f"videos/abcdefghi{i:02d}_{second:06d}.mp4").touch()
    film(tmp_path / f"videos/{A}.mp4")
    (tmp_path / "videos/zpWuikVorYg_000050.mp4").touch()  # another clip of a test video: the leak check's affair
    reading = read(tmp_path, val_share=0.3)
    train, val = clips(reading, "train"), clips(reading, "val")
    assert list(clips(reading)) == [A]
    assert len(train) + len(val) == 121
    assert len(val) > 10
    assert {clip.group for clip in train.values()}.isdisjoint({clip.group for clip in val.values()})
    assert all(clip.frame_s == 5.0 and not clip.label for clip in train.values())


def test_annotated_clips_that_are_not_there_are_missing_by_name(tmp_path):
    film(tmp_path / f"{A}.mp4")
    reading = read(tmp_path)
    assert [(r.clip_id, r.path) for r in reading.splits["test"].missing] == [
        (B, "vggss.json"),
        (f"_{DASH}", "vggss.json"),
    ]
    assert "neither a film nor a frame and a sound" in reading.splits["test"].missing[0].reason


def test_a_video_of_which_two_clips_are_annotated_must_name_the_second(tmp_path):
    film(tmp_path / f"{B}.mp4")
    film(tmp_path / "zpWuikVorYg.mp4")
    entries = [*ENTRIES[:2], {"file": "zpWuikVorYg_000100", "class": "dog", "bbox": []}]
    reading = read(tmp_path, entries)
    assert list(clips(reading)) == [B]
    assert {r.clip_id: r.reason for r in reading.splits["test"].missing} == dict.fromkeys(
        (A, "zpWuikVorYg_000100"),
        "its file is called zpWuikVorYg alone, but 2 clips of that video are annotated",
    )
    assert [r.clip_id for r in reading.rejections] == ["zpWuikVorYg"]


def test_a_wrong_box_is_rejected_by_its_number_and_its_clip_stays(tmp_path, caplog):
    film(tmp_path / f"{A}.mp4")
    film(tmp_path / f"{B}.mp4")
    wrong = [
        *([0.2, 0.2, 0.3, -2.88e16], [0.5, 0.1, 0.4, 0.9], [0, 0, 1.01, 1], [0.1, 0.1, 0.1, 0.2], [-0.1, 0, 1, 1]),
        *([float("nan"), 0, 1, 1], [0, 0, 10**400, 1], ["0", 0, 1, 1], [True, 0, 1, 1], [0, 0, 1], {"x": 0}, None),
    ]
    entries = [{**ENTRIES[0], "bbox": [*wrong, [0, 0, 0.5, 0.5]]}, {**ENTRIES[1], "bbox": wrong[:1]}]
    reading = read(tmp_path, entries)
    assert sorted(clips(reading)) == sorted([A, B])
    assert boxes(reading) == {A: [(0, 0, 0.5, 0.5)]}
    assert f"no box is left of {B}, which count as not annotated" in caplog.text
    told = [r.reason.split(":")[0] for r in reading.rejections if r.clip_id == A]
    assert told == [f"the clip is kept without box {number}" for number in range(len(wrong))]
    assert Rejection(
        B, "vggss.json", told[0] + ": x0 0.2, y0 0.2, x1 0.3, y1 -2.88e+16 leaves the frame of 1 or has no area"
    ) in (reading.rejections)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "no file, class and bbox in it"),
        ([], "no file, class and bbox in it"),
        ({"file": B, "class": "harp"}, "no file, class and bbox in it"),
        ({"file": 3, "class": "harp", "bbox": []}, "file 3 is no clip of YouTube"),
        ({"file": f"../{B}", "class": "harp", "bbox": []}, f"file '../{B}' is no clip of YouTube"),
        ({"file": "../../../etc", "class": "harp", "bbox": []}, "file '../../../etc' is no clip of YouTube"),
        ({"file": "\ud800", "class": "harp", "bbox": []}, "file '\\ud800' is no clip of YouTube"),
        ({"file": B, "class": 3, "bbox": []}, f"class 3 of {B} is no text"),
        ({"file": B, "class": "\ud800", "bbox": []}, f"class '\\ud800' of {B} is no text"),
        ({"file": B, "class": "harp", "bbox": 3}, f"bbox 3 of {B} is no list"),
        ({**ENTRIES[0], "class": "another"}, f"{A} is named before; the first entry is used"),
    ],
)
def test_a_wrong_entry_is_rejected_by_its_number_and_the_others_stay(tmp_path, entry, reason):
    film(tmp_path / f"{A}.mp4")
    reading = read(tmp_path, [ENTRIES[0], entry])
    assert {clip_id: clip.label for clip_id, clip in clips(reading).items()} == {A: "elk bugling"}
    assert reading.rejections == [Rejection("", "vggss.json", f"entry 1: {reason}")]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'[{"file": "zpWuik', "vggss.json: not a JSON file"),
        (b"\xff\xfe", "vggss.json: not a JSON file"),
        (b"[" * 100_000, "vggss.json: not a JSON file"),
        (b"", "vggss.json: not a JSON file"),
        (b"{}", "vggss.json: holds a dict, not a list"),
    ],
)
def test_a_file_that_is_no_such_list_is_told(tmp_path, content, line):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/vggss.json").write_bytes(content)
    with pytest.raises(UserError, match=line) as caught:
        vggss.read(source_of(tmp_path, "vggss"))
    assert len(str(caught.value).splitlines()) == 1


def test_a_root_without_annotations_or_without_clips_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no vggss.json in it, nor in a folder of it"):
        vggss.read(source_of(tmp_path, "vggss"))
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(UserError, match="no film, nor frame with sound, below it is called by a clip of YouTube"):
        read(tmp_path)


@pytest.mark.real
def test_the_real_annotations_are_read_with_their_18_bad_boxes_by_name():
    path = real("annotations") / "hche11__Localizing-Visual-Sounds-the-Hard-Way" / "metadata" / "vggss.json"
    rejections: list[Rejection] = []
    entries = list(vggss.annotations_of(path, rejections))
    assert (len(entries), len({entry.label for entry in entries})) == (5158, 221)
    assert sum(len(entry.boxes) for entry in entries) == 5941 - 18
    assert len(rejections) == 18
    named = {rejection.clip_id for rejection in rejections}
    assert {"Db6Hjt0x28k_000056", "_-ANxUxvGASw_000010", "c-8SLUH5pp4_000030"} < named
    assert [entry.item[:11] for entry in entries if not entry.boxes] == ["M1P1xla8rg0", "MKC9LvRivTM"]
