"""Waveform -> spectrogram, by librosa's STFT.

Samples are float, full scale 1, mono; spectrograms have time in columns (`decibels`) or rows (YAMNet's patches).
"""

from functools import cache

import librosa
import numpy as np
from numpy.typing import NDArray

N_MELS = 64
N_FFT = 1024  # samples: 46 ms at 22 050 Hz
HOP = 512  # samples: 43 columns a second at 22 050 Hz
FLOOR = 1e-10  # power: -100 dB

YAMNET_RATE = 16_000  # Hz
YAMNET_WINDOW, YAMNET_HOP, YAMNET_FFT = 400, 160, 512  # samples: 25 ms every 10 ms
YAMNET_BANDS, YAMNET_LOW, YAMNET_HIGH = 64, 125.0, 7500.0  # of the mel scale; Hz
YAMNET_OFFSET = 0.001  # added to a magnitude before its logarithm
PATCH, PATCH_HOP = 96, 48  # frames: .96 s every .48 s
SHORTEST = (PATCH - 1) * YAMNET_HOP + YAMNET_WINDOW  # samples of one patch: 15 600


def decibels(samples: NDArray[np.floating], sample_rate: int) -> NDArray[np.float16]:
    """The log-mel spectrogram (64, 1 + T // 512) float16: dB of the power of a full-scale signal, -100 and up."""
    power = librosa.feature.melspectrogram(y=samples, sr=sample_rate, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
    return librosa.power_to_db(power, ref=1.0, amin=FLOOR, top_db=None).astype(np.float16)


def yamnet_patches(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P, 96, 64) what YAMNet hears: log-mel frames by patches of .96 s every .48 s; what fills no patch is left out.

    samples: (T,) at 16 kHz, T at least 15 600, or ValueError. Log-mel is ln(mel-weighted magnitude + .001).
    """
    if len(samples) < SHORTEST:
        raise ValueError(f"{len(samples)} samples, and YAMNet's first patch takes {SHORTEST}")
    # librosa centres the window of 400 in the 512 of the transform; the frames are to begin with the samples.
    padded = np.pad(samples, (YAMNET_FFT - YAMNET_WINDOW) // 2)
    spectrum = librosa.stft(
        padded, n_fft=YAMNET_FFT, hop_length=YAMNET_HOP, win_length=YAMNET_WINDOW, window="hann", center=False
    )
    log_mel = np.log(np.abs(spectrum).T @ yamnet_mel().T + np.float32(YAMNET_OFFSET))  # (frames, 64)
    starts = range(0, len(log_mel) - PATCH + 1, PATCH_HOP)
    return np.stack([log_mel[start : start + PATCH] for start in starts]).astype(np.float32)


@cache
def yamnet_mel() -> NDArray[np.float32]:
    """(64, 257) weights of the mel bands: triangles that are straight in mel, as TensorFlow's (librosa's are in Hz).

    mel(f) = 1127 ln(1 + f / 700).
    """
    edges = np.linspace(_mel(YAMNET_LOW), _mel(YAMNET_HIGH), YAMNET_BANDS + 2)
    bins = _mel(np.arange(YAMNET_FFT // 2 + 1) * YAMNET_RATE / YAMNET_FFT)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))).astype(np.float32)


def _mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return 1127 * np.log1p(np.asarray(hertz) / 700)
