import csv
import gzip
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipeline.extract import sample_of
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Extract, Source
from pipeline.sources import avsbench
from tests.samples import real, source_of, tone

TRAIN, TEST = "-en-yFsmIO8", "0d9u2CymIxc"
S4 = f"name,start_time,category,split\n{TRAIN},0,helicopter,train\n{TEST},3,race_car,test\n"
MS3 = "video_id,a_obj,split\nrq5RDUm2Hnk_1,man,test\nrq5RDUm2Hnk_2,man,train\n"


def source(root: Path) -> Source:
    return source_of(root, "avsbench")


def picture(path: Path, white: slice = slice(0, 0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((224, 224), np.uint8)
    pixels[white] = 255
    Image.fromarray(pixels).save(path)


def wav(path: Path) -> None:
    """Five seconds, each louder than the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = np.repeat([0.2, 0.4, 0.6, 0.8, 1.0], 8000).astype(np.float32)
    soundfile.write(path, tone(5, 8000, level=0.5) * steps, 8000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """S4 with a clip of train, which has the first mask only, and one of test, in whose third second nothing sounds."""
    (tmp_path / "s4_meta_data.csv").write_text(S4)
    data = tmp_path / "s4_data"
    for split, label, clip in (("train", "helicopter", TRAIN), ("test", "race_car", TEST)):
        for second in range(1, 6):
            picture(data / "visual_frames" / split / label / clip / f"{clip}_{second}.png")
            if split == "test" or second == 1:
                white = slice(0, 0) if second == 3 else slice(0, 112)
                picture(data / "gt_masks" / split / label / clip / f"{clip}_{second}.png", white)
        wav(data / "audio_wav" / split / label / f"{clip}.wav")
    return tmp_path


def test_each_second_of_s4_is_a_clip_of_its_frame_mask_and_sound(root):
    test = avsbench.read(source(root)).splits["test"]
    assert [clip.clip_id for clip in test.clips] == [f"{TEST}_{second}" for second in range(1, 6)]
    second = test.clips[1]
    folder = f"test/race_car/{TEST}"
    assert (second.frame, second.sound, second.mask) == (
        f"s4_data/visual_frames/{folder}/{TEST}_2.png",
        f"s4_data/audio_wav/{folder}.wav",
        f"s4_data/gt_masks/{folder}/{TEST}_2.png",
    )
    assert (second.label, second.group, second.sound_s, second.negative) == ("race_car", TEST, 1.0, False)


def test_the_sound_is_that_of_the_frame_s_second(root):
    settings = Extract(
        frame_position=0.5,
        frame_size=32,
        sample_rate=8000,
        seconds=1.0,
        cpu_limit=60.0,
        max_megapixels=50.0,
        shard_clips=8,
    )
    clips = avsbench.read(source(root)).splits["test"].clips
    peaks = [int(sample_of(clip, root, settings).waveform.max()) for clip in clips]
    assert peaks == pytest.approx([3277, 6553, 9830, 13107, 16383], rel=0.01)


def test_a_black_mask_says_that_nothing_sounds(root, caplog):
    with caplog.at_level(logging.INFO):
        test = avsbench.read(source(root)).splits["test"]
    assert [clip.negative for clip in test.clips] == [False, False, True, False, False]
    assert test.clips[2].mask == ""
    assert "in 1 of 10 seconds nothing in sight sounds" in caplog.text


def test_training_has_a_mask_for_the_first_second_only(root):
    clips = avsbench.read(source(root)).splits["train"].clips
    assert [bool(clip.mask) for clip in clips] == [True, False, False, False, False]
    assert not any(clip.negative for clip in clips)
    assert {clip.group for clip in clips} == {TRAIN}


def test_a_mask_that_cannot_be_read_is_left_to_the_stage_which_names_it(root):
    mask = root / f"s4_data/gt_masks/test/race_car/{TEST}/{TEST}_1.png"
    mask.write_bytes(b"no image")
    first = avsbench.read(source(root)).splits["test"].clips[0]
    assert (first.mask, first.negative) == (mask.relative_to(root).as_posix(), False)


def test_the_list_may_lie_beside_the_folders(root):
    (root / "s4_meta_data.csv").rename(root / "s4_data" / "s4_meta_data.csv")
    assert avsbench.read(source(root / "s4_data")).splits["test"].clips[0].frame.startswith("visual_frames/test/")
    assert avsbench.read(source(root)).splits["test"].clips[0].frame.startswith("s4_data/visual_frames/test/")


def test_ms3_has_no_class_and_its_clips_of_one_video_are_one_group(tmp_path):
    (tmp_path / "ms3_meta_data.csv").write_text(MS3)
    picture(tmp_path / "gt_masks/test/rq5RDUm2Hnk_1/rq5RDUm2Hnk_1_2.png", slice(0, 9))
    reading = avsbench.read(source(tmp_path))
    second = reading.splits["test"].clips[1]
    assert (second.clip_id, second.label, second.group) == ("rq5RDUm2Hnk_1_2", "", "rq5RDUm2Hnk")
    assert (second.frame, second.sound, second.mask) == (
        "visual_frames/rq5RDUm2Hnk_1/rq5RDUm2Hnk_1.mp4_2.png",
        "audio_wav/test/rq5RDUm2Hnk_1.wav",
        "gt_masks/test/rq5RDUm2Hnk_1/rq5RDUm2Hnk_1_2.png",
    )
    assert {clip.group for clip in reading.splits["train"].clips} == {"rq5RDUm2Hnk"}


def boxed(name: str, box: object) -> dict:
    return {"image": f"/home/x/{name}.png", "audio": "/home/x/a.wav", "gt_box": box}


def test_boxes_are_read_where_they_lie_there(tmp_path):
    (tmp_path / "ms3_meta_data.csv").write_text(MS3)
    entries = [
        boxed("rq5RDUm2Hnk_1/rq5RDUm2Hnk_1.mp4_1", [0.0, 0.0, 0.0, 0.0]),
        boxed("rq5RDUm2Hnk_1/rq5RDUm2Hnk_1.mp4_2", [56.0, 0.0, 112.0, 168.0]),
    ]
    (tmp_path / "ms3_box.json").write_text(json.dumps(entries))
    reading = avsbench.read(source(tmp_path))
    (box,) = reading.splits["test"].boxes
    assert (box.clip_id, box.x0, box.y0, box.x1, box.y1) == ("rq5RDUm2Hnk_1_2", 0.25, 0.0, 0.5, 0.75)
    assert [clip.negative for clip in reading.splits["test"].clips] == [True, False, False, False, False]
    assert reading.rejections == []


@pytest.mark.parametrize(
    ("entry", "name", "reason"),
    [
        (boxed(f"{TEST}_1", [9, 9, 0, 0]), f"{TEST}_1", "wrong order"),
        (boxed(f"{TEST}_1", [0, 0, 300, 9]), f"{TEST}_1", "leaves the frame"),
        (boxed(f"{TEST}_1", [0, float("nan"), 9, 9]), f"{TEST}_1", "finite"),
        (boxed(f"{TEST}_2", [0, 0, 9, 9]), f"{TEST}_2", "named twice"),
        (boxed(f"{TEST}_6", [0, 0, 0, 0]), f"{TEST}_6", "box of no clip"),
        (boxed("..", [0, 0, 9, 9]), "..", "box of no clip"),
        ("no object", "entry 1", "not an object"),
    ],
)
def test_a_faulty_box_is_rejected_alone(root, entry, name, reason):
    (root / "s4_box.json").write_text(json.dumps([boxed(f"{TEST}_2", [0, 0, 112, 112]), entry]))
    reading = avsbench.read(source(root))
    assert [box.clip_id for box in reading.splits["test"].boxes] == [f"{TEST}_2"]
    assert sum(len(part.clips) for part in reading.splits.values()) == 10
    (rejection,) = reading.rejections
    assert (rejection.clip_id, rejection.path) == (name, "s4_box.json")
    assert reason in rejection.reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("../../x,0,race_car,test", "no plain name"),
        ("abc,0,../x,test", "no plain name"),
        ("abc,0,,test", "no file's name"),
        ("abc,0,race_car,testing", "split is 'testing'"),
        ("abc,0,race_car", "3 cells under a header of 4"),
        (f"{TEST},0,race_car,train", "named twice"),
    ],
)
def test_a_faulty_line_is_rejected_alone(root, line, reason):
    (root / "s4_meta_data.csv").write_text(f"{S4}{line}\n")
    reading = avsbench.read(source(root))
    assert {split: len(part.clips) for split, part in reading.splits.items()} == {"train": 5, "val": 0, "test": 5}
    (rejection,) = reading.rejections
    assert (rejection.clip_id, rejection.path) == (line.split(",")[0], "s4_meta_data.csv:4")
    assert reason in rejection.reason


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("s4_meta_data.csv", b"name,start_time,category\n", "no column split"),
        ("s4_meta_data.csv", b"", "no column split"),
        ("s4_meta_data.csv", b"\xff\xfe,split", "not a UTF-8 CSV"),
        ("s4_meta_data.csv", b"name,start,category,split\n", "names no clip"),
        ("s4_box.json", b"[{", "not a JSON file"),
        ("ms3_meta_data.csv", b"video_id,split\n", "holds both of"),
    ],
)
def test_a_list_that_cannot_be_read_is_told_in_one_line(root, name, content, line):
    (root / name).write_bytes(content)
    with pytest.raises(UserError, match=line) as caught:
        avsbench.read(source(root))
    assert len(str(caught.value).splitlines()) == 1


def test_a_root_without_a_list_is_told(tmp_path):
    with pytest.raises(UserError, match="holds none of"):
        avsbench.read(source(tmp_path))


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_clips", "n_silent"), [("s4", 3700, 6), ("ms3", 320, 29)])
def test_the_real_boxes_are_read_whole(tmp_path, name, n_clips, n_silent):
    packed = real("annotations") / "kaistmm__SSLalignment" / "metadata" / f"{name}_box.json.gz"
    text = gzip.decompress(packed.read_bytes())
    (tmp_path / f"{name}_box.json").write_bytes(text)
    clips = sorted({tuple(entry["image"].split("/")[-3:-1]) for entry in json.loads(text)})
    with (tmp_path / f"{name}_meta_data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "start", "category", "split"])
        writer.writerows([clip, 0, label, "test"] for label, clip in clips)
    reading = avsbench.read(source(tmp_path))
    test = reading.splits["test"]
    assert reading.rejections == []
    assert (len(test.clips), len(test.boxes)) == (n_clips, n_clips - n_silent)
    assert sum(clip.negative for clip in test.clips) == n_silent
