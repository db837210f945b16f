"""Selective search (Uijlings et al., IJCV 2013): regions of an image, by joining what looks alike until one is left.

An image is seen in several colour spaces, segmented in each at several scales (`model/graph_segmentation.py`), and the
segments are joined, most alike pair first, by several notions of likeness. All segments, first and joined, of all these
groupings are the regions. A level is 1 for a first segment and one more than the higher of its parts for a joined one.

All numbers are OpenCV's (modules/ximgproc/src/selectivesearchsegmentation.cpp, where it departs from the article too),
so that the boxes are; among exactly equal ones the order is our own. What depends on the colour space alone (gradients,
histograms) is computed once for it, on the pieces that no scale divides, and added up for each scale.

Nothing here is random: OpenCV's random rank belongs to the choice of regions (`model/regions.py`).
"""

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from model.graph_segmentation import segment
from model.regions import Regions
from model.standard_sort import STACK, sort_pairs

Mode = Literal["single", "fast", "quality"]
Image = NDArray[np.uint8]
Counts = NDArray[np.int32]
Shares = NDArray[np.float32]

COLOURS, TEXTURES = 25, 10  # bins of a histogram
ALONG = ((1, 0), (0, 1))  # x and y
GRADIENTS = 4  # of a channel: along x and y, and along both diagonals
# Shares of colour, texture, size and fill in a likeness (Sec. 3.2 of the article), as 32-bit floats.
THIRD = float(np.float32(0.3333))
ALL, NO_COLOUR = (0.25, 0.25, 0.25, 0.25), (0.0, *3 * [float(np.float32(THIRD) / np.float32(3 * np.float32(THIRD)))])
FILL, SIZE = (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.0)
# Mode: colour spaces, scales k of the segmentation, likenesses.
MODES: dict[Mode, tuple[tuple[str, ...], tuple[int, ...], tuple[tuple[float, ...], ...]]] = {
    "single": (("hsv",), (200,), (ALL,)),
    "fast": (("hsv", "lab"), (150, 300, 450), (ALL, NO_COLOUR)),
    "quality": (("hsv", "lab", "grey", "blue", "rgi"), (150, 300, 450, 600, 750), (ALL, NO_COLOUR, FILL, SIZE)),
}


def search(image: Image, mode: Mode) -> Regions:
    """The regions of an (H, W, 3) uint8 RGB image, at its own size."""
    spaces, ks, likenesses = MODES[mode]
    found = []
    for space in spaces:
        seen = np.ascontiguousarray(in_space(image, space))
        pieces, segments = segment(seen, ks)
        counts = _counts(seen, *_texture_codes(seen), pieces, segments.shape[1])
        boxes, sizes = _extents(pieces, segments.shape[1])
        touching = _touching(pieces, segments.shape[1])
        for of_scale in segments:
            first = _of_segments(of_scale, boxes, sizes, touching, *counts)
            found += [_grouped(*first, np.array(shares, np.float32), pieces.size) for shares in likenesses]
    return Regions(
        np.concatenate([box for box, _ in found]),
        np.concatenate([level for _, level in found]),
        np.repeat(np.arange(len(found), dtype=np.int16), [len(level) for _, level in found]),
    )


def in_space(image: Image, space: str) -> Image:
    """An RGB image in a colour space, (H, W, C)."""
    if space == "hsv":
        return cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    if space == "lab":
        return cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    if space == "grey":
        return grey
    if space == "blue":  # the article and OpenCV's comment say hue; its code overwrites that plane before it is used
        return image[..., 2:]
    return np.concatenate([image[..., :2], grey], axis=2)  # "rgi": red, green and grey, as OpenCV has it


# Texture: how often each strength of each gradient occurs. A gradient is split in its positive and its negative part,
# and each part is scaled to a byte by its own range over the image.


def _texture_codes(image: Image) -> tuple[Image, Image, Image]:
    """(4, H, W, C) the code of each gradient: its bin where it is not negative, else 10 + its bin; and for each
    gradient and channel the bin that the positive part has where the gradient is negative, and the other way round.
    """
    height, width, channels = image.shape
    straight = [cv2.Scharr(image, cv2.CV_16S, *along) for along in ALONG]  # whole numbers: half the bytes of floats
    gradients = [gradient.reshape(height, width * channels) for gradient in (*straight, *_diagonal_gradients(image))]
    ends = np.array([_range_of_columns(rows) for rows in gradients], np.float32)
    ends = ends.reshape(GRADIENTS, 2, width, channels)
    low, high = ends[:, 0].min(axis=1), ends[:, 1].max(axis=1)  # (4, C)
    positive = _to_byte(np.maximum(low, 0), np.maximum(high, 0))
    negative = _to_byte(np.minimum(low, 0), np.minimum(high, 0))
    per_column = np.tile(np.stack([*positive, *negative], axis=1), (1, 1, width))  # (4, 4, W x C)
    codes = np.empty((GRADIENTS, height, width, channels), np.uint8)
    for rows, numbers, into in zip(gradients, per_column, codes, strict=True):
        _quantise(rows, numbers, into.reshape(height, width * channels))
    return codes, _bin(np.rint(positive[1])), _bin(np.rint(negative[1]))


# Rows hold all channels side by side, and what differs between channels stands column by column: loops of vectors.


@njit(cache=True, nogil=True)
def _range_of_columns(rows):
    """The least and the greatest number of each column."""
    low, high = rows[0].copy(), rows[0].copy()
    for y in range(1, rows.shape[0]):
        row = rows[y]
        for x in range(rows.shape[1]):
            value, least, greatest = row[x], low[x], high[x]
            low[x] = value if value < least else least
            high[x] = value if value > greatest else greatest
    return low, high


@njit(cache=True, nogil=True, fastmath={"contract"})  # a product and a sum become one operation, as in OpenCV
def _quantise(rows, per_column, codes):
    """Codes of (H, W x C) gradients; per_column: factor and addend of the positive part, and of the negative one."""
    a_positive, b_positive, a_negative, b_negative = per_column[0], per_column[1], per_column[2], per_column[3]
    for y in range(rows.shape[0]):
        row, into = rows[y], codes[y]
        for x in range(rows.shape[1]):
            value = np.float32(row[x])
            ap, bp, an, bn = a_positive[x], b_positive[x], a_negative[x], b_negative[x]  # all read: no branch
            a, b = (an if value < 0 else ap), (bn if value < 0 else bp)
            code = value * a + b
            code = np.float32(0) if code < 0 else code
            code = np.float32(255) if code > 255 else code
            half = (np.int32(np.rint(code)) * np.int32(TEXTURES)) >> np.int32(8)
            into[x] = half + np.int32(TEXTURES) if value < 0 else half  # 32 bits throughout: twice as many at once


def _to_byte(low: NDArray[np.float32], high: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Factor and addend that take [low, high] to [0, 255]; an empty range goes to 0."""
    span = (high - low).astype(np.float64)
    factor = np.divide(255, span, out=np.zeros_like(span), where=span > 0)
    return factor.astype(np.float32), (-factor * low).astype(np.float32)


def _bin(code: NDArray[np.float32]) -> Image:
    return (np.clip(code, 0, 255).astype(np.int32) * TEXTURES >> 8).astype(np.uint8)


def _diagonal_gradients(image: Image) -> list[NDArray[np.float32]]:
    """Gradients along the diagonals: of the image turned by 45 degrees on a canvas that holds it, turned back."""
    turn, canvas, x, y = _turn(*image.shape[:2])
    if image.shape[2] == 3:  # cv2 turns four channels faster than three
        turned = cv2.warpAffine(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), turn, canvas)
        turned = cv2.cvtColor(turned, cv2.COLOR_RGBA2RGB)
    else:
        turned = cv2.warpAffine(image, turn, canvas)
    gradients = (cv2.Scharr(turned, cv2.CV_32F, *along) for along in ALONG)
    return [cv2.remap(gradient, x, y, cv2.INTER_LINEAR) for gradient in gradients]


@lru_cache(maxsize=16)
def _turn(
    height: int, width: int
) -> tuple[NDArray[np.float64], tuple[int, int], NDArray[np.float32], NDArray[np.float32]]:
    """For images of one size: the matrix that turns them, width and height of the canvas, and where on it each pixel
    comes to lie: (H, W) x and (H, W) y.

    OpenCV turns the whole canvas back by a matrix and cuts out the image. These are the places at which it looks, to
    the bit: in 32-bit floats, y times a number plus a number, and x times a number added in one operation.
    """
    centre = (width / 2, height / 2)
    corners = cv2.boxPoints((centre, (width, height), 45.0))
    left, top = np.floor(corners.min(axis=0)).astype(int)
    canvas = np.ceil(corners.max(axis=0)).astype(int) - (left, top) + 1  # width, height
    turn = cv2.getRotationMatrix2D(centre, 45, 1)
    turn[:, 2] += canvas / 2 - centre
    back = cv2.getRotationMatrix2D((int(canvas[0] / 2), int(canvas[1] / 2)), -45, 1)
    sources = cv2.invertAffineTransform(back).astype(np.float32)
    x = np.arange(width, dtype=np.float32) + max(0, int(canvas[0] - width) // 2)
    y = np.arange(height, dtype=np.float32) + max(0, int(canvas[1] - height) // 2)
    places = [
        (x.astype(np.float64) * of_x + (y * of_y + start)[:, None]).astype(np.float32) for of_x, of_y, start in sources
    ]
    return turn, (int(canvas[0]), int(canvas[1])), places[0], places[1]


# Pieces: what no scale divides.


@njit(cache=True, nogil=True)
def _counts(image, codes, zero_positive, zero_negative, pieces, n):
    """Histograms of each piece, in pixels: (n, C x 25) of colour, and (n, C x 4 x 2 x 10) of texture."""
    height, width, channels = image.shape
    colour = np.zeros((n, channels * COLOURS), np.int32)
    signed = np.zeros((n, channels * GRADIENTS * 2 * TEXTURES), np.int32)
    for y in range(height):
        for x in range(width):
            piece = pieces[y, x]
            for c in range(channels):
                colour[piece, c * COLOURS + np.int32(image[y, x, c]) * COLOURS // 256] += 1
                for g in range(GRADIENTS):
                    signed[piece, (c * GRADIENTS + g) * 2 * TEXTURES + codes[g, y, x, c]] += 1
    texture = signed.copy()
    for piece in range(n):
        for c in range(channels):
            for g in range(GRADIENTS):
                at = (c * GRADIENTS + g) * 2 * TEXTURES
                positive = signed[piece, at : at + TEXTURES].sum()
                negative = signed[piece, at + TEXTURES : at + 2 * TEXTURES].sum()
                texture[piece, at + zero_positive[g, c]] += negative
                texture[piece, at + TEXTURES + zero_negative[g, c]] += positive
    return colour, texture


@njit(cache=True, nogil=True)
def _extents(pieces, n):
    """(n, 4) left, top, right, bottom (inclusive) and (n,) pixels of each piece."""
    height, width = pieces.shape
    boxes, sizes = np.empty((n, 4), np.int32), np.zeros(n, np.int32)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = width, height, -1, -1
    for y in range(height):
        for x in range(width):
            piece = pieces[y, x]
            sizes[piece] += 1
            boxes[piece, 0], boxes[piece, 1] = min(boxes[piece, 0], x), min(boxes[piece, 1], y)
            boxes[piece, 2], boxes[piece, 3] = max(boxes[piece, 2], x), max(boxes[piece, 3], y)
    return boxes, sizes


@njit(cache=True, nogil=True)
def _touching(pieces, n):
    """(p, 2) the pairs of pieces that touch, each once or a few times; what OpenCV looks at: a pixel's neighbours to
    the left, above, and left above, for all pixels but those of the first row and column.
    """
    height, width = pieces.shape
    latest = np.full((n, 8), -1, np.int32)  # the last neighbours of a piece: most pairs are met again at once
    pairs = np.empty((3 * height * width, 2), np.int32)
    found = 0
    for y in range(1, height):
        for x in range(1, width):
            here = pieces[y, x]
            for other in (pieces[y, x - 1], pieces[y - 1, x], pieces[y - 1, x - 1]):
                if other != here:
                    a, b = min(here, other), max(here, other)
                    known = False
                    for i in range(8):
                        known = known or latest[a, i] == b
                    if not known:
                        latest[a, b % 8] = b
                        pairs[found, 0], pairs[found, 1] = a, b
                        found += 1
    return pairs[:found].copy()


# Grouping.


@njit(cache=True, nogil=True)
def _of_segments(segments, boxes, sizes, touching, colour, texture):
    """The segments of one scale, from the pieces in them: boxes, sizes, neighbours (a < b, by a, then b),
    histograms.
    """
    n = segments.max() + 1
    box, size = np.empty((n, 4), np.int32), np.zeros(n, np.int32)
    box[:, :2], box[:, 2:] = 1 << 30, -1
    colours, textures = np.zeros((n, colour.shape[1]), np.int32), np.zeros((n, texture.shape[1]), np.int32)
    for piece in range(len(segments)):
        into = segments[piece]
        size[into] += sizes[piece]
        for side in range(2):
            box[into, side] = min(box[into, side], boxes[piece, side])
            box[into, side + 2] = max(box[into, side + 2], boxes[piece, side + 2])
        colours[into] += colour[piece]
        textures[into] += texture[piece]
    codes = np.empty(len(touching), np.int64)
    found = 0
    for a, b in touching:
        i, j = segments[a], segments[b]
        if i != j:
            codes[found] = np.int64(min(i, j)) * n + max(i, j)
            found += 1
    codes = np.unique(codes[:found])
    channels = colour.shape[1] // COLOURS
    pixels = size.astype(np.float32).reshape(n, 1)
    shares_of_colour = colours.astype(np.float32) / (pixels * np.float32(channels))
    shares_of_texture = textures.astype(np.float32) / (pixels * np.float32(channels * GRADIENTS * 2))
    return box, size, (codes // n).astype(np.int32), (codes % n).astype(np.int32), shares_of_colour, shares_of_texture


def _grouped(
    box: Counts, size: Counts, a: Counts, b: Counts, colour: Shares, texture: Shares, shares: Shares, area: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Join the most alike pair of neighbours until no two are left: (r, 4) boxes x, y, w, h and (r,) levels."""
    boxes, levels, is_tied = _joined_in_turn(box, size, a, b, colour, texture, shares, area, False)
    if is_tied:  # which of the most alike comes first now depends on how OpenCV sorts: so do we, which takes longer
        boxes, levels, _ = _joined_in_turn(box, size, a, b, colour, texture, shares, area, True)
    return boxes, levels


@njit(cache=True, nogil=True)
def _joined_in_turn(first_box, first_size, first_a, first_b, first_colour, first_texture, shares, area, by_sorting):
    """`_grouped`, and whether it stopped because the most alike pair was not the only one (never where
    `by_sorting`).
    """
    n, n_pairs = len(first_size), len(first_a)
    box, size, colour, texture = first_box.copy(), first_size.copy(), first_colour.copy(), first_texture.copy()
    level = np.ones(n, np.int16)
    found_box, found_level = np.empty((2 * n, 4), np.int16), np.ones(2 * n, np.int16)
    for i in range(n):
        found_box[i] = _xywh(box[i])
    found = n
    pairs, alike = np.empty((n_pairs + 1, 2), np.int32), np.empty(n_pairs + 1, np.float32)
    for p in range(n_pairs):
        pairs[p, 0], pairs[p, 1] = first_a[p], first_b[p]
        alike[p] = _likeness(first_a[p], first_b[p], box, size, colour, texture, shares, area)
    stack = np.empty((STACK, 3), np.int64)
    seen, others = np.full(n, -1, np.int32), np.empty(n, np.int32)
    while n_pairs:
        best = n_pairs - 1
        if by_sorting:
            sort_pairs(alike, pairs, n_pairs, stack)
        else:
            is_tied = False
            for p in range(n_pairs - 1):
                if alike[p] > alike[best]:
                    best, is_tied = p, False
                elif alike[p] == alike[best]:
                    is_tied = True
            if is_tied:
                return found_box, found_level, True
        one, gone = min(pairs[best, 0], pairs[best, 1]), max(pairs[best, 0], pairs[best, 1])
        _join(one, gone, box, size, colour, texture, shares)
        level[one] = max(level[one], level[gone]) + 1
        found_box[found], found_level[found] = _xywh(box[one]), level[one]
        found += 1
        kept = n_others = 0
        for p in range(n_pairs):
            i, j = pairs[p, 0], pairs[p, 1]
            if i == one or i == gone or j == one or j == gone:
                other = j if i == one or i == gone else i
                if other != one and other != gone and seen[other] != found:
                    seen[other] = found
                    others[n_others] = other
                    n_others += 1
            else:
                pairs[kept, 0], pairs[kept, 1], alike[kept] = i, j, alike[p]
                kept += 1
        for other in others[:n_others]:  # never more than were dropped
            pairs[kept, 0], pairs[kept, 1] = one, other
            alike[kept] = _likeness(one, other, box, size, colour, texture, shares, area)
            kept += 1
        n_pairs = kept
    return found_box[:found], found_level[:found], False


@njit(cache=True, nogil=True)
def _xywh(box):
    return np.array((box[0], box[1], box[2] - box[0] + 1, box[3] - box[1] + 1), np.int16)


@njit(cache=True, nogil=True)
def _likeness(i, j, box, size, colour, texture, shares, area):
    """The share-weighted sum of Eq. 1 to 4 of the article."""
    total = np.float32(0)
    if shares[0]:
        total += _intersection(colour[i], colour[j]) * shares[0]
    if shares[1]:
        total += _intersection(texture[i], texture[j]) * shares[1]
    if shares[2]:
        total += _clipped(size[i] + size[j], area) * shares[2]
    if shares[3]:
        width = max(box[i, 2], box[j, 2]) - min(box[i, 0], box[j, 0]) + 1
        height = max(box[i, 3], box[j, 3]) - min(box[i, 1], box[j, 1]) + 1
        total += _clipped(width * height - size[i] - size[j], area) * shares[3]
    return total


@njit(cache=True, nogil=True)
def _clipped(pixels, area):
    share = np.float32(1) - np.float32(pixels) / np.float32(area)
    return min(max(share, np.float32(0)), np.float32(1))


@njit(cache=True, nogil=True)
def _intersection(one, other):
    total = np.float32(0)
    for i in range(len(one)):
        total += min(one[i], other[i])
    return total


@njit(cache=True, nogil=True)
def _join(one, gone, box, size, colour, texture, shares):
    """Put both into `one`: sizes add, boxes join, histograms are weighed by size."""
    of_one, of_gone = np.float32(size[one]), np.float32(size[gone])
    both = np.float32(size[one] + size[gone])
    if shares[0]:
        for i in range(colour.shape[1]):
            colour[one, i] = (colour[one, i] * of_one + colour[gone, i] * of_gone) / both
    if shares[1]:
        for i in range(texture.shape[1]):
            texture[one, i] = (texture[one, i] * of_one + texture[gone, i] * of_gone) / both
    size[one] += size[gone]
    for side in range(2):
        box[one, side] = min(box[one, side], box[gone, side])
        box[one, side + 2] = max(box[one, side + 2], box[gone, side + 2])
