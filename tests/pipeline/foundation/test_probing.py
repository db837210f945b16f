import numpy as np
import pytest

from pipeline.foundation import probing
from pipeline.foundation.heat import Shown
from pipeline.foundation.manifest import Box, Clip, Manifest


def shown(**maps: np.ndarray) -> Shown:
    n = len(next(iter(maps.values())))
    clips = [Clip(f"c{i}", media=f"c{i}.mp4") for i in range(n)]
    boxes = (Box("c0", "", 0, 0, 0.5, 1),)
    return Shown(Manifest(tuple(clips), boxes), clips, maps, np.zeros((n, 2, 2), np.float32), [], [])


def halves(left: float, right: float) -> np.ndarray:
    heat = np.full((224, 224), left, np.float32)
    heat[:, 112:] = right
    return heat


RIGHT = np.stack([halves(0.9, 0.1), halves(0.2, 0.8)])
BLIND = shown(right=RIGHT, wrong=RIGHT, silence=RIGHT, noise=RIGHT)
DARK = np.full_like(RIGHT, -0.3)
HEARING = shown(right=RIGHT, wrong=DARK, silence=DARK, noise=DARK)
EVERYONE = np.ones(2, bool)


def test_a_system_that_does_not_listen_stays_lit_and_one_that_does_goes_dark():
    val = shown(right=RIGHT, wrong=DARK + 0.1, silence=DARK, noise=DARK)
    blind, hearing = (probing.figures(of, val, EVERYONE) for of in (BLIND, HEARING))
    assert blind["thresholds"] == pytest.approx({"half": 0.5, "universal_max": -0.2, "universal_q3": -0.225}, abs=1e-6)
    for sound in probing.SOUNDS:
        assert blind[sound]["half"] == {"lit": 0.5, "aoc": 0.525, "overlap": 1}
        assert hearing[sound]["half"] == {"lit": 0, "aoc": 1, "overlap": 0}
        assert hearing[sound]["own_median"]["lit"] == hearing[sound]["own_adaptive"]["lit"] == 0
    assert blind["f"] == {"mean_ciou": 0.5, "lit": 1, "f": 0}  # the one boxed clip, all of it lit
    assert hearing["f"] == pytest.approx({"mean_ciou": 0.5, "lit": 0, "f": 2 * 0.5 / 1.5}, abs=1e-6)


def test_universal_thresholds_are_of_val_alone():
    val = shown(right=RIGHT, wrong=RIGHT, silence=DARK, noise=DARK)  # maxima .9 .8 and four times -.3
    found = probing.universal(val)
    assert found == pytest.approx({"universal_max": 0.9, "universal_q3": np.percentile([0.9, 0.8, *[-0.3] * 4], 75)})
    without = probing.figures(BLIND, None, EVERYONE)
    assert without["f"] is None
    assert without["thresholds"] == {"half": 0.5}


def test_what_the_front_end_cannot_make_is_null():
    found = probing.figures(shown(right=RIGHT, wrong=DARK), None, EVERYONE)
    assert found["silence"] is found["noise"] is None
    assert found["wrong_sound"]["half"]["lit"] == 0


def test_a_clip_without_truth_has_no_adaptive_threshold_and_negatives_are_left_out():
    found = probing.figures(shown(right=RIGHT[1:], wrong=RIGHT[:1]), None, np.array([True]))
    assert found["wrong_sound"]["own_adaptive"]["lit"] == 0.5  # c0 has a box here
    found = probing.figures(BLIND, None, np.array([False, True]))
    assert found["n"] == 1
    assert found["silence"]["own_adaptive"] is None


def test_figures_do_not_depend_on_the_chunk(monkeypatch):
    together = probing.figures(HEARING, BLIND, EVERYONE)
    monkeypatch.setattr(probing, "CHUNK", 1)
    assert probing.figures(HEARING, BLIND, EVERYONE) == together
