import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import localization as loc
from model.truth import box_mask


def test_ciou_by_hand():
    truth = np.array([[[1, 0.5], [0, 0]]], np.float32)
    mask = np.array([[[False, True], [True, False]]])
    assert loc.ciou(mask, truth).tolist() == pytest.approx([0.5 / (1.5 + 1)])


def test_with_an_empty_mask_it_is_right_to_show_nothing():
    masks = np.array([[[False, False], [False, True]]] * 2)
    truth = np.array([[[0, 0], [0, 0]], [[0, 0], [1, 1]]], np.float32)
    assert loc.mask_iou(masks, truth).tolist() == [0.75, 0.5]


def test_ciou_bounds():
    truth = box_mask([(0.2, 0.2, 0.7, 0.6)])[None].astype(np.float32)
    assert loc.ciou(truth > 0, truth)[0] == 1
    assert loc.ciou(truth == 0, truth)[0] == 0
    assert loc.ciou(np.zeros_like(truth, bool), np.zeros_like(truth))[0] == 0  # 0 of nothing


def test_the_full_frame_scores_the_area_of_the_truth():
    truth = box_mask([(0, 0, 0.5, 0.5)])[None].astype(np.float32)
    assert loc.ciou(np.ones_like(truth, bool), truth)[0] == pytest.approx(0.25)


def test_success_rate_auc_and_mean_by_hand():
    scores = np.array([0.5, 0.0, 1.0, 0.49])
    rate, auc, mean = loc.per_clip(scores).mean(axis=0)
    assert rate == 0.5
    assert mean == pytest.approx(0.4975)
    curve = [(scores >= 0.05 * i - 1e-12).mean() for i in range(21)]
    trapezoids = sum((a + b) / 2 * 0.05 for a, b in itertools.pairwise(curve))
    assert auc == pytest.approx(trapezoids)
    assert loc.success_curve(scores).tolist() == pytest.approx(curve)


def test_an_iou_of_a_half_counts_as_one_however_it_was_summed():
    assert loc.per_clip(np.array([0.3 - 0.1 + 0.3]))[0, 0] == 1  # 0.49999999999999994 in floats


def test_intervals_hold_the_mean_and_follow_the_groups():
    rng = np.random.default_rng(0)
    values = rng.random((200, 2))
    found = loc.intervals(values, [str(i) for i in range(200)], 500, np.random.default_rng(1))
    for column, interval in enumerate(found):
        assert interval.mean == pytest.approx(values[:, column].mean())
        error = values[:, column].std() / np.sqrt(200)
        assert interval.mean - interval.low == pytest.approx(1.96 * error, rel=0.2)
        assert interval.high - interval.mean == pytest.approx(1.96 * error, rel=0.2)
    twins = np.repeat(values[:100], 2, axis=0)
    (grouped, _) = loc.intervals(twins, [str(i // 2) for i in range(200)], 500, np.random.default_rng(1))
    (alone, _) = loc.intervals(values[:100], [str(i) for i in range(100)], 500, np.random.default_rng(1))
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))


def test_one_group_alone_has_no_width():
    (interval,) = loc.intervals(np.array([[0.0], [1.0]]), ["a", "a"], 50, np.random.default_rng(0))
    assert (interval.low, interval.mean, interval.high) == (0.5, 0.5, 0.5)


def test_moved_is_the_share_that_the_other_mask_leaves():
    mask = np.array([[[True, True], [True, True]], [[False, False], [False, False]]])
    other = np.array([[[True, False], [False, False]], [[True, True], [True, True]]])
    shares = loc.moved(mask, other)
    assert shares[0] == 0.75
    assert np.isnan(shares[1])


def test_the_levels_at_which_masks_are_told():
    assert loc.reached(np.array([0.1, 0.2, 0.3 - 1e-16, 0.7])).tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_a_picture_is_worth_its_worst_sound():
    worst, pictures = loc.worst_of_each(np.array([0.9, 0.4, 0.6, 0.5]), ["b", "a", "b", "a"])
    assert pictures == ["a", "b"]
    assert worst.tolist() == [0.4, 0.6]
    rate, _, mean = loc.per_clip(worst).mean(axis=0)  # IIoU: one of two pictures is understood
    assert (rate, mean) == (0.5, 0.5)


@given(st.integers(0, 300))
def test_ciou_equals_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    truth = (rng.integers(0, 3, (2, 4, 5)) / 2).astype(np.float32)
    masks = rng.random((2, 4, 5)) < 0.5
    for mask, g, found in zip(masks, truth, loc.ciou(masks, truth), strict=True):
        inside = sum(v for m, v in zip(mask.ravel(), g.ravel(), strict=True) if m)
        spilt = sum(1 for m, v in zip(mask.ravel(), g.ravel(), strict=True) if m and v == 0)
        assert found == pytest.approx(inside / (g.sum() + spilt) if g.sum() + spilt else 0)
        assert 0 <= found <= 1
