import numpy as np
import pytest

from model.average_precision import Boxes, average_precision

A, B, FAR = [0, 0, 10, 10], [20, 20, 40, 40], [60, 60, 70, 70]


def truth(boxes: list[list[float]], labels: list[int], difficult: list[bool] | None = None) -> Boxes:
    flags = np.array(difficult or [False] * len(boxes))
    return Boxes(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), difficult=flags)


def found(boxes: list[list[float]], labels: list[int], scores: list[float]) -> Boxes:
    return Boxes(np.array(boxes, float).reshape(-1, 4), np.array(labels, int), np.array(scores, float))


def test_all_found_is_1_and_none_found_is_0():
    known = [truth([A, B], [1, 2])]
    assert average_precision(known, [found([A, B], [1, 2], [0.9, 0.8])], 2).tolist() == pytest.approx([1, 1])
    assert average_precision(known, [found([FAR], [1], [0.9])], 2).tolist() == [0, 0]
    assert average_precision(known, [found([], [], [])], 2).tolist() == [0, 0]


def test_a_wrong_one_between_two_right_ones_costs_by_hand():
    known = [truth([A, B], [1, 1])]
    made = average_precision(known, [found([A, FAR, B], [1, 1, 1], [0.9, 0.8, 0.7])], 1)
    # Precision is 1 up to recall .5 (51 of the 101 points) and 2 / 3 beyond (50).
    assert made.tolist() == pytest.approx([(51 + 50 * 2 / 3) / 101])


def test_scores_order_the_boxes_of_all_photographs_together():
    known = [truth([A], [1]), truth([A], [1])]
    made = average_precision(known, [found([A], [1], [0.3]), found([FAR, A], [1, 1], [0.9, 0.5])], 1)
    assert made.tolist() == pytest.approx(
        [2 / 3]
    )  # wrong, right, right: the best precision from each recall on is 2 / 3


def test_a_box_at_an_iou_of_one_half_is_found_and_just_below_is_not():
    known = [truth([[0, 0, 10, 10]], [1])]
    assert average_precision(known, [found([[0, 0, 10, 5]], [1], [0.9])], 1).tolist() == pytest.approx([1])
    assert average_precision(known, [found([[0, 0, 10, 4.9]], [1], [0.9])], 1).tolist() == [0]


def test_a_box_found_twice_is_once_wrong():
    known = [truth([A, B], [1, 1])]
    made = average_precision(known, [found([A, A, B], [1, 1, 1], [0.9, 0.8, 0.7])], 1)
    assert made.tolist() == pytest.approx([(51 + 50 * 2 / 3) / 101])


def test_a_difficult_one_neither_counts_nor_costs():
    known = [truth([A, B], [1, 1], [False, True])]
    assert average_precision(known, [found([A], [1], [0.9])], 1).tolist() == pytest.approx([1])
    assert average_precision(known, [found([B, A], [1, 1], [0.9, 0.8])], 1).tolist() == pytest.approx([1])


def test_a_class_that_the_truth_lacks_is_unknown_and_a_photograph_without_objects_counts():
    known = [truth([A], [1]), truth([], [])]
    made = average_precision(known, [found([A], [1], [0.5]), found([B], [1], [0.9])], 2)
    assert made[0] == pytest.approx(0.5)
    assert np.isnan(made[1])
