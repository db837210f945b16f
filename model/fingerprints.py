"""Fingerprints of frames and sounds: what stays the same when a file is encoded anew, and tells it from all others.

Frame: OpenCV's perceptual hash (signs of the low frequencies of a 32 x 32 cosine transform), and a thumbnail that must
also correlate. A mirrored or cropped frame is another one.

Sound: Haitsma & Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002: 33 bands from 300 to 2000 Hz, frames
of .37 s; a bit is the sign of the change in time of the difference of neighbouring bands. Departs from it: a step is
23.2 ms long, not 11.6; steps of near silence, whose bits are noise, do not count; and sounds are compared from their
beginnings, up to a shift of three steps, not searched for. One bark or one steady tone decides all its bits by the
shape of its spectrum alone, so that two of a kind may share them: the waveforms themselves must correlate too.
"""

import cv2
import numpy as np
import soxr
from numpy.typing import NDArray

THUMBNAIL = 16  # pixels a side
DETAIL = 4.0  # least standard deviation of a thumbnail, of 255 grey levels: less is no picture
PHASH_COSINE = 1 - 2 * 10 / 64  # at most 10 of 64 bits differ
THUMBNAIL_CORRELATION = 0.97

RATE = 5000  # Hz: all that the bands need
WINDOW, STEP, TRANSFORM = 1850, 116, 2048  # samples
BANDS = 33
BITS = BANDS - 1
EDGES = np.round(np.geomspace(300, 2000, BANDS + 1) * TRANSFORM / RATE).astype(int)
SILENT = 1e-4  # of the loudest step's energy
POOL = 32  # steps of an outline's cell, .74 s
SHIFT = 3  # steps, either way: 70 ms
FEWEST = 8  # steps that can be compared, .55 s of sound: less is no evidence
OUTLINE_COSINE = 0.33  # of sums of signs: who is compared at all
BIT_ERRORS = 0.35  # as in the paper
WAVEFORM_CORRELATION = 0.8

Pixels = NDArray[np.uint8]
Bits = NDArray[np.uint32]
Truths = NDArray[np.bool_]
Vectors = NDArray[np.int8]
Wave = NDArray[np.float32]


def frame_hash(frame: Pixels) -> tuple[Vectors, Pixels]:
    """Perceptual hash and thumbnail of a frame (H, W, 3) uint8 RGB.

    Returns (64,) int8 of -1 and 1, and (16, 16) uint8 of grey. The hash is 0 where the frame has no detail: black, or
    of one colour; zeros are similar to nothing.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    thumbnail = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    if thumbnail.std() < DETAIL:
        return np.zeros(64, np.int8), thumbnail
    return _signs(cv2.img_hash.pHash(grey)[0]), thumbnail


def _signs(packed: Pixels) -> Vectors:
    return (2 * np.unpackbits(packed).astype(np.int8) - 1).astype(np.int8)


def correlations(one: Pixels, others: Pixels) -> NDArray[np.float64]:
    """Pearson correlation of one thumbnail (16, 16) with each of several (n, 16, 16)."""
    a = one.astype(np.float64).ravel() - one.mean()
    b = others.reshape(len(others), -1).astype(np.float64)
    b -= b.mean(axis=1, keepdims=True)
    return b @ a / np.maximum(np.linalg.norm(a) * np.linalg.norm(b, axis=1), 1e-9)


def n_steps(seconds: float) -> int:
    """How many steps a sound of at most so many seconds has: a multiple of POOL."""
    steps = max(0, round(seconds * RATE) - WINDOW) // STEP
    return -(-max(steps, 1) // POOL) * POOL


def sound_hash(waveform: Wave, sample_rate: int, steps: int) -> tuple[Bits, Truths, Vectors]:
    """Bits, which of them count, and outline of a waveform (T,) float32.

    Returns (steps,) uint32 with a bit for each two neighbouring bands, (steps,) bool, and (steps,) int8, the sums of
    the bits' signs over .74 s: what is shorter ends in zeros that do not count.
    """
    bits, counts = np.zeros(steps, np.uint32), np.zeros(steps, bool)
    signs = np.zeros((steps, BITS), np.int8)
    energy = _energies(waveform, sample_rate)[: steps + 1]  # (T, 33)
    if len(energy) > 1 and energy.any():
        change = np.diff(-np.diff(energy, axis=1), axis=0) > 0  # (T - 1, 32)
        n = len(change)
        bits[:n] = np.packbits(change, axis=1, bitorder="little").view(np.uint32).ravel()
        loudness = energy.sum(axis=1)
        heard = loudness > SILENT * loudness.max()
        counts[:n] = heard[1:] & heard[:-1]
        signs[:n] = np.where(change, 1, -1) * counts[:n, None]
    return bits, counts, signs.reshape(-1, POOL, BITS).sum(axis=1, dtype=np.int8).ravel()


def _energies(waveform: Wave, sample_rate: int) -> NDArray[np.float64]:
    """(T, 33) energy of the bands in windows of .37 s, a step of 23.2 ms apart."""
    slow = waveform if sample_rate == RATE else soxr.resample(waveform, sample_rate, RATE)
    if len(slow) < WINDOW:
        return np.zeros((0, BANDS))
    windows = np.lib.stride_tricks.sliding_window_view(slow, WINDOW)[::STEP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(windows, TRANSFORM, axis=1)) ** 2
    return np.add.reduceat(power[:, : EDGES[-1]], EDGES[:-1], axis=1)


def similar(one: Vectors, other: Vectors, least_cosine: float) -> NDArray[np.int64]:
    """Which rows of (n, D) and (m, D) int8 have a cosine of at least so much; a row of zeros is similar to none.

    Returns (p, 2) indices. Sums are of whole numbers below 2^24, exact in float32 in whatever order they are made.
    """
    a = one.astype(np.float32)
    least = np.float32(least_cosine) * np.maximum(np.linalg.norm(a, axis=1), 1e-3)
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(other), 4096):
        b = other[start : start + 4096].astype(np.float32)
        enough = least[:, None] * np.maximum(np.linalg.norm(b, axis=1), 1e-3)
        pairs = np.argwhere(a @ b.T >= enough)
        found.append(pairs + np.array([0, start]))
    return np.concatenate(found)


def error_rates(bits: Bits, counts: Truths, others: Bits, others_count: Truths) -> NDArray[np.float64]:
    """Share of bits of one sound (T,) that differ in each of several (n, T), at the shift where they differ least.

    1 where fewer than FEWEST steps can be compared.
    """
    least = np.ones(len(others))
    steps = len(bits)
    for shift in range(-SHIFT, SHIFT + 1):
        mine, theirs = slice(max(shift, 0), steps + min(shift, 0)), slice(max(-shift, 0), steps + min(-shift, 0))
        both = counts[mine] & others_count[:, theirs]
        differ = np.bitwise_count(bits[mine] ^ others[:, theirs])
        n = both.sum(axis=1)
        rate = (differ * both).sum(axis=1) / np.maximum(BITS * n, 1)
        least = np.where(n >= FEWEST, np.minimum(least, rate), least)
    return least


def waveform_correlation(one: Wave, other: Wave, sample_rate: int) -> float:
    """How far two waveforms (T,) float32 are the same up to gain, sign and a shift of at most 70 ms.

    Returns the largest absolute normalised correlation over the shifts, of what lies below 2500 Hz; in [0, 1].
    """
    a, b = (soxr.resample(wave, sample_rate, RATE).astype(np.float64) for wave in (one, other))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    if not norm:
        return 0.0
    n = 1 << (len(a) + len(b)).bit_length()
    products = np.fft.irfft(np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n)), n)
    lags = SHIFT * STEP
    return float(min(1.0, np.abs(np.concatenate([products[: lags + 1], products[-lags:]])).max() / norm))
