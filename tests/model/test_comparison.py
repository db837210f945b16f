import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.comparison import mcnemar, paired_difference
from model.localization import intervals

SCORES = st.floats(0, 1, width=32)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def one_by_one(n: int) -> list[str]:
    return [f"{i:04d}" for i in range(n)]


def test_the_difference_is_the_mean_of_b_less_that_of_a_by_hand():
    a = np.array([[[0.0], [1.0]], [[0.0], [0.0]]])  # two seeds, two clips: mean .25
    b = np.array([[[1.0], [0.5]]])  # one seed: mean .75
    (found,) = paired_difference(a, b, ["x", "y"], 50, rng())
    assert found.mean == 0.5


def test_clips_of_one_group_are_drawn_together_by_hand():
    a, b = np.zeros((1, 3, 1)), np.array([[[0.0], [0.0], [1.0]]])
    # Groups x = {0, 1} and y = {2}: a resample is xx (0 / 4), xy (1 / 3) or yy (2 / 2), with chances 1/4, 1/2, 1/4.
    (found,) = paired_difference(a, b, ["x", "x", "y"], 400, rng())
    assert (found.low, found.high) == (0, 1)
    (together,) = paired_difference(a, b, ["x", "x", "x"], 400, rng())
    assert together.low == together.mean == together.high == pytest.approx(1 / 3)


def literal(a, b, groups, n_resamples, rng):
    """The same for one column, clip by clip and draw by draw; with seeds, B's draws first, then the other way round."""
    names = sorted(set(groups))
    drawn = rng.multinomial(len(names), [1 / len(names)] * len(names), size=n_resamples)
    luck = rng.random((2, n_resamples, max(len(a), len(b))))
    found = []
    for of_b, of_a in ((0, 1), (1, 0)):
        for r in range(n_resamples):
            clips = [i for i, group in enumerate(groups) for _ in range(drawn[r][names.index(group)])]
            seeds_a, seeds_b = (
                [int(u * len(side)) for u in luck[which][r][: len(side) - 1]] if len(side) > 1 else [0]
                for side, which in ((a, of_a), (b, of_b))
            )
            mean_a, mean_b = (
                np.mean([np.mean([side[s][i] for i in clips]) for s in seeds])
                for side, seeds in ((a, seeds_a), (b, seeds_b))
            )
            found.append(mean_b - mean_a)
    return np.percentile(found, [2.5, 97.5])


@pytest.mark.parametrize("seeds", [(1, 1), (3, 2), (1, 4)])
def test_the_interval_is_that_of_a_literal_bootstrap(seeds):
    random = np.random.default_rng(0)
    a, b = (random.random((n, 7)) for n in seeds)
    groups = list("zxxyzyw")
    (found,) = paired_difference(a[..., None], b[..., None], groups, 60, rng())
    assert (found.low, found.high) == pytest.approx(tuple(literal(a, b, groups, 60, rng())))


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 6)).flatmap(
        lambda n: st.tuples(
            arrays(np.float64, (n[0], n[2], 2), elements=SCORES), arrays(np.float64, (n[1], n[2], 2), elements=SCORES)
        )
    )
)
def test_exchanging_the_sides_exchanges_the_signs(sides):
    a, b = sides
    groups = [f"g{i // 2}" for i in range(a.shape[1])]
    there, back = paired_difference(a, b, groups, 40, rng()), paired_difference(b, a, groups, 40, rng())
    for one, other in zip(there, back, strict=True):
        assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low), abs=1e-12)


def test_a_checkpoint_against_itself_is_no_difference_at_all():
    a = np.random.default_rng(0).random((1, 20, 3))
    for found in paired_difference(a, a, one_by_one(20), 100, rng()):
        assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_several_seeds_against_themselves_are_no_difference_but_not_beyond_doubt():
    a = np.random.default_rng(0).random((3, 20, 1)) + np.array([0, 0.2, 0.4])[:, None, None]
    (found,) = paired_difference(a, a, one_by_one(20), 400, rng())
    assert found.mean == 0
    assert found.low < -0.1 < 0.1 < found.high


def test_with_one_seed_each_it_is_the_interval_of_the_clips_differences():
    random = np.random.default_rng(0)
    a, b = random.random((2, 1, 100, 2))
    groups = [str(i // 2) for i in range(100)]
    found = paired_difference(a, b, groups, 2000, rng())
    for one, other in zip(found, intervals((b - a)[0], groups, 2000, rng()), strict=True):
        assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high), abs=1e-3)


def test_the_seeds_width_is_that_of_their_mean():
    # Clips all alike, so that only seeds differ: the variance of the mean of m seeds is s^2 / m, s^2 with m - 1 below.
    of_seeds = np.random.default_rng(5).normal(size=12)
    b = np.broadcast_to(of_seeds[:, None, None], (12, 30, 1))
    (found,) = paired_difference(np.zeros((1, 30, 1)), b, one_by_one(30), 4000, rng())
    half = 1.96 * of_seeds.std(ddof=1) / math.sqrt(12)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.08)


def test_two_seeds_are_each_drawn_half_of_the_time():
    b = np.array([[[0.0]] * 9, [[1.0]] * 9])
    (found,) = paired_difference(np.zeros((1, 9, 1)), b, one_by_one(9), 400, rng())
    assert (found.low, found.mean, found.high) == (0, 0.5, 1)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1), (3, 3, 1), (0, 5, 2 / 32), (5, 0, 2 / 32), (1, 7, 18 / 256), (2, 1, 1)],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    a = np.array([True] * only_a + [False] * only_b + [True] * 4 + [False] * 2)
    b = np.array([False] * only_a + [True] * only_b + [True] * 4 + [False] * 2)
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p == pytest.approx(p)


def test_mcnemar_is_the_share_of_coin_tosses_at_least_as_uneven():
    for only_a, only_b in ((1, 4), (2, 6), (0, 8)):
        tosses = itertools.product((0, 1), repeat=only_a + only_b)
        uneven = [abs(2 * sum(toss) - only_a - only_b) >= abs(only_a - only_b) for toss in tosses]
        a = np.arange(only_a + only_b) < only_a
        assert mcnemar(a, ~a).p == pytest.approx(np.mean(uneven))


@given(arrays(bool, (2, 30)))
def test_mcnemar_has_two_sides_alike(flags):
    there, back = mcnemar(flags[0], flags[1]), mcnemar(flags[1], flags[0])
    assert (there.only_a, there.only_b, there.p) == (back.only_b, back.only_a, back.p)
    assert 0 < there.p <= 1
    assert mcnemar(flags[0], flags[0]).p == 1
