"""Graph segmentation (Felzenszwalb & Huttenlocher, IJCV 2004) of one image at several scales k at once.

Pixels are joined along edges in the order of their weights, the colour distance of 4-neighbours in a blurred image. Two
components join where the edge between them weighs no more than either tolerates: the heaviest edge inside it plus k /
size. What stays below MIN_SIZE pixels is then joined to a neighbour, lightest edge first. All as OpenCV computes it,
but that edges of equal weight come in an order of our own.

Nothing before the joining depends on k, and a larger k tolerates all that a smaller one does: up to the first edge that
the smallest k turns down, all scales make the same components. So edges are sorted once, joined once up to there, and
each scale goes on with the edges between what that left: half of all edges, on a graph that the cache holds.
"""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

SIGMA = float(np.float32(0.8))  # of the blur, pixels; OpenCV passes it through a float
MIN_SIZE = 100  # pixels, whatever the image's size
DIGIT_BITS = 11  # of the radix sort: three digits hold a float32 without its sign
Labels = NDArray[np.int32]


def segment(image: NDArray[np.uint8], ks: tuple[int, ...]) -> tuple[Labels, Labels]:
    """The segmentations of an image at scales k, as labels of their common refinement.

    image: (H, W, C); ks ascending.
    Returns fine (H, W), the pieces that no scale divides, and coarse (len(ks), pieces), the segment of each piece at
    each scale. Pieces and segments are numbered from 0 in the order in which a reader of the image meets them.
    """
    height, width, _ = image.shape
    blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), SIGMA).reshape(image.shape)
    weights, edges = _edges(blurred)
    weights, edges = _sorted(weights, edges)
    components, sizes, heaviest, place = _joined_by_all(weights, edges, height, width, np.float32(ks[0]))
    left = _between(weights, edges, place, width, components)
    segments = np.stack([_joined(*left, sizes, heaviest, np.float32(k)) for k in ks])
    pieces, coarse = _refined(segments)
    return pieces[components].reshape(height, width), coarse


@njit(cache=True, nogil=True)
def _edges(blurred):
    """The weight of each edge as the bits of a float32, and the edge: twice its first pixel, plus 1 where it goes right
    instead of down.
    """
    height, width, channels = blurred.shape
    n = (height - 1) * width + height * (width - 1)
    weights, edges = np.empty(n, np.float32), np.empty(n, np.int32)
    at = 0
    for y in range(height):
        for x in range(width):
            pixel = y * width + x
            if y + 1 < height:
                total = np.float32(0)
                for c in range(channels):
                    difference = blurred[y, x, c] - blurred[y + 1, x, c]
                    total += difference * difference
                weights[at], edges[at] = np.sqrt(total), 2 * pixel
                at += 1
            if x + 1 < width:
                total = np.float32(0)
                for c in range(channels):
                    difference = blurred[y, x, c] - blurred[y, x + 1, c]
                    total += difference * difference
                weights[at], edges[at] = np.sqrt(total), 2 * pixel + 1
                at += 1
    return weights, edges


@njit(cache=True, nogil=True)
def _sorted(weights, edges):
    """Weights and edges, lightest first, equal ones in their order: a radix sort of the bits, since weights are >=
    0.
    """
    keys, n = weights.view(np.uint32), len(weights)
    starts = np.zeros((3, 1 << DIGIT_BITS), np.int64)
    mask = np.uint32((1 << DIGIT_BITS) - 1)
    for i in range(n):
        key = keys[i]
        starts[0, key & mask] += 1
        starts[1, (key >> np.uint32(DIGIT_BITS)) & mask] += 1
        starts[2, key >> np.uint32(2 * DIGIT_BITS)] += 1
    for digit in range(3):
        total = 0
        for value in range(1 << DIGIT_BITS):
            count = starts[digit, value]
            starts[digit, value] = total
            total += count
    other_keys, other_edges = np.empty(n, np.uint32), np.empty(n, np.int32)
    for digit in range(3):
        shift = np.uint32(digit * DIGIT_BITS)
        for i in range(n):
            key = keys[i]
            value = (key >> shift) & mask
            at = starts[digit, value]
            starts[digit, value] = at + 1
            other_keys[at], other_edges[at] = key, edges[i]
        keys, other_keys = other_keys, keys
        edges, other_edges = other_edges, edges
    return keys.view(np.float32), edges


@njit(cache=True, nogil=True)
def _root(parent, node):
    above = parent[node]
    while above != node:
        parent[node] = node = parent[above]
        above = parent[node]
    return node


@njit(cache=True, nogil=True)
def _joined_by_all(weights, edges, height, width, k):
    """What is joined before the smallest k turns an edge down: the component of each pixel, numbered as met, its size
    and its heaviest edge, and how many edges that took.
    """
    n = height * width
    parent, size = np.arange(n).astype(np.int32), np.ones(n, np.int32)
    heaviest, tolerated = np.zeros(n, np.float32), np.full(n, k, np.float32)
    place = 0
    for place in range(len(edges) + 1):
        if place == len(edges):
            break
        edge, weight = edges[place], weights[place]
        pixel = edge >> 1
        a, b = _root(parent, pixel), _root(parent, pixel + (1 if edge & 1 else width))
        if a == b:
            continue
        if weight > tolerated[a] or weight > tolerated[b]:
            break
        if size[a] < size[b]:
            a, b = b, a
        parent[b] = a
        size[a] += size[b]
        heaviest[a], tolerated[a] = weight, weight + k / np.float32(size[a])
    component, number = np.empty(n, np.int32), np.full(n, -1, np.int32)
    sizes, heaviest_of = np.empty(n, np.int32), np.empty(n, np.float32)
    found = 0
    for pixel in range(n):
        root = _root(parent, pixel)
        if number[root] < 0:
            number[root], sizes[found], heaviest_of[found] = found, size[root], heaviest[root]
            found += 1
        component[pixel] = number[root]
    return component, sizes[:found], heaviest_of[:found], place


@njit(cache=True, nogil=True)
def _between(weights, edges, place, width, component):
    """The edges from `place` on that lie between two components: their weights and both ends."""
    n = len(edges) - place
    kept, first, second = np.empty(n, np.float32), np.empty(n, np.int32), np.empty(n, np.int32)
    at = 0
    for i in range(place, len(edges)):
        pixel = edges[i] >> 1
        a, b = component[pixel], component[pixel + (1 if edges[i] & 1 else width)]
        if a != b:
            kept[at], first[at], second[at] = weights[i], a, b
            at += 1
    return kept[:at], first[:at], second[:at]


@njit(cache=True, nogil=True)
def _joined(weights, first, second, sizes, heaviest, k):
    """The segment of each component at scale k, numbered as met."""
    n = len(sizes)
    parent, size = np.arange(n).astype(np.int32), sizes.copy()
    tolerated = heaviest + k / sizes.astype(np.float32)
    turned_down = np.empty(len(weights), np.int32)
    n_turned_down = 0
    for i in range(len(weights)):
        a, b = _root(parent, first[i]), _root(parent, second[i])
        if a == b:
            continue
        weight = weights[i]
        if weight <= tolerated[a] and weight <= tolerated[b]:
            if size[a] < size[b]:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
            tolerated[a] = weight + k / np.float32(size[a])
        else:
            turned_down[n_turned_down] = i
            n_turned_down += 1
    for i in turned_down[:n_turned_down]:
        a, b = _root(parent, first[i]), _root(parent, second[i])
        if a != b and (size[a] < MIN_SIZE or size[b] < MIN_SIZE):
            if size[a] < size[b]:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
    segment, number = np.empty(n, np.int32), np.full(n, -1, np.int32)
    found = 0
    for component in range(n):
        root = _root(parent, component)
        if number[root] < 0:
            number[root] = found
            found += 1
        segment[component] = number[root]
    return segment


@njit(cache=True, nogil=True)
def _refined(segments):
    """The piece of each component, numbered as met: components that are together at every scale; and the segments of
    each piece.
    """
    n_scales, n = segments.shape
    pieces = segments[0].copy()
    for scale in range(1, n_scales):
        # A table of what pieces lie in each segment of this scale: chains through `following`, begun at `head`.
        head = np.full(segments[scale].max() + 1, -1, np.int32)
        following, was = np.empty(n, np.int32), np.empty(n, np.int32)
        found = 0
        for component in range(n):
            segment, before = segments[scale, component], pieces[component]
            link = head[segment]
            while link >= 0 and was[link] != before:
                link = following[link]
            if link < 0:
                link, was[found], following[found] = found, before, head[segment]
                head[segment] = found
                found += 1
            pieces[component] = link
    n_pieces = pieces.max() + 1
    coarse = np.empty((n_scales, n_pieces), np.int32)
    for component in range(n):
        for scale in range(n_scales):
            coarse[scale, pieces[component]] = segments[scale, component]
    return pieces, coarse
