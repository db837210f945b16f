import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import soundfile
from PIL import Image

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Clip
from pipeline.sources import flickr_soundnet
from pipeline.sources.flickr_soundnet import boxes_of_table, boxes_of_xml
from pipeline.sources.reading import Reading, Unusable
from pipeline.sources.selection import select
from tests.samples import greys, real, source_of, tone, write_media

A, B, C = "2615133000", "10000130166", "3908875350"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16)).save(path)


def sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(0.1), 44_100)


def vector(path: Path, key: str = "x", value: float = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {key: np.full(1000, value, np.float32)})


def xml(path: Path, *boxes: tuple[object, ...]) -> None:
    """An annotation with an annotator for each box, whose values stand by position."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (f"<bbox><n>{i}</n>{''.join(f'<v>{value}</v>' for value in box)}</bbox>" for i, box in enumerate(boxes))
    path.write_text(f"<annotation>{''.join(f'<person>{row}</person>' for row in rows)}</annotation>")


def read(root: Path, **changes) -> Reading:
    return flickr_soundnet.read(source_of(root, "flickr_soundnet", **changes))


def clips(reading: Reading) -> dict[str, Clip]:
    return {clip.clip_id: clip for part in reading.splits.values() for clip in part.clips}


def boxes(reading: Reading) -> dict[str, list[tuple[float, ...]]]:
    found: dict[str, list[tuple[float, ...]]] = {}
    for part in reading.splits.values():
        for box in part.boxes:
            found.setdefault(box.clip_id, []).append((int(box.annotator), box.x0, box.y0, box.x1, box.y1))
    return found


def reasons(reading: Reading) -> dict[str, str]:
    return {rejection.clip_id: rejection.reason for rejection in reading.rejections}


def test_the_annotated_archive(tmp_path):
    for item, digit in ((A, 0), (B, 7)):
        picture(tmp_path / f"Data/{digit}/{item}.jpg")
        sound(tmp_path / f"Data/{digit}/{item}.wav")
    xml(tmp_path / f"Annotations/{A}.xml", (1, 64, 128, 256), (32, 32, 64, 64))
    reading = read(tmp_path)
    assert clips(reading)[B] == Clip(B, frame=f"Data/7/{B}.jpg", sound=f"Data/7/{B}.wav", group=B)
    assert boxes(reading) == {A: [(0, 1 / 256, 0.25, 0.5, 1.0), (1, 0.125, 0.125, 0.25, 0.25)]}
    assert (reading.rejections, reading.vectors) == ([], None)


def test_soundnet_s_own_tree(tmp_path):
    for second in (3, 8, 13, 18):
        picture(tmp_path / f"frames/videos/0/0/0/{A}.mp4/{second:08d}.jpg")
    sound(tmp_path / f"mp3/videos/0/0/0/{A}.mp4.mp3")
    (clip,) = clips(read(tmp_path)).values()
    frame = f"frames/videos/0/0/0/{A}.mp4/00000008.jpg"
    assert clip == Clip(A, frame=frame, sound=f"mp3/videos/0/0/0/{A}.mp4.mp3", group=A)


@pytest.mark.parametrize(
    ("frames", "audio", "annotations"),
    [
        ("frames", "audio", "Annotations"),
        ("frame", "audio", "anno"),
        ("5k_labeled/Data/frames", "5k_labeled/Data/audio", "5k_labeled/Annotations"),
        ("Flickr/Test/extend_frames", "Flickr/Test/extend_audio", "Flickr/Test/Annotations"),
    ],
)
def test_the_flat_folders_of_later_papers(tmp_path, frames, audio, annotations):
    picture(tmp_path / frames / f"{A}.jpg")
    picture(tmp_path / f"flow/flow_x/{A}.jpg")
    sound(tmp_path / audio / f"{A}.wav")
    xml(tmp_path / annotations / f"{A}.xml", (1, 1, 256, 256))
    reading = read(tmp_path)
    assert clips(reading) == {A: Clip(A, frame=f"{frames}/{A}.jpg", sound=f"{audio}/{A}.wav", group=A)}
    assert boxes(reading) == {A: [(0, 1 / 256, 1 / 256, 1.0, 1.0)]}


def test_films_and_their_sounds(tmp_path):
    (tmp_path / "data/video").mkdir(parents=True)
    for item in (A, B):
        write_media(tmp_path / f"data/video/{item}.mp4", greys(3), tone(0.3))
    sound(tmp_path / f"data/audio/{A}.flac")
    found = clips(read(tmp_path))
    assert found[A] == Clip(A, media=f"data/video/{A}.mp4", sound=f"data/audio/{A}.flac", group=A)
    assert found[B] == Clip(B, media=f"data/video/{B}.mp4", group=B)


def test_the_tree_with_vectors(tmp_path):
    for item, name, value in ((A, f"{A}.mat", 1), (B, f"{B}.mp4.mat", 2)):
        picture(tmp_path / f"train/{item}.mp4/b.jpg")
        vector(tmp_path / f"train/{item}.mp4/{name}", value=value)
    picture(tmp_path / f"{C}.jpg")
    vector(tmp_path / f"{C}.mat", "a_feature", 3)
    reading = read(tmp_path)
    assert clips(reading)[A] == Clip(A, frame=f"train/{A}.mp4/b.jpg", group=A)
    assert {item: value[0] for item, value in reading.vectors.items()} == {A: 1, B: 2, C: 3}


def test_maps_of_annotators_beside_the_vectors_are_left_out(tmp_path, caplog):
    picture(tmp_path / f"{A}.mp4/a.jpg")
    vector(tmp_path / f"{A}.mp4/{A}.mat")
    (tmp_path / "annotations").mkdir()
    scipy.io.savemat(tmp_path / f"annotations/{A}.mat", {"gt_box20": np.zeros((20, 20, 3))})
    with caplog.at_level("INFO"):
        reading = read(tmp_path)
    assert (list(reading.vectors), reading.rejections, boxes(reading)) == ([A], [], {})
    assert "1 .mat files hold no vector of 1000 numbers" in caplog.text


def test_boxes_belong_to_the_picture_of_the_archive(tmp_path):
    picture(tmp_path / f"AAA/frames/{A}.jpg")
    sound(tmp_path / f"AAA/audio/{A}.wav")
    picture(tmp_path / f"Data/3/{A}.jpg")
    sound(tmp_path / f"Data/3/{A}.wav")
    assert clips(read(tmp_path))[A] == Clip(A, frame=f"Data/3/{A}.jpg", sound=f"Data/3/{A}.wav", group=A)


def test_without_a_list_only_what_is_annotated_is_test(tmp_path):
    for i in range(100):
        item = f"20000000{i:02d}"
        picture(tmp_path / f"frames/{item}.jpg")
        sound(tmp_path / f"audio/{item}.wav")
        if i % 2:
            xml(tmp_path / f"Annotations/{item}.xml", (1, 1, 9, 9))
    splits = read(tmp_path, test_share=0.5).splits
    tested = [int(clip.clip_id) for clip in splits["test"].clips]
    assert 10 < len(tested) < 40
    assert all(item % 2 for item in tested)


def test_an_item_that_lacks_a_part_is_rejected_by_name(tmp_path):
    picture(tmp_path / f"frames/{A}.jpg")
    sound(tmp_path / f"audio/{B}.wav")
    picture(tmp_path / f"frames/{C}.jpg")
    sound(tmp_path / f"audio/{C}.wav")
    reading = read(tmp_path)
    assert list(clips(reading)) == [C]
    assert reasons(reading) == {
        A: "no sound and no vector of this item lies below the root",
        B: "no picture of this item lies below the root",
    }


def test_where_some_have_only_a_vector_and_others_only_a_sound_the_rarer_kind_is_rejected(tmp_path):
    for item in (A, B):
        picture(tmp_path / f"frames/{item}.jpg")
        sound(tmp_path / f"audio/{item}.wav")
    picture(tmp_path / f"{C}.mp4/a.jpg")
    vector(tmp_path / f"{C}.mp4/{C}.mat")
    reading = read(tmp_path)
    assert (sorted(clips(reading)), reading.vectors) == ([B, A], None)
    assert reasons(reading) == {C: "no sound, which 2 other items have"}


def test_a_damaged_vector_costs_its_own_item_only(tmp_path):
    for item in (A, B):
        picture(tmp_path / f"{item}.mp4/a.jpg")
        vector(tmp_path / f"{item}.mp4/{item}.mat")
    (tmp_path / f"{A}.mp4/{A}.mat").write_bytes((tmp_path / f"{A}.mp4/{A}.mat").read_bytes()[:300])
    reading = read(tmp_path)
    assert (list(clips(reading)), list(reading.vectors)) == ([B], [B])
    assert [r.path for r in reading.rejections if "not a MATLAB file" in r.reason] == [f"{A}.mp4/{A}.mat"]


def test_named_values_may_stand_in_any_order_and_boxes_at_any_depth(tmp_path):
    (tmp_path / "a.xml").write_text(
        "<a><b><bbox><ymax>4</ymax><XMIN>1</XMIN><ymin>2</ymin><xmax>3</xmax></bbox></b>"
        '<c xmlns="u"><d><bbox><i>0</i><j>5</j><k>6</k><l>7</l><m>8</m></bbox></d></c></a>'
    )
    assert boxes_of_xml(tmp_path / "a.xml") == [(1, 2, 3, 4), (5, 6, 7, 8)]


def test_a_wrong_box_is_rejected_by_its_number_and_the_others_stay(tmp_path):
    picture(tmp_path / f"frames/{A}.jpg")
    sound(tmp_path / f"audio/{A}.wav")
    wrong = [
        *((60, 80, 60, 80), ("nan", 1, 2, 3), (-2.88e16, 1, 2, 3), (200, 1, 100, 9), (1, 1, 300, 9)),
        *(("x", 1, 2, 3), (1, 2), ("1e400", 1, 2, 3), ("", 1, 2, 3)),
    ]
    xml(tmp_path / f"Annotations/{A}.xml", *wrong, (1, 1, 128, 128))
    reading = read(tmp_path)
    assert boxes(reading) == {A: [(len(wrong), 1 / 256, 1 / 256, 0.5, 0.5)]}
    told = [rejection.reason for rejection in reading.rejections]
    assert [reason.split(":")[0] for reason in told] == [
        f"the clip is kept without box {number}" for number in range(len(wrong))
    ]
    assert told[0].endswith("x0 60, y0 80, x1 60, y1 80 leaves the frame of 256 or has no area")
    assert all(rejection.clip_id == A for rejection in reading.rejections)


BOMB = '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a><bbox>&c;</bbox></a>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a><bbox>&b;</bbox></a>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an XML file that can be read"),
        (b"<annotation><person><bbox><n>0</n>", "not an XML file that can be read"),
        (b"\xff\xfe\x00", "not an XML file that can be read"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "not an XML file that can be read"),
        (b"<annotation><person/></annotation>", "no bbox in it"),
        (BOMB.encode(), "it declares entities"),
        (OUTSIDE.encode(), "it declares entities"),
    ],
)
def test_a_damaged_or_hostile_annotation_costs_the_boxes_of_its_item_only(tmp_path, content, reason):
    for item in (A, B):
        picture(tmp_path / f"frames/{item}.jpg")
        sound(tmp_path / f"audio/{item}.wav")
        xml(tmp_path / f"Annotations/{item}.xml", (1, 1, 9, 9))
    (tmp_path / f"Annotations/{A}.xml").write_bytes(content)
    with pytest.raises(Unusable, match=reason):
        boxes_of_xml(tmp_path / f"Annotations/{A}.xml")
    reading = read(tmp_path)
    assert sorted(clips(reading)) == [B, A]
    assert list(boxes(reading)) == [B]
    assert list(reasons(reading)) == [A]


def test_an_annotation_of_great_depth_is_read(tmp_path):
    box = "<bbox><n>0</n><v>1</v><v>2</v><v>3</v><v>4</v></bbox>"
    (tmp_path / "a.xml").write_text("<a>" * 20_000 + box + "</a>" * 20_000)
    assert boxes_of_xml(tmp_path / "a.xml") == [(1, 2, 3, 4)]


def test_a_table_of_boxes_stands_in_for_annotations_that_are_not_there(tmp_path):
    for item in (A, B):
        picture(tmp_path / f"frames/{item}.jpg")
        sound(tmp_path / f"audio/{item}.wav")
    xml(tmp_path / f"Annotations/{A}.xml", (64, 64, 128, 128))
    table = f"id,folder,box,x0,y0,x1,y1\n{A},0,0,1,1,9,9\n{B},0,0,64,64,256,256\n{B},0,1,9,9,9,9\n{B},0,2,,9,9,9\n"
    with gzip.open(tmp_path / "flickr_soundnet_boxes_2.csv.gz", "wt") as file:
        file.write(table)
    reading = read(tmp_path)
    assert boxes(reading) == {A: [(0, 0.25, 0.25, 0.5, 0.5)], B: [(0, 0.25, 0.25, 1, 1)]}
    assert [r.reason.split(":")[0][-5:] for r in reading.rejections] == ["box 1", "box 2"]


@pytest.mark.parametrize("content", [b"id,x0\n", b"\x1f\x8b\x08broken", b"\xff\xff"])
def test_a_table_that_is_none_is_told(tmp_path, content):
    path = tmp_path / ("flickr_soundnet_boxes.csv" + (".gz" if content[:1] == b"\x1f" else ""))
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"flickr_soundnet_boxes.csv") as caught:
        boxes_of_table(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_of_something_else_is_told(tmp_path):
    picture(tmp_path / "frames/holiday.jpg")
    with pytest.raises(UserError, match="no picture with a sound or a vector below it is called by a photo id"):
        read(tmp_path)


def test_the_misspelt_test_item_is_read_as_the_one_that_is_meant_and_told(tmp_path, caplog):
    for item in (A, C):
        picture(tmp_path / f"Data/0/{item}.jpg")
        sound(tmp_path / f"Data/0/{item}.wav")
    (tmp_path / "test_list.txt").write_text("3908875357.png\n")
    source = source_of(tmp_path, "flickr_soundnet", test_list="test_list.txt")
    reading = select(flickr_soundnet.read(source), source)
    assert [clip.clip_id for clip in reading.splits["test"].clips] == [C]
    assert "3908875357.png is a known misspelling and read as 3908875350" in caplog.text


@pytest.mark.real
def test_the_real_boxes_are_read_whole(tmp_path):
    table = boxes_of_table(real("annotations") / "derived" / "flickr_soundnet_boxes_2786.csv.gz")
    assert (len(table), sum(map(len, table.values()))) == (2786, 8822)
    assert Counter(map(len, table.values())) == {2: 183, 3: 2169, 4: 295, 5: 90, 6: 36, 7: 4, 8: 7, 9: 1, 10: 1}
    rejected: list = []
    kept = [b for item, of_item in table.items() for b in flickr_soundnet.checked_boxes(item, "x", of_item, rejected)]
    assert len(kept) == 8821
    assert [rejection.clip_id for rejection in rejected] == ["4041216001"]


@pytest.mark.real
def test_two_real_items_are_read_as_they_lie():
    root = real("annotations") / "liyidi__soundnet_localize_sound_source"
    reading = read(root)
    assert sorted(clips(reading)) == ["10006434483", "10602295346"]
    assert sorted(reading.vectors) == ["10006434483", "10602295346"]
