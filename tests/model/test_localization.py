import itertools

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import localization as loc


def random_maps(seed: int, n: int = 3, side: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, side, side)).astype(np.float32)


def test_upsampling_equals_cv2_and_torch():
    maps = random_maps(0, side=7)
    ours = loc.upsampled(maps)
    by_torch = torch.nn.functional.interpolate(torch.from_numpy(maps)[:, None], (224, 224), mode="bilinear")[:, 0]
    assert ours == pytest.approx(by_torch.numpy(), abs=1e-5)
    assert ours[0] == pytest.approx(cv2.resize(maps[0], (224, 224), interpolation=cv2.INTER_LINEAR), abs=1e-4)


def test_a_constant_map_stays_constant_when_it_grows():
    assert loc.constant(loc.upsampled(np.full((1, 10, 10), 0.1, np.float32))).all()


def test_adaptive_takes_exactly_n_pixels_and_breaks_ties_by_row():
    maps = np.array([[[5, 1], [1, 1]]], np.float32)
    truth = np.array([[[0, 0], [1, 1]]], np.float32)
    assert loc.adaptive(maps, truth).tolist() == [[[True, True], [False, False]]]


@given(st.integers(0, 200), st.integers(0, 16))
def test_adaptive_takes_the_highest(seed, n):
    maps = np.random.default_rng(seed).integers(0, 4, (1, 4, 4)).astype(np.float32)
    truth = np.zeros((1, 4, 4), np.float32)
    truth.ravel()[:n] = 1
    mask = loc.adaptive(maps, truth)
    if maps.min() == maps.max():
        assert not mask.any()
    else:
        assert mask.sum() == n
        assert n in (0, 16) or maps[mask].min() >= maps[~mask].max()


def test_lvs_top50_is_strictly_above_the_upper_median():
    maps = np.array([[[1, 2], [3, 4]]], np.float32)  # ascending s = 1 2 3 4, s[2] = 3
    assert loc.lvs_top50(maps).tolist() == [[[False, False], [False, True]]]


@given(st.integers(0, 200))
def test_lvs_top50_equals_its_definition(seed):
    maps = np.random.default_rng(seed).integers(0, 9, (2, 5, 4)).astype(np.float32)
    for heat, mask in zip(maps, loc.lvs_top50(maps), strict=True):
        scaled = (heat - heat.min()) / (heat.max() - heat.min())
        threshold = np.sort(scaled.ravel())[10]
        assert mask.tolist() == (scaled > threshold).tolist()


def test_half_max_by_hand():
    maps = np.array([[[-1, 0], [0.9, 3]]], np.float32)  # half of the way from -1 to 3 is 1
    assert loc.half_max(maps).tolist() == [[[False, False], [False, True]]]
    maps[0, 1, 0] = 1
    assert loc.half_max(maps).tolist() == [[[False, False], [True, True]]]


@pytest.mark.parametrize("protocol", loc.PROTOCOLS)
@pytest.mark.parametrize("value", [-2.0, 0.0, 0.3])
def test_a_constant_map_gives_an_empty_mask(protocol, value):
    maps = np.full((2, 6, 6), value, np.float32)
    truth = np.ones((2, 6, 6), np.float32)
    assert not loc.PROTOCOLS[protocol](maps, truth).any()


@pytest.mark.parametrize("protocol", loc.PROTOCOLS)
def test_a_map_scores_the_same_alone_and_in_company(protocol):
    maps = loc.upsampled(random_maps(1))
    truth = np.stack([loc.box_mask([(0.1 * i, 0.2, 0.5 + 0.1 * i, 0.9)]) for i in range(3)]).astype(np.float32)
    together = loc.PROTOCOLS[protocol](maps, truth)
    for i in range(3):
        alone = loc.PROTOCOLS[protocol](maps[i : i + 1], truth[i : i + 1])
        assert (alone[0] == together[i]).all()


def test_a_box_covers_the_pixels_between_its_rounded_edges():
    mask = loc.box_mask([(0.25, 0.5, 0.75, 1.0)], size=4)
    assert mask.tolist() == [[False] * 4, [False] * 4, [False, True, True, False], [False, True, True, False]]


def test_the_consensus_of_three_annotators_by_hand():
    left, both, nobody = (0, 0, 0.5, 1), (0, 0, 1, 1), (0.5, 0, 1, 0.5)
    g = loc.consensus_map([[left], [both], [nobody]], size=2)
    assert g.tolist() == [[1, 1], [1, 0.5]]  # two votes make 1, one vote a half


def test_one_annotator_needs_no_second_vote():
    assert loc.consensus_map([[(0, 0, 0.5, 1), (0, 0.5, 0.5, 1)]], size=2).tolist() == [[1, 0], [1, 0]]


def test_a_box_thinner_than_a_pixel_keeps_one():
    assert loc.box_mask([(0.5, 0.5, 0.502, 0.502)]).sum() == 1
    assert loc.box_mask([(0.999, 0.999, 1, 1)])[-1, -1]


def test_a_map_of_nan_points_nowhere():
    truth = loc.box_mask([(0, 0, 1, 0.5)])[None].astype(np.float32)
    for protocol in loc.PROTOCOLS.values():
        assert not protocol(np.full_like(truth, np.nan), truth).any()


def test_the_oracle_takes_all_that_anybody_boxed_under_half_max():
    truth = loc.consensus_map([[(0, 0, 0.5, 0.5)], [(0.2, 0, 0.7, 0.5)]])[None]
    assert loc.ciou(loc.half_max(loc.oracle_map(truth)), truth)[0] == 1


def test_ciou_by_hand():
    truth = np.array([[[1, 0.5], [0, 0]]], np.float32)
    mask = np.array([[[False, True], [True, False]]])
    assert loc.ciou(mask, truth).tolist() == pytest.approx([0.5 / (1.5 + 1)])


def test_ciou_bounds():
    truth = loc.box_mask([(0.2, 0.2, 0.7, 0.6)])[None].astype(np.float32)
    assert loc.ciou(truth > 0, truth)[0] == 1
    assert loc.ciou(truth == 0, truth)[0] == 0
    assert loc.ciou(np.zeros_like(truth, bool), np.zeros_like(truth))[0] == 0  # 0 of nothing


def test_the_full_frame_scores_the_area_of_the_truth():
    truth = loc.box_mask([(0, 0, 0.5, 0.5)])[None].astype(np.float32)
    assert loc.ciou(np.ones_like(truth, bool), truth)[0] == pytest.approx(0.25)


@pytest.mark.parametrize("side", [0.3, 0.6, 0.8])
def test_the_oracle_is_perfect_unless_the_protocol_fixes_the_area(side):
    truth = loc.box_mask([(0.1, 0.1, 0.1 + side, 0.1 + side)])[None].astype(np.float32)
    heat = loc.oracle_map(truth)
    assert loc.ciou(loc.adaptive(heat, truth), truth)[0] == 1
    assert loc.ciou(loc.half_max(heat, truth), truth)[0] == 1
    area = truth.mean()
    of_half = min(area, 0.5) / max(area, 0.5)  # half the frame is predicted, the truth first
    assert loc.ciou(loc.lvs_top50(heat, truth), truth)[0] == pytest.approx(of_half, abs=2e-4)


def test_the_centre_map_gives_centred_discs():
    truth = np.ones((1, 224, 224), np.float32)
    truth[0, :112] = 0
    mask = loc.adaptive(loc.centre_map()[None], truth)[0]
    rows, columns = np.nonzero(mask)
    assert mask.sum() == 224 * 112
    assert np.hypot(rows - 111.5, columns - 111.5).max() == pytest.approx(np.sqrt(224 * 112 / np.pi), rel=0.02)


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
