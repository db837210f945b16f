import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, checked
from pipeline.sources.annotations import corners, corners_of_xywh, file_name, first_there, member, named, read_json
from pipeline.sources.reading import Unusable

HUGE = int("9" * 400)


def test_corners_in_pixels_become_fractions():
    assert corners([56, 112, 168, 224], 224) == (0.25, 0.5, 0.75, 1.0)


def test_a_width_and_a_height_become_corners():
    assert corners_of_xywh([0.25, 0.5, 0.5, 0.25]) == (0.25, 0.5, 0.75, 0.75)


def test_a_sum_that_rounding_lifts_over_the_edge_ends_at_it():
    assert corners_of_xywh([0.7, 0.1, 0.1 + 0.2, 0.9])[2:] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([0.5, 0.1, 0.2, 0.9], "no area, or its edges in the wrong order"),
        ([0.1, 0.1, 0.1, 0.9], "no area"),
        ([0.1, 0.1, 1.2, 0.9], "leaves the frame"),
        ([-2.88e16, 0.1, 0.2, 0.9], "leaves the frame"),
        ([float("nan"), 0.1, 0.2, 0.9], "not four finite numbers"),
        ([0.1, 0.1, float("inf"), 0.9], "not four finite numbers"),
        ([HUGE, 0.1, 0.2, 0.9], "not four finite numbers"),
        ([0.1, 0.1, 0.2], "not four numbers"),
        ([0.1, 0.1, 0.2, "0.9"], "not four numbers"),
        ([0, 0, True, 1], "not four numbers"),
        ({"x": 1}, "not four numbers"),
        (None, "not four numbers"),
    ],
)
def test_a_box_that_is_none_is_faulty(box, reason):
    with pytest.raises(Unusable, match=reason) as caught:
        corners(box)
    assert len(str(caught.value)) < 160


def test_a_width_below_zero_is_faulty():
    with pytest.raises(Unusable, match="wrong order"):
        corners_of_xywh([0.5, 0.5, -0.2, 0.2])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)
NUMBERS = st.lists(st.floats(-0.1, 1.1) | st.floats() | st.integers(0, 224), min_size=4, max_size=4)


@given(JSON | NUMBERS, st.sampled_from([corners, corners_of_xywh, lambda box: corners(box, 224)]))
def test_whatever_stands_there_is_a_box_of_the_manifest_or_faulty(value, read):
    try:
        box = read(value)
    except Unusable:
        return
    written = [float(f"{edge:.10g}") for edge in box]  # as boxes.csv has it
    checked(Box("a", "", *written), "here")


def test_json_with_a_name_twice_keeps_the_first_and_says_so(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"x": 1, "y": 2, "x": 3}')
    value, (rejection,) = read_json(path, dict)
    assert value == {"x": 1, "y": 2}
    assert (rejection.clip_id, rejection.path) == ("x", "a.json")
    assert "named twice" in rejection.reason


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"x": [1, 2', "not a JSON file"),
        (b"", "not a JSON file"),
        (b"\xff\xfe\xff", "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b"[" + b"9" * 5000 + b"]", "not a JSON file"),
        (b"[]", "holds a list, not a dict"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_told_in_one_line(tmp_path, content, line):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=line) as caught:
        read_json(path, dict)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path / "a.json", dict)


@pytest.mark.parametrize("entry", [[], None, {"name": 3}, {"name": True}, {}, {"name": "a\nb"}, {"name": "\ud800"}])
def test_a_member_that_is_missing_or_of_another_kind_is_faulty(entry):
    with pytest.raises(Unusable):
        member(entry, "name", str)


def test_truth_is_no_number():
    with pytest.raises(Unusable, match="its n is True"):
        member({"n": True}, "n", int)


@pytest.mark.parametrize("path", ["", "a/", "..", "a/..", ".", "a/\0", "a/" + "x" * 300, "a/\ud800"])
def test_a_path_that_ends_in_no_file_s_name_is_faulty(path):
    with pytest.raises(Unusable, match="no file's name"):
        file_name(path)


def test_only_the_last_part_of_a_path_counts():
    assert file_name("/somewhere/../else/cat_dog_1_cat.jpg") == "cat_dog_1_cat.jpg"


@given(st.text())
def test_a_name_for_a_list_of_rejections_is_one_printable_line(text):
    assert named(text).isprintable()
    assert 0 < len(named(text)) <= 120
    json.dumps(named(text)).encode()


def test_the_first_file_that_is_there_is_found(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    assert first_there(tmp_path, ["a/x", "b", "b/x"]) == "b/x"
    assert first_there(tmp_path, ["a/x"]) == ""
