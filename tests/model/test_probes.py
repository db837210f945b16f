import numpy as np
import pytest

from model import probes


def test_the_share_that_is_lit_is_strictly_above_the_threshold():
    maps = np.array([[[0.1, 0.5], [0.6, 0.9]], [[0, 0], [0, 0]]], np.float32)
    assert probes.share(probes.lit(maps, 0.5)).tolist() == [0.5, 0]
    bounds = np.array([0.05, -1], np.float32).reshape(2, 1, 1)  # each clip its own
    assert probes.share(probes.lit(maps, bounds)).tolist() == [1, 1]


def test_aoc_by_hand():
    assert probes.aoc(np.zeros(3)) == 1
    assert probes.aoc(np.ones(3)) == pytest.approx(0.025)  # all lit: only theta = 1 is reached
    curve = [sum(s <= 0.05 * i + 1e-12 for s in (0.1, 0.5)) / 2 for i in range(21)]
    area = sum(0.05 * (curve[i] + curve[i + 1]) / 2 for i in range(20))
    assert probes.aoc(np.array([0.1, 0.5])) == pytest.approx(area)


def test_two_empty_masks_overlap_and_disjoint_ones_do_not():
    nothing, left = np.zeros((1, 2, 2), bool), np.array([[[True, False], [True, False]]])
    assert probes.overlap(nothing, nothing)[0] == 1
    assert probes.overlap(left, ~left)[0] == 0
    assert probes.overlap(left, left | np.array([[[False, True], [False, False]]]))[0] == pytest.approx(2 / 3)


def test_universal_thresholds_are_of_the_maxima_of_what_should_be_dark():
    maps = np.zeros((5, 2, 2), np.float32)
    maps[:, 0, 0] = [0.1, 0.2, 0.3, 0.4, 0.5]
    found = probes.universal_thresholds(probes.maxima(maps))
    assert found == pytest.approx({"universal_max": 0.5, "universal_q3": 0.4})


def test_f_is_a_harmonic_mean():
    assert probes.f_score(0.5, 0.5) == 0.5
    assert probes.f_score(0.3, 0.1) == pytest.approx(2 * 30 * (100 - 10) / (30 + 100 - 10) / 100)
    assert probes.f_score(0, 1) == 0
