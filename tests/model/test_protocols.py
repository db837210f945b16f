import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from model import protocols
from model.localization import ciou
from model.protocols import PROTOCOLS, fixed
from model.truth import box_mask

ALL = {**PROTOCOLS, "fixed": fixed(0.3)}


def scaled(x: np.ndarray) -> np.ndarray:
    """n(x) as the field's evaluation code has it."""
    return (x - x.min()) / (x.max() - x.min()) if x.max() > x.min() else x


def literally(name: str, x: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """One enlarged map -> its mask, written from the definition, pixel by pixel."""
    x = x.astype(np.float64)
    ascending = sorted(x.ravel().tolist())
    n = len(ascending)
    k = sum(1 for g in truth.ravel() if g != 0)
    low, high = min(ascending), max(ascending)
    if name == "adaptive":
        ranked = sorted(range(n), key=lambda i: (-x.ravel()[i], i))
        chosen = set(ranked[:k]) if high > low else set()
        return np.array([i in chosen for i in range(n)]).reshape(x.shape)
    if name == "lvs_top50_literal":
        y = 1 - scaled(-x)
        median = sorted(y.ravel().tolist())[n // 2]
        y[y > median] = 1
        return y >= 1
    rule = {
        "adaptive_strict": lambda v: v > ascending[n - (k or n // 2)],
        "lvs_top50": lambda v: v > ascending[n // 2],
        "ez_top50": lambda v: v >= ascending[n // 2],
        "slavc_relative": lambda v: v >= ascending[int(n * 0.5)],
        "slavc_absolute": lambda v: (v / 0.03 + 1 / 0.03) / (2 / 0.03) >= 0.5 - 1e-15,
        "half_max": lambda v: high > low and (v - low) >= 0.5 * (high - low),
        "max_fraction": lambda v: v > np.float32(0.1) * np.float32(high),
        "max_fraction_20": lambda v: v > np.float32(0.2) * np.float32(high),
        "max_fraction_50": lambda v: v > 0.5 * high,
        "fixed": lambda v: v >= np.float32(2 * 0.3 - 1),
    }[name]
    return np.array([rule(v) for v in x.ravel().tolist()]).reshape(x.shape)


def kinds_of_maps(seed: int, side: int = 6) -> np.ndarray:
    """Random, tied, one-hot, mostly at the maximum, and constant maps of either sign."""
    rng = np.random.default_rng(seed)
    one_hot, plateau = np.zeros((side, side)), np.ones((side, side))
    one_hot[side // 2, 1] = plateau[0, 0] = 1
    plateau[0] = -1
    kinds = [rng.normal(size=(side, side)), rng.integers(-1, 2, (side, side)), one_hot, plateau]
    return np.stack([*kinds, *(np.full((side, side), value) for value in (-0.4, 0, 0.3, 1))]).astype(np.float32)


@pytest.mark.parametrize("name", ALL)
@given(seed=st.integers(0, 10_000), k=st.integers(0, 36))
@settings(max_examples=20, deadline=None)
def test_every_rule_equals_its_definition(name, seed, k):
    maps = kinds_of_maps(seed)
    truth = np.zeros_like(maps)
    truth.reshape(len(maps), -1)[:, np.random.default_rng(seed).permutation(36)[:k]] = 0.5
    masks = ALL[name].rule(maps, truth)
    for heat, g, mask in zip(maps, truth, masks, strict=True):
        assert mask.tolist() == literally(name, heat, g).tolist()


UPSAMPLED = {
    "ez_top50": {"mode": "bilinear", "align_corners": True},
    "slavc_relative": {"mode": "bicubic", "align_corners": True},
    "slavc_absolute": {"mode": "bicubic", "align_corners": True},
}


@pytest.mark.parametrize("name", ALL)
def test_from_the_raw_map_on_every_protocol_equals_torch_and_the_definition(name):
    maps = np.random.default_rng(3).uniform(-1, 1, (2, 7, 7)).astype(np.float32)
    truth = np.stack([box_mask([(0.1, 0.2, 0.7, 0.9)]), box_mask([(0.5, 0.5, 0.6, 0.8)])]).astype(np.float32)
    how = UPSAMPLED.get(name, {"mode": "bilinear", "align_corners": False})
    enlarged = interpolate(torch.from_numpy(maps)[:, None].double(), (224, 224), **how)[:, 0].numpy()
    expected = np.stack([literally(name, x, g) for x, g in zip(enlarged.astype(np.float32), truth, strict=True)])
    masks = ALL[name].masks(maps, truth)
    assert ciou(masks, truth) == pytest.approx(ciou(expected, truth), abs=1e-4)  # a pixel may lie on the bound
    assert (masks != expected).mean() < 1e-4


@pytest.mark.parametrize("name", ALL)
def test_a_map_is_cut_alone_as_it_is_in_company(name):
    maps = np.random.default_rng(1).normal(size=(3, 10, 10)).astype(np.float32)
    truth = np.stack([box_mask([(0.1 * i, 0.2, 0.5 + 0.1 * i, 0.9)]) for i in range(3)]).astype(np.float32)
    together = ALL[name].masks(maps, truth)
    for i in range(3):
        assert (ALL[name].masks(maps[i : i + 1], truth[i : i + 1])[0] == together[i]).all()


@pytest.mark.parametrize("name", ALL)
def test_a_map_of_nan_has_an_empty_mask(name):
    truth = box_mask([(0, 0, 1, 0.5)])[None].astype(np.float32)
    assert not ALL[name].masks(np.full((1, 7, 7), np.nan, np.float32), truth).any()


@pytest.mark.parametrize(
    "name", sorted(set(PROTOCOLS) - {"slavc_absolute", "max_fraction", "max_fraction_20", "max_fraction_50"})
)
@given(seed=st.integers(0, 100), scale=st.sampled_from([0.25, 2, 64]), shift=st.integers(-8, 8))
@settings(max_examples=10, deadline=None)
def test_what_ranks_or_scales_does_not_care_for_scale_and_shift(name, seed, scale, shift):
    maps = np.random.default_rng(seed).integers(-9, 9, (2, 8, 8)).astype(np.float32)
    truth = np.zeros_like(maps)
    truth[:, :3] = 1
    rule = PROTOCOLS[name].rule
    assert (rule(maps, truth) == rule(scale * maps + shift, truth)).all()


def test_what_constant_maps_become():
    truth = np.ones((1, 224, 224), np.float32)
    shares = {
        name: [
            float(ALL[name].masks(np.full((1, 7, 7), value, np.float32), truth).mean()) for value in (-0.4, 0.0, 0.7)
        ]
        for name in ALL
    }
    empty, full, unless_negative, where_positive = [0, 0, 0], [1, 1, 1], [0, 1, 1], [0, 0, 1]
    assert shares == {
        "adaptive": empty,
        "adaptive_strict": empty,
        "lvs_top50": empty,
        "half_max": empty,
        "ez_top50": full,
        "slavc_relative": full,
        "lvs_top50_literal": unless_negative,
        "slavc_absolute": unless_negative,
        "max_fraction": where_positive,
        "max_fraction_20": where_positive,
        "max_fraction_50": where_positive,
        "fixed": full,
    }


def test_lvs_top50_is_strictly_above_the_upper_median():
    maps = np.array([[[1, 2], [3, 4]]], np.float32)  # ascending s = 1 2 3 4, s[2] = 3
    assert protocols.lvs_top50(maps).tolist() == [[[False, False], [False, True]]]
    assert protocols.upper_half(maps).tolist() == [[[False, False], [True, True]]]


def test_the_literal_rule_keeps_a_plateau_at_the_maximum_that_the_other_loses():
    maps = np.array([[[0, 1], [1, 1]]], np.float32)
    assert not protocols.lvs_top50(maps).any()
    assert protocols.lvs_top50_literal(maps).tolist() == [[[False, True], [True, True]]]


def test_adaptive_takes_exactly_n_pixels_and_breaks_ties_by_row():
    maps = np.array([[[5, 1], [1, 1]]], np.float32)
    truth = np.array([[[0, 0], [1, 1]]], np.float32)
    assert protocols.adaptive(maps, truth).tolist() == [[[True, True], [False, False]]]
    assert protocols.adaptive_strict(maps, truth).tolist() == [[[True, False], [False, False]]]  # K - 1


def test_half_max_by_hand():
    maps = np.array([[[-1, 0], [0.9, 3]]], np.float32)  # half of the way from -1 to 3 is 1
    assert protocols.half_max(maps).tolist() == [[[False, False], [False, True]]]
    maps[0, 1, 0] = 1
    assert protocols.half_max(maps).tolist() == [[[False, False], [True, True]]]


def test_a_share_of_the_maximum_by_hand():
    maps = np.array([[[-1, 0.5], [0.51, 5]], [[-1, -2], [-3, -4]]], np.float32)
    assert PROTOCOLS["max_fraction"].rule(maps, None)[0].tolist() == [[False, False], [True, True]]
    assert not PROTOCOLS["max_fraction"].rule(maps, None)[1].any()


def test_a_cosine_of_0_is_the_middle_of_the_fixed_range():
    maps = np.array([[[-0.01, 0], [0.01, -1]]], np.float32)
    assert PROTOCOLS["slavc_absolute"].rule(maps, None).tolist() == [[[False, True], [True, False]]]
    assert fixed(0.95).rule(np.array([[[0.89, 0.9]]], np.float32), None).tolist() == [[[False, True]]]


@pytest.mark.parametrize("name", ["adaptive", "adaptive_strict"])
def test_what_sees_the_truth_cannot_do_without(name):
    assert PROTOCOLS[name].sees_truth
    with pytest.raises(ValueError, match="needs the truth"):
        PROTOCOLS[name].masks(np.zeros((1, 7, 7), np.float32))
