"""Bottom-up attention: regions of a frame, summed, on the grid of the visual network (Sec. 3.1, Eq. 1, 2).

The paper sums regions at the frame's resolution and resizes the sum to the grid. A box is separable, and so is
resizing: the map on the grid is C_y^T diag(weight) C_x, where C[k, d] is how much of cell d box k covers along one
axis. No image of the frame's size is ever made, and the result is that of the longer way (`cv2.resize`, or averaging)
to float32.

A detector's scores are clipped before they are resized (`clipped_map`): there the pixels that a cell reads are made.

Conventions: boxes are (K, 4) int x, y, w, h in pixels, x to the right, y down, covering [x, x + w) x [y, y + h).
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model.regions import Boxes

Map = NDArray[np.float32]
Resize = Literal["bilinear", "area"]
STRIDE = 16  # frame pixels per cell and side


def region_weights(n: int, k: int, weight: Literal["uniform", "rank"]) -> NDArray[np.float64]:
    """weight_k of n chosen regions (n <= k).

    uniform: 1 / K (Sec. 4.2), also where there are fewer than K. rank: K, K - 1, ... over their sum, for 1 to K.
    """
    if weight == "uniform":
        return np.full(n, 1 / k)
    ranks = np.arange(k, 0, -1)
    return (ranks / ranks.sum())[:n]


def grid_maps(boxes: Sequence[Boxes], weights: Sequence[NDArray[np.float64]], size: int, resize: Resize) -> Map:
    """A_bottom of some frames on the grid (Eq. 1, 2): at each cell, the sum of the weights of the boxes that cover it.

    boxes: for each frame (K, 4). weights: for each frame (K,), >= 0. size: side S of the square frames, a multiple of
    16. resize: bilinear, as `cv2.resize` does it; area, the mean over the cell's pixels.
    Returns (B, S / 16, S / 16) float32 in [0, sum(weights)]; a frame's map is the same in any company.
    """
    along_y, along_x = _along(np.concatenate(boxes), size, resize)  # (all boxes, S / 16)
    flat = np.concatenate(weights)
    # Boxes of one weight are counted first: such sums are exact in float32 too, and take half the time.
    one = flat[0] if flat.size and (flat == flat[0]).all() else None
    if one is None:
        along_y = along_y * flat[:, None]
    side = size // STRIDE
    counts = {len(of_frame) for of_frame in boxes}
    if one is not None and len(counts) == 1:
        of_frames = len(boxes), counts.pop(), side
        return (along_y.reshape(of_frames).swapaxes(1, 2) @ along_x.reshape(of_frames) * one).astype(np.float32)
    maps = np.empty((len(boxes), side, side), along_y.dtype)
    for of_frame, (start, end) in zip(maps, pairwise(np.cumsum([0, *map(len, boxes)])), strict=True):
        np.matmul(along_y[start:end].T, along_x[start:end], out=of_frame)
    return (maps if one is None else maps * one).astype(np.float32)


def clipped_map(boxes: Boxes, scores: NDArray[np.floating], size: int, resize: Resize) -> Map:
    """A_bottom where the weights are a detector's scores: summed, clipped to [0, 1], then resized (Sec. 4.2).

    The paper clips the map that Eq. 1 makes, at the frame's resolution: no pixel counts more than once, and a cell that
    is half under two sure boxes counts half. Returns (S / 16, S / 16) float32 in [0, 1].
    """
    starts = np.arange(0, size, STRIDE)
    within = np.arange(STRIDE) if resize == "area" else np.array([STRIDE // 2 - 1, STRIDE // 2])
    pixels = (starts[:, None] + within).ravel()
    x, y, w, h = boxes.T.astype(np.intp)[..., None]
    along_y = ((pixels >= y) & (pixels < y + h)) * np.asarray(scores, np.float64)[:, None]
    along_x = ((pixels >= x) & (pixels < x + w)).astype(np.float64)
    clipped = np.minimum(along_y.T @ along_x, 1)
    return clipped.reshape(len(starts), len(within), len(starts), len(within)).mean(axis=(1, 3)).astype(np.float32)


def expected_mask(boxes: Boxes, likely: NDArray[np.float64], count: int, size: int, resize: Resize) -> Map:
    """How likely each cell is under more than `count` of the chosen boxes, where box i is chosen with likely[i].

    The chosen boxes over a cell are counted by a Poisson binomial distribution; a box that covers a part of a cell
    counts with that chance. Returns (S / 16, S / 16) float32 in [0, 1].
    """
    along_y, along_x = _along(boxes, size, resize)
    side = size // STRIDE
    so_many = np.zeros((count + 1, side, side))  # how likely exactly 0, 1 ... count are over a cell
    so_many[0] = 1
    for chance in (along_y * likely[:, None])[:, :, None] * along_x[:, None, :]:
        one_more = so_many * chance
        so_many -= one_more
        so_many[1:] += one_more[:-1]
    return np.clip(1 - so_many.sum(axis=0), 0, 1).astype(np.float32)


def _along(boxes: Boxes, size: int, resize: Resize) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(K, S / 16) how much of each cell each box covers, along y and along x: whole halves or sixteenths."""
    table = _coverage(size, resize)
    x, y, w, h = np.ascontiguousarray(boxes.T, dtype=np.intp)
    along_y, along_x = table.take(y + h, axis=0), table.take(x + w, axis=0)
    along_y -= table.take(y, axis=0)
    along_x -= table.take(x, axis=0)
    return along_y, along_x


@lru_cache
def _coverage(size: int, resize: Resize) -> NDArray[np.float32]:
    """(S + 1, S / 16): how much of each cell lies left of each pixel edge; a span covers the difference of two."""
    edges = np.arange(size + 1)[:, None]
    starts = np.arange(0, size, STRIDE)[None, :]
    if resize == "area":
        return (np.clip(edges - starts, 0, STRIDE) / STRIDE).astype(np.float32)
    # At a factor of 16 bilinear resizing reads position 16 d + 7.5: the mean of pixels 16 d + 7 and 16 d + 8.
    middle = starts + STRIDE // 2 - 1
    return ((edges > middle).astype(np.float32) + (edges > middle + 1).astype(np.float32)) / np.float32(2)


def count_unit(k: int, weight: Literal["uniform", "rank", "score"], resize: Resize) -> float:
    """The step in which a map counts boxes: 1 / (4 K) with equal weights and bilinear cells, else 0 (it counts none).

    A cell averages 2 x 2 pixels, so 4 K A is a whole number. Whoever compares A with a threshold compares counts.
    """
    return 1 / (4 * k) if weight == "uniform" and resize == "bilinear" else 0.0


def at_random_places(boxes: Boxes, size: int, rng: np.random.Generator) -> Boxes:
    """A control: the same boxes, each moved to a uniformly random place in the frame."""
    w, h = boxes[:, 2], boxes[:, 3]
    x = np.floor(rng.random(len(boxes)) * (size - w + 1))
    y = np.floor(rng.random(len(boxes)) * (size - h + 1))
    return np.stack([x, y, w, h], axis=1).astype(boxes.dtype)


def with_cells_permuted(bottom_up: Map, rng: np.random.Generator) -> Map:
    """A control: the same values at other cells."""
    return rng.permutation(bottom_up.ravel()).reshape(bottom_up.shape)
