"""How things of the small world sound: ten voices, each a function of a numpy Generator.

A voice returns n samples at 44.1 kHz, float32, of no particular level. Pitch, tempo and phase differ from clip to clip.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.floating[Any]]
RATE = 44_100


def clip_sound(voice: Callable[[int, np.random.Generator], Sound], seconds: float, rng: np.random.Generator) -> Sound:
    """A recording of a voice: peak at -14 to 0 dB of full scale, with hiss and mains hum.

    Returns (T, 2) float32 in [-1, 1]: the voice stands somewhat left or right.
    """
    n = round(seconds * RATE)
    sound = voice(n, rng)
    sound = sound / np.abs(sound).max() * 10 ** (rng.uniform(-14, -0.5) / 20)
    hiss = rng.normal(0, 10 ** (rng.uniform(-50, -36) / 20), n)
    hum = 10 ** (rng.uniform(-60, -40) / 20) * np.sin(2 * np.pi * 50 * _time(n) + rng.uniform(0, 6))
    pan = rng.uniform(0.6, 1)
    left, right = (1, pan) if rng.random() < 0.5 else (pan, 1)
    return np.clip((sound + hiss + hum)[:, None] * (left, right), -1, 1).astype(np.float32)


def drum(n: int, rng: np.random.Generator) -> Sound:
    """Low thuds with a noisy edge, in an uneven rhythm."""
    pitch = 80 * _spread(rng)

    def thud(t: Sound) -> Sound:
        return np.sin(2 * np.pi * pitch * t * (1 - 0.6 * t)) * np.exp(-9 * t) + _band(rng, len(t), 100, 900) * np.exp(
            -40 * t
        )

    return _strokes(n, rng, thud, length_s=0.45, every_s=0.5, jitter=0.35)


def bell(n: int, rng: np.random.Generator) -> Sound:
    """Inharmonic partials that ring on."""
    pitch = 620 * _spread(rng)

    def stroke(t: Sound) -> Sound:
        return sum(
            np.sin(2 * np.pi * pitch * r * t) * np.exp(-a * t) / r for r, a in ((1, 2), (2.76, 3), (5.4, 5), (8.9, 8))
        )

    return _strokes(n, rng, stroke, length_s=1.5, every_s=1.1, jitter=0.1)


def horn(n: int, rng: np.random.Generator) -> Sound:
    """A rich steady tone with vibrato, on and off."""
    t = _time(n)
    tone = _harmonics(190 * _spread(rng) * (1 + 0.012 * np.sin(2 * np.pi * 5.5 * t)), [1 / k for k in range(1, 18)])
    return tone * _gate(t, rng, period_s=0.9, on=0.7)


def bird(n: int, rng: np.random.Generator) -> Sound:
    """High short chirps, up or down."""
    pitch, slope = 3200 * _spread(rng), rng.choice([-1, 1]) * rng.uniform(6000, 12000)

    def chirp(t: Sound) -> Sound:
        return np.sin(2 * np.pi * (pitch + slope * t / 2) * t) * np.sin(np.pi * t / 0.1)

    return _strokes(n, rng, chirp, length_s=0.1, every_s=0.24, jitter=0.3)


def harp(n: int, rng: np.random.Generator) -> Sound:
    """Plucked notes of a pentatonic scale."""
    root = 330 * _spread(rng)

    def pluck(t: Sound) -> Sound:
        pitch = root * 2 ** (rng.choice([0, 2, 4, 7, 9, 12]) / 12)
        return sum(np.sin(2 * np.pi * pitch * k * t) * np.exp(-(3 + 2 * k) * t) / k for k in range(1, 7))

    return _strokes(n, rng, pluck, length_s=0.7, every_s=0.28, jitter=0.1)


def engine(n: int, rng: np.random.Generator) -> Sound:
    """A low throbbing rumble."""
    t = _time(n)
    pitch = 48 * _spread(rng) * (1 + 0.03 * np.sin(2 * np.pi * 0.7 * t))
    throb = 0.6 + 0.4 * np.sin(2 * np.pi * 9 * _spread(rng) * t)
    return (_harmonics(pitch, [1, 0.9, 0.8, 0.9, 0.5, 0.6, 0.3, 0.4, 0.2, 0.2, 0.1]) + _band(rng, n, 40, 300)) * throb


def flute(n: int, rng: np.random.Generator) -> Sound:
    """A nearly pure melody with breath."""
    t = _time(n)
    steps = rng.choice([0, 2, 4, 5, 7, 9], size=n // (RATE // 4) + 2)
    pitch = 780 * _spread(rng) * 2 ** (steps[(t * 4 * _spread(rng) ** 0.5).astype(int) % len(steps)] / 12)
    return _harmonics(pitch, [1, 0.12, 0.05]) + 0.06 * _band(rng, n, 600, 3000)


def clock(n: int, rng: np.random.Generator) -> Sound:
    """Dry clicks, about four a second."""
    low = 2500 * _spread(rng)

    def tick(t: Sound) -> Sound:
        return _band(rng, len(t), low, 2.4 * low) * np.exp(-160 * t)

    return _strokes(n, rng, tick, length_s=0.05, every_s=0.25, jitter=0.02)


def rattle(n: int, rng: np.random.Generator) -> Sound:
    """Bright noise in bursts."""
    t = _time(n)
    return _band(rng, n, 4000 * _spread(rng), 9000) * _gate(t, rng, period_s=0.16, on=0.55)


def siren(n: int, rng: np.random.Generator) -> Sound:
    """A hollow tone gliding half an octave up and down."""
    t = _time(n)
    glide = 2 ** (0.5 * np.sin(2 * np.pi * 0.8 * _spread(rng) * t + rng.uniform(0, 6)))
    return _harmonics(900 * _spread(rng) * glide, [1, 0, 0.45, 0, 0.25, 0, 0.12])


def _time(n: int) -> Sound:
    return np.arange(n) / RATE


def _spread(rng: np.random.Generator) -> float:
    """A factor round 1: no two of a kind are tuned alike."""
    return float(np.exp(rng.normal(0, 0.12)))


def _harmonics(pitch_hz: Sound, amplitudes: list[float]) -> Sound:
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    multiples = np.arange(1, len(amplitudes) + 1)
    return np.array(amplitudes) @ np.sin(multiples[:, None] * phase)


def _band(rng: np.random.Generator, n: int, low_hz: float, high_hz: float) -> Sound:
    """White noise between two frequencies, of unit peak."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    noise = np.fft.irfft(np.where((frequency >= low_hz) & (frequency <= high_hz), spectrum, 0), n)
    return noise / (np.abs(noise).max() or 1)


def _gate(t: Sound, rng: np.random.Generator, period_s: float, on: float) -> Sound:
    """1 for the given share of each period, 0 else, with soft edges."""
    wave = np.cos(2 * np.pi * (t / (period_s * _spread(rng)) + rng.random()))
    return np.clip(0.5 + 8 * (wave - np.cos(np.pi * on)), 0, 1)


def _strokes(
    n: int, rng: np.random.Generator, stroke: Callable[[Sound], Sound], length_s: float, every_s: float, jitter: float
) -> Sound:
    """The same event again and again, each time of another strength and a little off the beat."""
    out = np.zeros(n)
    every = every_s * np.exp(rng.normal(0, 0.15))
    start = rng.uniform(0, min(every, 0.4))
    while start < n / RATE:
        first = int(start * RATE)
        event = stroke(_time(int(length_s * RATE)))[: n - first]
        out[first : first + len(event)] += event * rng.uniform(0.6, 1)
        start += every * (1 + rng.uniform(-jitter, jitter))
    return out
