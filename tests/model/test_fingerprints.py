import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.leaks import FRAMES, SOUNDS, same_frames, same_sounds
from model import fingerprints as f
from pipeline.worlds.scenes import KINDS, draw_scene
from pipeline.worlds.sounds import clip_sound

RATE = 22_050


def scene(seed: int) -> np.ndarray:
    return draw_scene("bell", np.random.default_rng(seed)).frame(0)


def sound(kind: str, seed: int, seconds: float = 3) -> np.ndarray:
    stereo = clip_sound(KINDS[kind].voice, seconds, np.random.default_rng(seed))
    return stereo.mean(axis=1)[::2].astype(np.float32)  # 22 050 Hz; what folds back is part of the sound


@pytest.mark.parametrize("name", [name for name in FRAMES if "mirrored" not in name])
def test_a_frame_is_found_again_after(name):
    assert all(same_frames(scene(seed), FRAMES[name](scene(seed))) for seed in range(4))


def test_a_mirrored_frame_is_another_one():
    assert not any(same_frames(scene(seed), scene(seed)[:, ::-1]) for seed in range(4))


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_is_found_again_after(name):
    assert all(
        same_sounds(sound(kind, 0), SOUNDS[name](sound(kind, 0)), seconds=3) for kind in ("bell", "engine", "harp")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_two_sounds_of_a_kind_are_two(kind):
    sounds = [sound(kind, seed) for seed in range(4)]
    assert not any(same_sounds(sounds[i], sounds[j], seconds=3) for i in range(4) for j in range(i))


def test_two_scenes_are_two():
    scenes = [scene(seed) for seed in range(20)]
    assert not any(same_frames(scenes[i], scenes[j]) for i in range(20) for j in range(i))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_frame_of_one_colour_is_no_evidence(level):
    frame = np.full((64, 64, 3), level, np.uint8)
    assert not f.frame_hash(frame)[0].any()
    assert not same_frames(frame, frame)


def test_silence_and_what_is_too_short_are_no_evidence():
    for waveform in (np.zeros(RATE, np.float32), np.zeros(0, np.float32), sound("bell", 0)[:4000]):
        bits, counts, outline = f.sound_hash(waveform, RATE, f.n_steps(3))
        assert not bits.any()
        assert not counts.any()
        assert not outline.any()
        assert not same_sounds(waveform, waveform, seconds=3)


def test_bits_are_the_signs_of_the_paper_s_equation():
    waveform = sound("harp", 1)
    bits, counts, outline = f.sound_hash(waveform, f.RATE, steps := f.n_steps(len(waveform) / f.RATE))
    window = np.hanning(f.WINDOW)
    energy = []  # E(n, m)
    for start in range(0, len(waveform) - f.WINDOW + 1, f.STEP):
        power = np.abs(np.fft.rfft(waveform[start : start + f.WINDOW] * window, f.TRANSFORM)) ** 2
        energy.append([power[f.EDGES[m] : f.EDGES[m + 1]].sum() for m in range(33)])
    for n in (1, 7, 50):
        for m in range(32):
            change = energy[n][m] - energy[n][m + 1] - (energy[n - 1][m] - energy[n - 1][m + 1])
            assert (int(bits[n - 1]) >> m) & 1 == (change > 0)
    assert counts[: len(energy) - 1].any()
    assert not counts[len(energy) - 1 :].any()
    signs = [[2 * ((int(word) >> m) & 1) - 1 for m in range(32)] for word in bits]
    first = sum(np.array(signs[n]) * counts[n] for n in range(f.POOL))
    assert outline[:32].tolist() == first.tolist()
    assert len(outline) == steps


def test_errors_are_counted_at_the_best_shift_over_steps_that_count_in_both():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 64, np.uint32)
    counts = np.ones(64, bool)
    later = np.roll(bits, 2)
    one_wrong = bits ^ np.uint32(1)
    half_heard = counts.copy()
    half_heard[f.FEWEST - 1 :] = False
    others = np.stack([bits, later, one_wrong, bits, ~bits])
    found = f.error_rates(bits, counts, others, np.stack([counts, counts, counts, half_heard, counts]))
    assert found[:4].tolist() == [0, 0, 1 / 32, 1]
    assert found[4] > 0.4


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(0, 5), st.just(3)), elements=st.integers(-2, 2)),
    hnp.arrays(np.int8, st.tuples(st.integers(0, 5), st.just(3)), elements=st.integers(-2, 2)),
)
def test_similar_rows_are_those_whose_cosine_says_so(one, other):
    found = set(map(tuple, f.similar(one, other, 0.613).tolist()))
    for i, a in enumerate(one.astype(float)):
        for j, b in enumerate(other.astype(float)):
            norm = np.linalg.norm(a) * np.linalg.norm(b)
            assert ((i, j) in found) == bool(norm and a @ b / norm >= 0.613)


def test_waveforms_correlate_up_to_gain_sign_and_a_small_shift():
    waveform = sound("rattle", 0) + sound("engine", 0)
    assert f.waveform_correlation(waveform, -0.1 * waveform, RATE) == pytest.approx(1)
    assert f.waveform_correlation(waveform, waveform[1000:], RATE) > 0.9
    assert f.waveform_correlation(waveform, waveform[RATE:], RATE) < 0.5
    assert f.waveform_correlation(waveform, np.zeros(RATE, np.float32), RATE) == 0


def test_thumbnails_correlate_as_numpy_says():
    rng = np.random.default_rng(0)
    one, others = rng.integers(0, 256, (16, 16), np.uint8), rng.integers(0, 256, (3, 16, 16), np.uint8)
    expected = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for other in others]
    assert f.correlations(one, others) == pytest.approx(expected)
