import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model import spectrograms
from tests.samples import real, tone


def test_yamnet_s_frames_are_windowed_magnitudes_in_mel_bands():
    """Sample by sample: frame t begins at sample 160 t; Hann; 512 points; magnitude; mel; ln(+ .001)."""
    samples = np.random.default_rng(0).uniform(-1, 1, 16_000 + 15_600).astype(np.float32)
    patches = spectrograms.yamnet_patches(samples)
    assert patches.shape == (1 + (1 + (31_600 - 400) // 160 - 96) // 48, 96, 64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for patch, frame in ((0, 0), (0, 95), (1, 0), (2, 30)):
        t = 48 * patch + frame
        magnitude = np.abs(np.fft.rfft(samples[160 * t : 160 * t + 400] * window, 512))
        expected = np.log(spectrograms.yamnet_mel() @ magnitude + 0.001)
        assert np.allclose(patches[patch, frame], expected, atol=1e-4)


def test_yamnet_s_first_patch_takes_15_600_samples():
    assert spectrograms.yamnet_patches(np.zeros(15_600, np.float32)).shape == (1, 96, 64)
    assert spectrograms.yamnet_patches(np.zeros(15_600, np.float32)) == pytest.approx(np.log(0.001))
    with pytest.raises(ValueError, match="15599 samples, and YAMNet's first patch takes 15600"):
        spectrograms.yamnet_patches(np.zeros(15_599, np.float32))


def test_mel_bands_are_triangles_between_125_and_7500_hertz():
    mel = spectrograms.yamnet_mel()
    assert mel.shape == (64, 257)
    hertz = np.arange(257) * 16_000 / 512
    assert not mel[:, (hertz <= 125) | (hertz >= 7500)].any()
    assert mel.max() <= 1
    # Between the middles of neighbours the two triangles share one: they sum to 1 within the outer middles.
    inside = (hertz > 150) & (hertz < 7200)
    assert np.allclose(mel[:, inside].sum(axis=0), 1, atol=1e-5)


def test_a_tone_stands_in_its_band():
    patch = spectrograms.yamnet_patches(tone(1, 16_000, 1000, 0.9))[0]
    assert (patch.mean(axis=0).argmax() == spectrograms.yamnet_mel()[:, 32].argmax()).all()


@pytest.mark.real
def test_the_formula_s_mel_bands_are_those_of_yamnet_s_file():
    weights = load_file(real("weights") / "yamnet.safetensors")
    assert torch.equal(weights["frontend.mel"], torch.from_numpy(spectrograms.yamnet_mel()))
