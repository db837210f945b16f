from pathlib import Path

import pytest

from pipeline.foundation.errors import UserError
from pipeline.sources import voc
from pipeline.sources.reading import Unusable

OBJECT = (
    "<object><name>cat</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox></object>"
)
SIZE = "<size><width>100</width><height>80</height></size>"


def write(root: Path, content: str, name: str = "a") -> Path:
    (root / "Annotations").mkdir(exist_ok=True)
    (root / f"Annotations/{name}.xml").write_text(content)
    return root


def annotated(root: Path, *objects: str, size: str = SIZE) -> voc.Annotation:
    return voc.read(
        write(root, f"<annotation>{size}{''.join(objects)}</annotation>"), "a", {"cat": 1, "dog": 2}, (100, 80)
    )


def test_corners_are_fractions_and_the_last_pixel_is_in_the_box(tmp_path):
    (item,) = annotated(tmp_path, OBJECT).items
    assert item.label == "cat"
    assert item.box == (0.10, 0.25, 0.50, 0.75)  # pixels 11 to 50 of 100, counted from 1: [10, 50)
    assert not item.difficult


def test_a_photograph_without_objects_is_one_without_objects(tmp_path):
    assert annotated(tmp_path).items == []


def test_one_huge_object_is_as_good_as_any(tmp_path):
    whole = OBJECT.replace("11", "1").replace("21", "1").replace("50", "100").replace("60", "80")
    assert annotated(tmp_path, whole).items[0].box == (0, 0, 1, 1)


def test_a_set_that_counts_from_0_is_read_and_an_edge_one_pixel_out_is_cut(tmp_path):
    from_0 = OBJECT.replace("11", "0").replace("21", "0").replace("50", "101").replace("60", "81")
    assert annotated(tmp_path, from_0).items[0].box == (0, 0, 1, 1)


def test_a_difficult_object_is_told(tmp_path):
    assert annotated(tmp_path, OBJECT.replace("<bndbox>", "<difficult>1</difficult><bndbox>")).items[0].difficult


FAULTS = {
    "has no name": OBJECT.replace("<name>cat</name>", ""),
    "its class is 'unicorn', which is none of those that are trained": OBJECT.replace("cat", "unicorn"),
    "has no bndbox": OBJECT.replace("bndbox", "box"),
    "its bndbox has no xmax": OBJECT.replace("<xmax>50</xmax>", ""),
    "its ymin is 'high', no number": OBJECT.replace("21", "high"),
    "its xmin is 'nan'": OBJECT.replace("11", "nan"),
    "box 11 21 102 60 leaves the picture of 100 x 80": OBJECT.replace("50", "102"),
    "box -1 21 50 60 leaves the picture of 100 x 80": OBJECT.replace("11", "-1"),
    "box 51 21 50 60 has its edges in the wrong order": OBJECT.replace("11", "51"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_its_object_alone_and_is_told_by_name(tmp_path, fault):
    read = annotated(tmp_path, FAULTS[fault], OBJECT)
    assert [item.label for item in read.items] == ["cat"]
    (rejection,) = read.rejections
    assert (rejection.clip_id, rejection.path) == ("a", "Annotations/a.xml")
    assert rejection.reason == f"object 1: {fault}"


def test_a_photograph_that_loses_its_last_object_is_not_one_without_objects(tmp_path):
    with pytest.raises(Unusable, match=r"Annotations/a\.xml: none of its 2 objects can be used; object 1: has no name"):
        annotated(tmp_path, FAULTS["has no name"], FAULTS["has no bndbox"])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("<annotation><object>", "no plain XML"),
        ("", "no plain XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>", "no plain XML"),
        (
            "<annotation><size><width>80</width><height>100</height></size></annotation>",
            "its size is 80 x 100, the pic",
        ),
    ],
)
def test_a_file_that_cannot_be_read_or_is_another_picture_s_is_unusable(tmp_path, content, why):
    with pytest.raises(Unusable, match=rf"Annotations/a\.xml: {why}"):
        voc.read(write(tmp_path, content), "a", None, (100, 80))


def test_a_missing_file_is_unusable_and_a_size_that_is_not_told_is_the_picture_s(tmp_path):
    with pytest.raises(Unusable, match=r"Annotations/b\.xml: cannot be read"):
        voc.read(tmp_path, "b", None)
    assert annotated(tmp_path, OBJECT, size="").items[0].box == (0.10, 0.25, 0.50, 0.75)


def test_the_classes_are_those_of_all_usable_objects(tmp_path):
    write(tmp_path, f"<annotation>{SIZE}{OBJECT.replace('cat', 'dog')}{FAULTS['has no bndbox']}</annotation>")
    write(tmp_path, f"<annotation>{OBJECT}</annotation>", "b")
    write(tmp_path, "<annotation>", "broken")
    assert voc.classes_of(tmp_path, ["a", "b", "broken", "missing"]) == ["cat", "dog"]


def test_a_list_names_each_photograph_once_by_the_first_word_of_a_line(tmp_path):
    (tmp_path / "train.txt").write_text("000012\n000017  1\n\n../secret\n000012\n")
    names, rejections = voc.read_list(tmp_path, "train.txt")
    assert names == ["000012", "000017"]
    assert [r.reason.split(":")[0] for r in rejections] == ["no name of a photograph", "named twice; it is used once"]


def test_a_list_that_is_missing_or_empty_ends_the_run(tmp_path):
    with pytest.raises(UserError, match=r"train\.txt: cannot be read"):
        voc.read_list(tmp_path, "train.txt")
    (tmp_path / "train.txt").write_text("\n../x\n")
    with pytest.raises(UserError, match=r"train\.txt: names no photograph"):
        voc.read_list(tmp_path, "train.txt")
