import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import truth


def test_a_box_covers_the_pixels_from_floor_to_floor():
    mask = truth.box_mask([(0.25, 0.5, 0.74, 1.0)], size=4)
    assert mask.tolist() == [[False] * 4, [False] * 4, [False, True, False, False], [False, True, False, False]]


@given(st.tuples(*[st.integers(0, 256)] * 4).filter(lambda b: b[0] < b[2] and b[1] < b[3]))
def test_a_box_in_256ths_equals_the_field_s_rule(box):
    x0, y0, x1, y1 = (int(224 * v / 256) for v in box)
    expected = np.zeros((224, 224), bool)
    expected[y0:y1, x0:x1] = True
    mask = truth.box_mask([tuple(v / 256 for v in box)])
    if expected.any():
        assert (mask == expected).all()
    else:
        assert mask.sum() == max(x1 - x0, 1) * max(y1 - y0, 1)


def test_a_box_thinner_than_a_pixel_keeps_one_and_one_without_area_has_none():
    assert truth.box_mask([(0.5, 0.5, 0.502, 0.502)]).sum() == 1
    assert truth.box_mask([(0.999, 0.999, 1, 1)])[-1, -1]
    assert not truth.box_mask([(0.5, 0.2, 0.5, 0.9), (0.7, 0.2, 0.3, 0.9), (1.2, 0, 1.4, 1)]).any()


def test_a_box_that_leaves_the_frame_is_clipped():
    assert truth.box_mask([(-0.5, -3, 0.5, 9)], size=2).tolist() == [[True, False], [True, False]]


def test_the_consensus_of_three_annotators_by_hand():
    left, both, nobody = (0, 0, 0.5, 1), (0, 0, 1, 1), (0.5, 0, 1, 0.5)
    g = truth.consensus_map([[left], [both], [nobody]], size=2)
    assert g.tolist() == [[1, 1], [1, 0.5]]  # two votes make 1, one vote a half
    assert truth.union_map([[left], [nobody]], size=2).tolist() == [[1, 1], [1, 0]]


def test_two_boxes_of_one_of_several_annotators_are_two_votes():
    left = (0, 0, 0.5, 1)
    assert truth.consensus_map([[left, left], [(0.5, 0, 1, 1)]], size=2).tolist() == [[1, 0.5], [1, 0.5]]


def test_one_annotator_needs_no_second_vote():
    assert truth.consensus_map([[(0, 0, 0.5, 1), (0, 0.5, 0.5, 1)]], size=2).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (0, "small"),
        (1023, "small"),
        (1024, "medium"),
        (9216, "large"),
        (20735, "large"),
        (20736, "huge"),
        (50176, "huge"),
    ],
)
def test_size_classes_are_slavc_s(pixels, name):
    assert truth.size_class(pixels / 224**2) == name
