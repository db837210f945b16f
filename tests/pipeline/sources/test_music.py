import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.extract import sample_of
from pipeline.foundation import manifest
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Extract, Source
from pipeline.sources import music
from tests.samples import greys, real, source_of, tone, write_media

A, B, C = "4Oy5VmaacaI", "-_-TDDxoaAc", "3wPouBFa9U0"
SETTINGS = Extract(
    frame_position=0.5,
    frame_size=32,
    sample_rate=44100,
    seconds=1.0,
    cpu_limit=60.0,
    max_megapixels=50.0,
    shard_clips=8,
)


def source(root: Path, val_share: float = 0.0) -> Source:
    return source_of(root, "music", val_share=val_share)


def dsol(video: str, second: int, frame: int) -> str:
    return f"{video}_0_1000/frame_{second:03d}/{frame:05d}.jpg"


def entry(*boxes: tuple[int, list[float]]) -> dict:
    listed = [{"box": [1, 2, 3, 4], "normbox": box, "category_id": category} for category, box in boxes]
    return {"bbox": listed, "wdith": 640, "height": 360}


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def write_still(path: Path, grey: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((48, 64, 3), grey, np.uint8)).save(path)
    return path


def write_wav(path: Path, seconds: float = 1, hz: float = 440) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, 8000, hz), 8000)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two annotated videos, one with stills and one with a film alone, and two to train on."""
    lists = {
        dsol(A, 1, 37): entry((1, [0.25, 0.5, 0.5, 0.25])),
        dsol(A, 1, 44): entry(),
        dsol(B, 2, 67): entry((3, [0, 0, 0.5, 1]), (99, [0.5, 0, 0.5, 1])),
    }
    write_json(tmp_path / "solotest.json", lists)
    videos = {"cello": [A, C], "flute": ["notthere_01"], "acoustic_guitar": [B]}
    write_json(tmp_path / "MUSIC_solo_videos.json", {"version": 1.0, "videos": videos})
    write_still(tmp_path / "video_frames" / dsol(A, 1, 37))
    for video in (A, B, C):
        write_media(tmp_path / f"{video}_0_1000.mp4", greys(90), tone(3), fps=30)
    return tmp_path


def read(root: Path) -> tuple[dict[str, manifest.Clip], dict[str, list[manifest.Box]], list[manifest.Rejection]]:
    """Clips and boxes of test, and what is rejected."""
    reading = music.read(source(root))
    test = reading.splits["test"]
    return {clip.clip_id: clip for clip in test.clips}, test.boxes_of(), reading.rejections


def test_an_annotated_frame_is_a_clip_of_its_still_and_of_the_sound_of_its_second(root):
    clips, boxes, _ = read(root)
    clip = clips[f"{A}_001_00037"]
    assert (clip.frame, clip.media, clip.frame_s) == (f"video_frames/{dsol(A, 1, 37)}", "", None)
    assert (clip.sound, clip.sound_s) == (f"{A}_0_1000.mp4", 1.0)
    assert (clip.label, clip.group, clip.hard, clip.negative) == ("cello", A, False, False)
    (box,) = boxes[clip.clip_id]
    assert (box.x0, box.y0, box.x1, box.y1, box.label, box.sounding) == (0.25, 0.5, 0.75, 0.75, "cello", True)


def test_a_frame_without_boxes_is_a_clip_without_truth(root):
    clips, boxes, _ = read(root)
    assert boxes[f"{A}_001_00044"] == []
    assert clips[f"{A}_001_00044"].mask == ""


def test_an_id_with_a_hyphen_in_front_becomes_a_safe_name_and_stays_the_group(root):
    clips, boxes, _ = read(root)
    (clip,) = [clip for clip in clips.values() if clip.group == B]
    assert manifest.SAFE_ID.fullmatch(clip.clip_id)
    assert [box.label for box in boxes[clip.clip_id]] == ["acoustic_guitar", "category_99"]


def test_a_frame_without_a_still_is_taken_from_the_film(root):
    clips, _, _ = read(root)
    (clip,) = [clip for clip in clips.values() if clip.group == B]
    assert (clip.media, clip.frame, clip.sound_s) == (f"{B}_0_1000.mp4", "", 2.0)
    sample = sample_of(clip, root, SETTINGS)
    expected = 10 * (67 % 24 + 1)  # the grey of frame 67, whose neighbours are 10 darker and lighter
    assert abs(float(sample.frame.mean()) - expected) < 3
    assert 40_000 < len(sample.waveform) <= 44_100


def test_videos_that_are_not_annotated_are_train_and_a_missing_one_is_named(root):
    reading = music.read(source(root))
    (clip,) = reading.splits["train"].clips
    assert (clip.clip_id, clip.media, clip.label, clip.group) == (C, f"{C}_0_1000.mp4", "cello", C)
    (rejection,) = reading.rejections
    assert (rejection.clip_id, rejection.path) == ("notthere_01", "MUSIC_solo_videos.json")
    assert [c.clip_id for c in music.read(source(root, val_share=0.99)).splits["val"].clips] == [C]


def test_a_video_to_train_on_gives_a_clip_for_each_second_of_stills(root):
    for second, frame in ((0, 0), (0, 7), (0, 14), (2, 60)):
        write_still(root / "solo" / "video_frames" / dsol(C, second, frame))
    clips = music.read(source(root)).splits["train"].clips
    assert [(clip.clip_id, Path(clip.frame).name, clip.sound_s) for clip in clips] == [
        (f"{C}_000", "00007.jpg", 0.0),
        (f"{C}_002", "00060.jpg", 2.0),
    ]
    assert {(clip.sound, clip.group) for clip in clips} == {(f"{C}_0_1000.mp4", C)}


def test_sounds_of_a_second_each_are_used_where_they_lie(root):
    for number in range(3):
        write_wav(root / "MUSIC_raw" / "solo" / "cello" / A / "audio" / "audio_clips" / f"{number:05d}.wav")
    clips, _, _ = read(root)
    sound = f"MUSIC_raw/solo/cello/{A}/audio/audio_clips/00001.wav"
    assert (clips[f"{A}_001_00037"].sound, clips[f"{A}_001_00037"].sound_s) == (sound, 0.0)


def test_a_video_of_mix_and_localize_s_tree_gives_a_clip_a_second(root):
    (root / f"{C}_0_1000.mp4").unlink()
    tree = root / "solo" / "cello" / C
    for number in range(2):
        write_wav(tree / "audio" / "audio_clips" / f"{number:05d}.wav")
    for number in range(7):
        write_still(tree / "frames" / f"{number:05d}.jpg")
    clips = music.read(source(root)).splits["train"].clips
    assert [(clip.clip_id, Path(clip.frame).name, Path(clip.sound).name) for clip in clips] == [
        (f"{C}_000", "00002.jpg", "00000.wav"),
        (f"{C}_001", "00006.jpg", "00001.wav"),
    ]


def test_a_sound_file_as_long_as_the_film_stands_in_for_it(root):
    (root / f"{A}_0_1000.mp4").unlink()
    (root / "audio").mkdir()
    soundfile.write(root / "audio" / f"{A}_0_1000.flac", tone(3), 44_100)
    clips, _, _ = read(root)
    clip = clips[f"{A}_001_00037"]
    assert (clip.sound, clip.sound_s) == (f"audio/{A}_0_1000.flac", 1.0)
    assert len(sample_of(clip, root, SETTINGS).waveform) == 44_100


def test_what_is_missing_stays_a_clip_that_extract_will_miss(root):
    shutil.rmtree(root / "video_frames")
    (root / f"{A}_0_1000.mp4").unlink()
    clips, _, _ = read(root)
    assert clips[f"{A}_001_00037"].frame == dsol(A, 1, 37)


def test_avgn_s_lists_give_the_same_boxes_and_its_flat_folders_the_files(tmp_path):
    write_json(
        tmp_path / "music_duet.json",
        [
            {
                "file": f"{A}_001_00037",
                **{"class_src1": "cello", "bbox_src1": [0.25, 0.5, 0.5, 0.25]},
                **{"class_src2": "flute", "bbox_src2": [0, 0, 0.25, 0.25]},
            }
        ],
    )
    write_still(tmp_path / "frames" / f"{A}_001_00037.jpg")
    write_wav(tmp_path / "audio" / f"{A}_001_00037.wav")
    clips, boxes, _ = read(tmp_path)
    clip = clips[f"{A}_001_00037"]
    assert (clip.frame, clip.sound) == (f"frames/{A}_001_00037.jpg", f"audio/{A}_001_00037.wav")
    assert (clip.sound_s, clip.label) == (0.0, "cello flute")
    assert [(box.label, box.x0, box.y0, box.x1, box.y1) for box in boxes[clip.clip_id]] == [
        ("cello", 0.25, 0.5, 0.75, 0.75),
        ("flute", 0, 0, 0.25, 0.25),
    ]


def test_a_frame_with_a_mask_is_a_clip_of_test_with_or_without_a_box(root):
    masks = {f"masks/{dsol(A, 1, 37)[:-4]}.png", f"masks/{A}_001_00051.png"}
    for mask in (*masks, "masks/first.png"):
        write_still(root / mask)
    clips, _, rejections = read(root)
    assert {clips[name].mask for name in (f"{A}_001_00037", f"{A}_001_00051")} == masks
    assert "masks/first.png" in {rejection.path for rejection in rejections}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("../../etc/passwd", entry(), "no frame's name"),
        (dsol("../../../xx", 1, 37), entry(), "no frame's name"),
        (dsol(A, 3, 97), [], "not an object with bbox"),
        (dsol(A, 3, 97), {"bbox": "none"}, "its bbox is 'none'"),
        (dsol(A, 3, 97), {}, "its bbox is None"),
        ("\ud800\n", entry(), "no frame's name"),
    ],
)
def test_a_faulty_entry_is_rejected_alone(root, name, value, reason):
    lists = json.loads((root / "solotest.json").read_text())
    write_json(root / "solotest.json", {name: value} | lists)
    clips, boxes, rejections = read(root)
    assert len(clips) == 3
    assert sum(map(len, boxes.values())) == 3
    assert [rejection.path for rejection in rejections if reason in rejection.reason] == ["solotest.json"]
    manifest.write_rejected(root, rejections)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ({"normbox": [0.5, 0.5, 0.6, 0.1], "category_id": 1}, "leaves the frame"),
        ({"normbox": [0.5, 0.5, -0.1, 0.1], "category_id": 1}, "wrong order"),
        ({"normbox": [float("nan"), 0.5, 0.1, 0.1], "category_id": 1}, "finite"),
        ({"normbox": [0.5, 0.5, 0.1, 0.1]}, "its category_id is None"),
        ("box", "not an object"),
    ],
)
def test_a_faulty_box_is_rejected_alone(root, box, reason):
    lists = json.loads((root / "solotest.json").read_text())
    lists[dsol(A, 1, 37)]["bbox"].append(box)
    write_json(root / "solotest.json", lists)
    clips, boxes, rejections = read(root)
    assert (len(clips), len(boxes[f"{A}_001_00037"])) == (3, 1)
    assert [r.clip_id for r in rejections if reason in r.reason] == [f"{A}_001_00037"]


def test_a_frame_of_another_second_is_not_taken_from_the_film(root):
    lists = json.loads((root / "solotest.json").read_text()) | {dsol(A, 2, 37): entry((1, [0, 0, 1, 1]))}
    write_json(root / "solotest.json", lists)
    clips, _, rejections = read(root)
    assert len(clips) == 3
    assert [r.clip_id for r in rejections if "of another second" in r.reason] == [f"{A}_002_00037"]
    write_still(root / dsol(A, 2, 37))
    shutil.rmtree(root / "video_frames")
    assert f"{A}_002_00037" in read(root)[0]


def test_a_second_mask_of_a_frame_is_named(root):
    masks = [f"masks/{A}_001_00037.png", f"masks/{dsol(A, 1, 37)[:-4]}.png"]
    for mask in masks:
        write_still(root / mask)
    clips, _, rejections = read(root)
    named = [rejection.path for rejection in rejections if "another mask" in rejection.reason]
    assert [clips[f"{A}_001_00037"].mask, *named] == masks


def test_a_frame_that_is_named_twice_counts_once(root):
    text = (root / "solotest.json").read_text()
    again = json.dumps({dsol(A, 1, 37): entry((1, [0, 0, 1, 1]))})
    (root / "solotest.json").write_text(f"{text[:-1]}, {again[1:]}")
    write_json(root / "duettest.json", {dsol(A, 1, 37): entry()})
    _, boxes, rejections = read(root)
    (box,) = boxes[f"{A}_001_00037"]
    assert box.x0 == 0.25
    twice = [rejection.path for rejection in rejections if "named twice" in rejection.reason]
    assert twice == ["solotest.json", "duettest.json"]


def test_a_faulty_list_of_videos_loses_its_faulty_entries_alone(root):
    videos = {"cello": [A, C, C, "../../passwd", 7], "flute": "none"}
    write_json(root / "MUSIC_solo_videos.json", {"videos": videos})
    reading = music.read(source(root))
    assert [clip.clip_id for clip in reading.splits["train"].clips] == [C]
    assert [r.reason.split(";")[0].split(",")[0] for r in reading.rejections] == [
        *("listed twice", "no YouTube id", "no YouTube id"),
        "is no class with a list of videos",
    ]


def test_what_holds_nothing_or_two_lists_of_the_same_frames_is_told(root, tmp_path_factory):
    with pytest.raises(UserError, match="no list of MUSIC"):
        music.read(source(tmp_path_factory.mktemp("empty")))
    write_json(root / "music_solo.json", [])
    with pytest.raises(UserError, match="two lists of the same frames"):
        music.read(source(root))


@pytest.mark.parametrize(("name", "text"), [("solotest.json", '{"a": '), ("MUSIC_solo_videos.json", '{"videos": []}')])
def test_a_list_that_cannot_be_read_is_told_in_one_line(root, name, text):
    (root / name).write_text(text)
    with pytest.raises(UserError, match=name) as caught:
        music.read(source(root))
    assert len(str(caught.value).splitlines()) == 1


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.floats(0, 1), max_size=4)
BOXES = st.fixed_dictionaries({}, optional={"normbox": VALUES, "category_id": VALUES}) | VALUES
NAMES = st.text(max_size=9) | st.builds(dsol, st.text(max_size=11), st.integers(0, 9), st.integers(0, 99))


@given(st.dictionaries(NAMES, st.fixed_dictionaries({"bbox": st.lists(BOXES, max_size=3) | VALUES}) | VALUES))
@settings(max_examples=40, deadline=None)
def test_whatever_the_list_holds_every_frame_is_kept_or_named(tmp_path_factory, value):
    root = tmp_path_factory.mktemp("music")
    write_json(root / "solotest.json", {dsol(A, 1, 37): entry()} | value)
    clips, _, rejections = read(root)
    assert len(clips) + len({r.clip_id for r in rejections} - clips.keys()) >= len({dsol(A, 1, 37), *value})
    for split, part in music.read(source(root)).splits.items():
        manifest.write(root / split, part)
        assert len(manifest.read(root / split).boxes) == len(part.boxes)
    manifest.write_rejected(root, rejections)


def unpacked(folder: Path, *files: str) -> Path:
    for name in files:
        path = real("annotations") / name
        data = path.read_bytes()
        target = folder / path.name.removesuffix(".gz")
        target.write_bytes(gzip.decompress(data) if path.suffix == ".gz" else data)
    return folder


DSOL = "DTaoo__Discriminative-Sounding-Objects-Localization/music-exp/"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("list_of_boxes", "n_videos", "n_frames", "n_boxes", "n_without"),
    [
        (f"{DSOL}solotest.json.gz", 27, 13472, 12356, 1116),
        (f"{DSOL}duettest.json.gz", 16, 11512, 15035, 1228),
        ("stoneMo__AVGN/metadata/music_solo.json.gz", 20, 2124, 2124, 0),
        ("stoneMo__AVGN/metadata/music_duet.json.gz", 6, 1020, 2040, 0),
    ],
)
def test_the_real_lists_are_read_whole(tmp_path, list_of_boxes, n_videos, n_frames, n_boxes, n_without):
    reading = music.read(source(unpacked(tmp_path, list_of_boxes)))
    test = reading.splits["test"]
    assert reading.rejections == []
    assert len({clip.group for clip in test.clips}) == n_videos
    assert (len(test.clips), len(test.boxes)) == (n_frames, n_boxes)
    assert sum(not boxes for boxes in test.boxes_of().values()) == n_without


@pytest.mark.real
def test_the_real_lists_of_videos_are_read_whole(tmp_path):
    folder = f"{DSOL}data/MUSIC_label/"
    root = unpacked(tmp_path, f"{folder}MUSIC_solo_videos.json", f"{folder}MUSIC_duet_videos.json")
    reading = music.read(source(root))
    missing = [rejection.path for rejection in reading.rejections]
    assert (missing.count("MUSIC_solo_videos.json"), missing.count("MUSIC_duet_videos.json")) == (536, 149)
