"""Randomness that follows from a seed, a purpose and names: never from order, time or worker count."""

import hashlib

import numpy as np


def _digest(seed: int, purpose: str, names: tuple[object, ...]) -> bytes:
    text = "\x00".join(map(str, (seed, purpose, *names)))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def generator(seed: int, purpose: str, *names: object) -> np.random.Generator:
    """A generator of its own for each (seed, purpose, names), for example for one clip in one epoch."""
    return np.random.default_rng(int.from_bytes(_digest(seed, purpose, names)))


def fraction(seed: int, purpose: str, *names: object) -> float:
    """One uniform number in [0, 1), the same wherever it is asked for."""
    return int.from_bytes(_digest(seed, purpose, names)[:8]) / 2**64


def whole(seed: int, purpose: str, *names: object) -> int:
    """One whole number in [0, 2^31), for generators that want a seed of their own."""
    return int.from_bytes(_digest(seed, purpose, names)[:4]) >> 1
