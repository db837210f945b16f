"""Graph segmentation (Felzenszwalb & Huttenlocher, IJCV 2004) of one image at several scales k at once.

Pixels are joined along edges in the order of their weights, the colour distance of 4-neighbours in a blurred image. Two
components join where the edge between them weighs no more than either tolerates: the heaviest edge inside it plus k /
size. What stays below MIN_SIZE pixels is then joined to a neighbour, lightest edge first. All as OpenCV computes it,
but that edges of equal weight come in an order of our own.

Nothing before the joining depends on k, and a larger k tolerates all that a smaller one does: until the smallest k
turns down an edge of a component, that component is the same at all scales. So edges are sorted once, and joined once
as long as both components are the same at all scales; each scale then goes on with the edges that are left, on a graph
that is smaller by far.
"""

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

SIGMA = float(np.float32(0.8))  # of the blur, pixels; OpenCV passes it through a float
MIN_SIZE = 100  # pixels, whatever the image's size
DIGIT_BITS = 11  # of the radix sort
LEAST = np.float32(2**-20).view(np.uint32)  # below what neighbours of 8 bits differ by once blurred; the most is 2^9
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
    components, *left = _joined_by_all(weights, edges, height, width, np.float32(ks[0]))
    segments = _joined(*left, np.array(ks, np.float32))
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
    """Weights and edges, lightest first, equal ones in their order.

    The bits of a float that is not negative are in its own order. Their upper 22, counted from LEAST, are sorted by
    radix, 11 at a time; what the lower ones say is then a matter of a few neighbours each.
    """
    bits, n = weights.view(np.uint32), len(weights)
    starts = np.zeros((2, 1 << DIGIT_BITS), np.int32)
    for i in range(n):
        low, high = _digits(bits[i])
        starts[0, low] += 1
        starts[1, high] += 1
    for digit in range(2):
        total = 0
        for value in range(1 << DIGIT_BITS):
            count = starts[digit, value]
            starts[digit, value] = total
            total += count
    half_bits, half_edges = np.empty(n, np.uint32), np.empty(n, np.int32)
    for i in range(n):
        low, _ = _digits(bits[i])
        at = starts[0, low]
        starts[0, low] = at + 1
        half_bits[at], half_edges[at] = bits[i], edges[i]
    in_order, edges_in_order = np.empty(n, np.uint32), np.empty(n, np.int32)
    for i in range(n):
        _, high = _digits(half_bits[i])
        at = starts[1, high]
        starts[1, high] = at + 1
        in_order[at], edges_in_order[at] = half_bits[i], half_edges[i]
    for i in range(1, n):
        key, edge, at = in_order[i], edges_in_order[i], i
        while at > 0 and key < in_order[at - 1]:
            in_order[at], edges_in_order[at] = in_order[at - 1], edges_in_order[at - 1]
            at -= 1
        in_order[at], edges_in_order[at] = key, edge
    return in_order.view(np.float32), edges_in_order


@njit(cache=True, nogil=True)
def _digits(bits):
    """Both digits of a weight's key: 29 powers of two from LEAST on, and 17 bits of each; 0 for all that is less."""
    key = (bits - LEAST) >> np.uint32(6) if bits > LEAST else np.uint32(0)
    return key & np.uint32((1 << DIGIT_BITS) - 1), key >> np.uint32(DIGIT_BITS)


@njit(cache=True, nogil=True)
def _root(parent, node):
    above = parent[node]
    while above != node:
        parent[node] = node = parent[above]
        above = parent[node]
    return node


@njit(cache=True, nogil=True)
def _joined_by_all(weights, edges, height, width, k):
    """What every scale joins; k is the smallest.

    Returns the component of each pixel, numbered as met; its size and its heaviest edge; and the edges on which scales
    may differ, in their order: weights and both components.
    """
    n = height * width
    parent, size = np.arange(n).astype(np.int32), np.ones(n, np.int32)
    heaviest, tolerated = np.zeros(n, np.float32), np.full(n, k, np.float32)
    left, n_left = np.empty(len(edges), np.int32), 0
    for i in range(len(edges)):
        edge, weight = edges[i], weights[i]
        pixel = edge >> 1
        a, b = _root(parent, pixel), _root(parent, pixel + (1 if edge & 1 else width))
        if a == b:
            continue
        if weight > tolerated[a] or weight > tolerated[b]:
            tolerated[a] = tolerated[b] = -1  # nothing any more: all further edges of theirs are left to the scales
            left[n_left] = i
            n_left += 1
        else:
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
    first, second, weighing = np.empty(n_left, np.int32), np.empty(n_left, np.int32), np.empty(n_left, np.float32)
    for at in range(n_left):
        edge, weighing[at] = edges[left[at]], weights[left[at]]
        first[at], second[at] = component[edge >> 1], component[(edge >> 1) + (1 if edge & 1 else width)]
    return component, sizes[:found], heaviest_of[:found], weighing, first, second


@njit(cache=True, nogil=True)
def _joined(sizes, heaviest, weights, first, second, ks):
    """(len(ks), components) the segment of each component at each scale, numbered as met.

    All scales go through the edges together, and what they know of a component lies together in memory.
    """
    n, n_scales = len(sizes), len(ks)
    parent, size = np.empty((n, n_scales), np.int32), np.empty((n, n_scales), np.int32)
    tolerated = np.empty((n, n_scales), np.float32)
    for component in range(n):
        for scale in range(n_scales):
            parent[component, scale], size[component, scale] = component, sizes[component]
            tolerated[component, scale] = heaviest[component] + ks[scale] / np.float32(sizes[component])
    turned_down, n_turned_down = np.empty((n_scales, len(weights)), np.int32), np.zeros(n_scales, np.int64)
    for i in range(len(weights)):
        weight, one, other = weights[i], first[i], second[i]
        for scale in range(n_scales):
            if parent[one, scale] == parent[other, scale]:
                continue
            a, b = _root_at(parent, one, scale), _root_at(parent, other, scale)
            if a == b:
                continue
            if weight <= tolerated[a, scale] and weight <= tolerated[b, scale]:
                a = _united(parent, size, a, b, scale)
                tolerated[a, scale] = weight + ks[scale] / np.float32(size[a, scale])
            else:
                turned_down[scale, n_turned_down[scale]] = i
                n_turned_down[scale] += 1
    segments, number = np.empty((n_scales, n), np.int32), np.empty(n, np.int32)
    for scale in range(n_scales):
        for i in turned_down[scale, : n_turned_down[scale]]:
            a, b = _root_at(parent, first[i], scale), _root_at(parent, second[i], scale)
            if a != b and (size[a, scale] < MIN_SIZE or size[b, scale] < MIN_SIZE):
                _united(parent, size, a, b, scale)
        number[:] = -1
        found = 0
        for component in range(n):
            root = _root_at(parent, component, scale)
            if number[root] < 0:
                number[root] = found
                found += 1
            segments[scale, component] = number[root]
    return segments


@njit(cache=True, nogil=True)
def _root_at(parent, node, scale):
    above = parent[node, scale]
    while above != node:
        further = parent[above, scale]
        parent[node, scale] = further
        node, above = further, parent[further, scale]
    return node


@njit(cache=True, nogil=True)
def _united(parent, size, a, b, scale):
    """Join two roots, the smaller below the larger; returns that."""
    if size[a, scale] < size[b, scale]:
        a, b = b, a
    parent[b, scale] = a
    size[a, scale] += size[b, scale]
    return a


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
