import csv
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from model.networks import soundnet
from pipeline.foundation import params
from pipeline.foundation.errors import UserError
from pipeline.foundation.hearing import FrontEnd, filled, front_end_of, hear, network_of
from pipeline.foundation.params import Listen
from tests.samples import ROOT, real, tone

LOGMEL = FrontEnd("logmel", 22_050, 1.0, None, None)


def wave(hz: float, seconds: float, level: float = 1.0) -> np.ndarray:
    return np.rint(32_767 * tone(seconds, 22_050, hz, level)).astype(np.int16)


def test_a_short_sound_is_repeated_in_whole_copies_and_cut():
    assert filled(np.array([1, 2, 3], np.float32), 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert filled(np.array([1, 2, 3], np.float32), 2).tolist() == [1, 2]


def test_a_tone_stands_in_its_band():
    low, high = (hear(wave(hz, 1), LOGMEL, None) for hz in (200, 5000))
    assert low.shape == (64, 44)
    assert low.dtype == np.float16
    assert low.mean(axis=1).argmax() < 10
    assert high.mean(axis=1).argmax() > 40


HEARD_TWICE = """
import numpy as np
from threadpoolctl import threadpool_limits
from pipeline.foundation.hearing import FrontEnd, hear
front_end = FrontEnd("yamnet_scores", 22_050, 2.0, None, "a hash")
waveform = np.random.default_rng(0).standard_normal(44_100).astype(np.float32)
patches = lambda sound: sound
with threadpool_limits(1):
    alone = hear(waveform, front_end, patches)
assert (hear(waveform, front_end, patches) == alone).all()
"""


@pytest.mark.parametrize("processor", ["Haswell", "SkylakeX"])
def test_a_sound_is_heard_the_same_with_any_number_of_threads(processor):
    # numpy's BLAS shares a product among threads by rules of each kind of processor, and some change its last digits
    environment = os.environ | {"OPENBLAS_CORETYPE": processor, "OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", HEARD_TWICE], cwd=ROOT, env=environment, check=True)


def test_decibels():
    loud, soft = (hear(wave(1000, 1, level), LOGMEL, None).astype(float) for level in (1.0, 0.1))
    band = loud.mean(axis=1).argmax()
    assert (loud - soft)[band].mean() == pytest.approx(20, abs=0.1)
    assert hear(np.zeros(22_050, np.int16), LOGMEL, None).max() == -100


def test_a_stored_waveform_is_heard_as_the_floats_that_it_stands_for():
    stored = wave(300, 1, 0.5)
    assert (hear(stored, LOGMEL, None) == hear(stored.astype(np.float32) / 32_767, LOGMEL, None)).all()


def test_with_a_peak_the_level_of_a_sound_does_not_matter_and_silence_stays():
    levelled = replace(LOGMEL, peak=0.9)
    loud, soft = (hear(tone(1, 22_050, 1000, level), levelled, None).astype(float) for level in (0.9, 0.02))
    assert np.abs(loud - soft).max() < 0.2
    assert np.abs(loud - hear(tone(1, 22_050, 1000, 0.9), LOGMEL, None)).max() < 0.2
    assert hear(np.zeros(22_050, np.int16), levelled, None).max() == -100


class Spy:
    """A network that keeps what it was given."""

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        self.given = sound
        return np.zeros(1, np.float32)


def test_soundnet_is_given_the_seconds_at_its_own_rate():
    spy = Spy()
    hear(tone(4, 16_000), FrontEnd("soundnet", 16_000, 20.0, None, "x"), spy)
    assert spy.given.shape == (441_000,)
    assert (spy.given[:88_200] == spy.given[88_200:176_400]).all()


def test_yamnet_is_given_the_sound_as_long_as_it_is_and_less_than_a_patch_repeated():
    spy, front_end = Spy(), FrontEnd("yamnet_scores", 16_000, 20.0, None, "x")
    hear(tone(0.5, 16_000), front_end, spy)
    assert spy.given.shape == (1, 96, 64)
    hear(tone(3, 16_000), front_end, spy)
    assert spy.given.shape == (1 + (298 - 96) // 48, 96, 64)


@pytest.mark.parametrize("features", ["logmel", "soundnet", "yamnet_embedding"])
def test_no_more_is_heard_than_the_front_end_s_seconds(features):
    """Not even by its peak."""
    front_end, sound = FrontEnd(features, 16_000, 2.0, 0.9, None), tone(2, 16_000, level=0.3)
    heard = []
    for samples in (sound, np.concatenate([sound, tone(1, 16_000, 900, 1.0)])):
        spy = Spy()
        made = hear(samples, front_end, spy)
        heard.append(made if features == "logmel" else spy.given)
    assert (heard[0] == heard[1]).all()


def test_params_and_soundnet_agree_on_the_shortest_sound():
    assert (params.SOUNDNET_RATE, params.SOUNDNET_SHORTEST) == (soundnet.SAMPLE_RATE, soundnet.SHORTEST)


@pytest.mark.real
def test_real_sounds_give_the_stored_scores_and_embeddings_of_yamnet():
    """Within 1e-3, and half of the last digit of the float16 that they are stored in."""
    path = real("weights") / "yamnet.safetensors"
    stored = np.load(real("pairs") / "audio_embeddings.npz")
    with (real("pairs") / "pairs.csv").open() as file:
        held_back = sorted({row["sound"] for row in csv.DictReader(file) if row["split"] == "val"})[::14]
    place = {str(name): i for i, name in enumerate(stored["paths"])}
    for features, name in (("yamnet_scores", "scores"), ("yamnet_embedding", "embeddings")):
        front_end = front_end_of(Listen(features=features, weights=str(path), peak=None), 22_050, 5)
        network = network_of(front_end, path)
        for sound in held_back:
            samples, rate = soundfile.read(real("pairs") / sound, dtype="float32")
            assert rate == 22_050
            expected = stored[name][place[sound]].astype(np.float32)
            assert np.allclose(hear(samples, front_end, network), expected, rtol=2**-11, atol=1e-3), sound


@pytest.mark.real
def test_other_weights_than_a_front_end_names_are_told():
    path = real("weights") / "yamnet.safetensors"
    with pytest.raises(UserError, match="not the weights that this checkpoint was trained with; name that file"):
        network_of(FrontEnd("yamnet_scores", 22_050, 3, None, "0" * 128), path)
