"""Maps that hear nothing: what a score has to be held against. All are (S, S) or (B, S, S) in [0, 1.2]."""

import numpy as np

from model.upsampling import SIZE, Maps


def centre_map(size: int = SIZE) -> Maps:
    """(size, size) falling from 1 in the middle to 0 in the corners; its masks are centred discs."""
    offset = (np.arange(size) + 0.5) / size - 0.5
    return (1 - np.hypot(offset[:, None], offset[None, :]) / np.hypot(0.5, 0.5)).astype(np.float32)


def oracle_map(truth: Maps) -> Maps:
    """The best that a protocol allows: all of the truth above all else, then by votes; equal ones by row, none tied.

    truth: (B, S, S). Where the truth leaves no pixel out, one of the least votes is put below the others: a map whose
    values are all high is as good as a constant one to a protocol that scales it.
    """
    shape = truth.shape[-2:]
    by_row = 1 - np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape) / (shape[0] * shape[1])
    maps = ((truth > 0) + 0.1 * truth + 0.02 * by_row).astype(np.float32)
    flat = maps.reshape(len(maps), -1)
    full = np.flatnonzero((truth > 0).all(axis=(1, 2)))
    flat[full, flat[full].argmin(axis=1)] = 0.6  # more than half of the largest value, less than half of the range
    return maps
