import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.regions import UNKNOWN, Regions, first, inclusion


def box(*sides: int) -> np.ndarray:
    """Boxes at the corner, one for each side."""
    return np.array([[0, 0, side, side] for side in sides], np.int16)


def hierarchy(n: int, groupings: int = 1) -> Regions:
    """Boxes that grow with their level, 1 to n, the same in every grouping."""
    levels = np.tile(np.arange(1, n + 1, dtype=np.int16), groupings)
    return Regions(box(*levels.tolist()), levels, np.repeat(np.arange(groupings, dtype=np.int16), n))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_of_opencv_s_own_search_the_first_come_first():
    unknown = np.full(4, UNKNOWN, np.int16)
    found = Regions(box(5, 3, 9, 1), unknown, unknown)
    assert first(found, 2, "opencv", rng()).tolist() == box(5, 3).tolist()


@pytest.mark.parametrize(("order", "small_first"), [("opencv", True), ("hierarchy", False), ("area", False)])
def test_what_an_order_prefers(order, small_first):
    chosen = np.concatenate([first(hierarchy(40), 10, order, rng(seed))[:, 2] for seed in range(50)])
    assert (chosen.mean() < 20) == small_first
    assert abs(chosen.mean() - 20.5) > 5


@given(st.integers(0, 1000), st.sampled_from(["opencv", "hierarchy", "area"]))
def test_every_box_comes_once(seed, order):
    found = hierarchy(12, groupings=5)
    chosen = first(found, 100, order, rng(seed))
    assert sorted(chosen[:, 2].tolist()) == list(range(1, 13))
    assert first(found, 4, order, rng(seed)).tolist() == chosen[:4].tolist()


def test_a_box_has_the_rank_of_its_best_region():
    often = hierarchy(10, groupings=200)  # some region of every level ranks near 0: the levels hardly matter
    chosen = np.concatenate([first(often, 3, "opencv", rng(seed))[:, 2] for seed in range(100)])
    alone = np.concatenate([first(hierarchy(10), 3, "opencv", rng(seed))[:, 2] for seed in range(100)])
    assert chosen.mean() < alone.mean() + 1
    assert set(chosen) >= {1, 2, 3}


def test_how_likely_a_box_is_by_hand():
    boxes, likely = inclusion(hierarchy(2), 2)  # no more than K: all are in
    assert (boxes.tolist(), likely.tolist()) == (box(1, 2).tolist(), [1, 1])
    _, likely = inclusion(hierarchy(2), 1)  # tau + tau / 2 = 1
    assert likely == pytest.approx([2 / 3, 1 / 3])
    twice = Regions(box(1, 2, 2), np.array([1, 2, 2], np.int16), np.zeros(3, np.int16))
    _, likely = inclusion(twice, 1)  # tau + 1 - (1 - tau / 2)^2 = 1
    tau = 4 - np.sqrt(12)
    assert likely == pytest.approx([tau, 1 - (1 - tau / 2) ** 2])


@given(st.integers(1, 60), st.integers(1, 5))
def test_as_many_are_expected_as_are_chosen(k, groupings):
    found = hierarchy(40, groupings)
    _, likely = inclusion(found, k)
    assert likely.sum() == pytest.approx(min(k, 40), abs=1e-6)
    assert ((likely >= 0) & (likely <= 1)).all()


def test_likelihoods_are_the_shares_of_many_seeds():
    found = hierarchy(30, groupings=3)
    boxes, likely = inclusion(found, 10)
    seeds = 3000
    sides = np.concatenate([first(found, 10, "opencv", rng(seed))[:, 2] for seed in range(seeds)])
    shares = np.bincount(sides, minlength=31)[boxes[:, 2]] / seeds
    assert likely == pytest.approx(shares, abs=0.04)
