import numpy as np
import pytest

from model.baselines import centre_map, oracle_map
from model.localization import ciou
from model.protocols import PROTOCOLS, fixed
from model.truth import box_mask, consensus_map

FREE = ("half_max", "max_fraction", "max_fraction_20", "max_fraction_50", "slavc_absolute")
HALF = ("lvs_top50", "lvs_top50_literal", "ez_top50", "slavc_relative")


def of_oracle(name: str, truth: np.ndarray) -> float:
    protocol = PROTOCOLS.get(name) or fixed(0.3)
    maps = oracle_map(truth)
    return ciou(protocol.masks(2 * maps - 1 if protocol.absolute else maps, truth), truth)[0]


@pytest.mark.parametrize("name", [*FREE, "adaptive", "fixed"])
@pytest.mark.parametrize("side", [0.01, 0.3, 0.8, 0.9])
def test_the_oracle_is_perfect_where_the_area_is_free(name, side):
    truth = box_mask([(0.1, 0.1, 0.1 + side, 0.1 + side)])[None].astype(np.float32)
    assert of_oracle(name, truth) == 1


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("side", [0.3, 0.6, 0.8])
def test_where_half_the_frame_is_taken_the_oracle_is_the_smaller_area_over_the_larger(name, side):
    truth = box_mask([(0.1, 0.1, 0.1 + side, 0.1 + side)])[None].astype(np.float32)
    n, taken = truth.sum(), 25088 - (name.startswith("lvs"))
    assert of_oracle(name, truth) == pytest.approx(min(n, taken) / max(n, taken), abs=1e-6)


def test_the_strict_adaptive_rule_lets_the_oracle_miss_one_pixel():
    truth = box_mask([(0.1, 0.1, 0.5, 0.5)])[None].astype(np.float32)
    assert of_oracle("adaptive_strict", truth) == pytest.approx((truth.sum() - 1) / truth.sum(), abs=1e-6)


@pytest.mark.parametrize("name", [*FREE, "adaptive", "adaptive_strict"])
def test_the_oracle_of_a_truth_that_fills_the_frame_misses_a_pixel_at_most(name):
    votes = consensus_map([[(0, 0, 1, 1)], [(0, 0, 0.5, 1)]])[None]
    for truth in (np.ones_like(votes), votes):
        assert of_oracle(name, truth) >= 1 - 2 / 224**2


def test_the_oracle_takes_all_that_anybody_boxed():
    truth = consensus_map([[(0, 0, 0.5, 0.5)], [(0.2, 0, 0.7, 0.5)]])[None]
    for name in FREE:
        assert of_oracle(name, truth) == 1


def test_with_half_the_frame_to_take_the_oracle_takes_the_agreed_pixels_first():
    truth = consensus_map([[(0, 0, 1, 1)], [(0, 0.5, 1, 1)]])[None]
    assert PROTOCOLS["ez_top50"].masks(oracle_map(truth), truth)[0].tolist() == (truth[0] == 1).tolist()


def test_the_centre_map_gives_centred_discs():
    truth = np.ones((1, 224, 224), np.float32)
    truth[0, :112] = 0
    mask = PROTOCOLS["adaptive"].masks(centre_map()[None], truth)[0]
    rows, columns = np.nonzero(mask)
    assert mask.sum() == 224 * 112
    assert np.hypot(rows - 111.5, columns - 111.5).max() == pytest.approx(np.sqrt(224 * 112 / np.pi), rel=0.02)
