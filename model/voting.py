"""Region voting: each box of a search votes with how much warmer a map is inside than around it.

A map of cells is blurred where things have edges; a search finds the edges, without knowing what sounds. A box that
holds what is warm and leaves out what is not says both. Nothing is learned, so that any map can be voted on, one that
hears nothing too: what such a map gains is no hearing.

Conventions: of a map s in [0, 1], enlarged to the frame's S pixels a side, a box b has the contrast c_b = mean of s in
b - mean of s in the ring round b. The voted map is the 4-norm of the votes exp(c_b / .2) of the boxes over each pixel,
scaled by its maximum. A plain sum of exp(c_b / .05) has the same order of pixels, but falls to half of its maximum
inside the thing; the root of it does so at the edge. How the constants were chosen: docs/guided.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.upsampling import Maps, linear

TEMPERATURE = 0.2  # of the votes
NORM = 4  # over the votes on a pixel: between their sum (1) and the largest of them
RING = 1.0  # a ring is the box grown on each side by so many of its own widths (heights) ...
MARGIN = 8  # ... and so many pixels: half a cell of the networks' stride
SMALLEST = 0.02  # of the frame: boxes below this share do not vote
REST = 0.001  # of the map itself beside the sum of the votes: it tells apart pixels of the same boxes
Boxes = NDArray[np.integer]
Values = NDArray[np.float64]


def vote(maps: Maps, boxes: Sequence[Boxes], size: int) -> Maps:
    """Maps as the boxes of their frames draw them.

    maps:  (B, h, w), of any scale.
    boxes: of each frame (r, 4) x, y, w, h in pixels, covering [x, x + w) x [y, y + h); one that stands there several
           times votes once.
    size:  S, pixels a side of the frames that the boxes were found in.
    Returns (B, S, S) float32 in [0, 1.001]; all 0 where a map says the same of every cell, NaN where it holds one.
    Raises ValueError when a box leaves the frame, or is empty.
    """
    enlarged = linear(_scaled(maps), size).astype(np.float64)
    voted = [_voted(s, b) for s, b in zip(enlarged, boxes, strict=True)]
    silent = maps.max(axis=(1, 2), keepdims=True) == maps.min(axis=(1, 2), keepdims=True)
    return np.where(silent, 0, np.stack(voted)).astype(np.float32)


def contrasts(warm: Values, boxes: Boxes) -> Values:
    """(r,) c_b of each box (r, 4) on a map (S, S); 0 where the box is the whole frame and has no ring."""
    size = len(warm)
    x, y, w, h = boxes.astype(np.int64).T
    dx, dy = (np.floor(RING * side).astype(np.int64) + MARGIN for side in (w, h))
    inner = x, y, x + w, y + h
    outer = (
        np.maximum(x - dx, 0),
        np.maximum(y - dy, 0),
        np.minimum(x + w + dx, size),
        np.minimum(y + h + dy, size),
    )
    integral = np.zeros((size + 1, size + 1))
    integral[1:, 1:] = warm.cumsum(axis=0).cumsum(axis=1)
    inside, whole = (_sums(integral, corners) for corners in (inner, outer))
    n_inside, n_whole = (_areas(corners) for corners in (inner, outer))
    n_ring = n_whole - n_inside
    around = (whole - inside) / np.maximum(n_ring, 1)
    return np.where(n_ring > 0, inside / n_inside - around, 0.0)


def _voted(warm: Values, boxes: Boxes) -> Values:
    """The voted map (S, S) of one map in [0, 1] of the same size."""
    size = len(warm)
    x, y, w, h = boxes.astype(np.int64).T
    if ((x < 0) | (y < 0) | (w < 1) | (h < 1) | (x + w > size) | (y + h > size)).any():
        raise ValueError(f"a box is empty or leaves the frame of {size} pixels a side")
    boxes = np.unique(boxes[w * h >= SMALLEST * size**2], axis=0)
    heat = np.zeros_like(warm)
    if len(boxes):
        c = contrasts(warm, boxes)
        powers = np.exp(NORM / TEMPERATURE * (c - c.max()))  # over the largest: no scale is kept
        heat = _painted(boxes.astype(np.int64), powers, size)
        heat /= heat.max()
    return (heat + REST * warm) ** (1 / NORM)


def _painted(boxes: NDArray[np.int64], values: Values, size: int) -> Values:
    """(S, S) the sum of the values of the boxes that cover each pixel: steps at the corners, summed up."""
    x, y, w, h = boxes.T
    steps = np.zeros((size + 1, size + 1))
    for row, column, sign in ((y, x, 1), (y, x + w, -1), (y + h, x, -1), (y + h, x + w, 1)):
        np.add.at(steps, (row, column), sign * values)
    return np.maximum(steps.cumsum(axis=0).cumsum(axis=1)[:size, :size], 0)  # rounding leaves some -1e-16


def _sums(integral: Values, corners: tuple[NDArray[np.int64], ...]) -> Values:
    x0, y0, x1, y1 = corners
    return integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]


def _areas(corners: tuple[NDArray[np.int64], ...]) -> NDArray[np.int64]:
    x0, y0, x1, y1 = corners
    return (x1 - x0) * (y1 - y0)


def _scaled(maps: NDArray[np.floating]) -> Values:
    """Maps scaled to [0, 1] each by itself; a constant one is 0."""
    maps = maps.astype(np.float64)
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)
