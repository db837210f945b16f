"""The sort of the C++ library that OpenCV is built with (libstdc++'s std::sort), to the swap.

It is not stable: where likenesses are equal, what it makes of their order decides which regions are joined. Size alone
and fill alone, two likenesses of the `quality` mode, are equal in nearly every image.
"""

from numba import njit

SMALL = 16  # so many are left to the insertion sort at the end
STACK = 128  # parts that can wait at a time: one for each of at most 2 log2 n splits


@njit(cache=True, nogil=True)
def sort_pairs(keys, pairs, n, stack):
    """Sort keys[:n] ascending in place, and pairs[:n], (n, 2), with them; stack: (STACK, 3) integers to work in."""
    depth = 0
    while n >> (depth + 1):
        depth += 1
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, n, 2 * depth
    waiting = 1
    while waiting:
        waiting -= 1
        start, end, left = stack[waiting, 0], stack[waiting, 1], stack[waiting, 2]
        while end - start > SMALL:
            if left == 0:  # split too unevenly too often
                _heap_sort(keys[start:end], pairs[start:end])
                break
            left -= 1
            cut = _partition(keys, pairs, start, end)
            stack[waiting, 0], stack[waiting, 1], stack[waiting, 2] = cut, end, left
            waiting += 1
            end = cut
    for i in range(1, n):
        key, a, b = keys[i], pairs[i, 0], pairs[i, 1]
        at = i
        # The first SMALL look whether they come before all others, and later ones need not: the result is the same.
        while at > 0 and key < keys[at - 1]:
            _move(keys, pairs, at, at - 1)
            at -= 1
        keys[at], pairs[at, 0], pairs[at, 1] = key, a, b


@njit(cache=True, nogil=True)
def _partition(keys, pairs, start, end):
    """Split about the median of the second, the middle and the last, put first; returns where the upper part begins."""
    a, b, c = start + 1, start + (end - start) // 2, end - 1
    if keys[a] < keys[b]:
        median = b if keys[b] < keys[c] else (c if keys[a] < keys[c] else a)
    else:
        median = a if keys[a] < keys[c] else (c if keys[b] < keys[c] else b)
    _swap(keys, pairs, start, median)
    pivot, low, high = keys[start], start + 1, end
    while True:
        while keys[low] < pivot:
            low += 1
        high -= 1
        while pivot < keys[high]:
            high -= 1
        if low >= high:
            return low
        _swap(keys, pairs, low, high)
        low += 1


@njit(cache=True, nogil=True)
def _heap_sort(keys, pairs):
    n = len(keys)
    for parent in range((n - 2) // 2, -1, -1):
        _sink(keys, pairs, parent, n, keys[parent], pairs[parent, 0], pairs[parent, 1])
    for last in range(n - 1, 0, -1):
        key, a, b = keys[last], pairs[last, 0], pairs[last, 1]
        _move(keys, pairs, last, 0)
        _sink(keys, pairs, 0, last, key, a, b)


@njit(cache=True, nogil=True)
def _sink(keys, pairs, hole, n, key, a, b):
    """Put (key, a, b) into a heap of n with a hole: the hole goes down to a leaf first, and up from there."""
    top = hole
    while 2 * hole + 2 < n:
        child = 2 * hole + 2
        if keys[child] < keys[child - 1]:
            child -= 1
        _move(keys, pairs, hole, child)
        hole = child
    if 2 * hole + 2 == n:
        _move(keys, pairs, hole, n - 1)
        hole = n - 1
    while hole > top and keys[(hole - 1) // 2] < key:
        _move(keys, pairs, hole, (hole - 1) // 2)
        hole = (hole - 1) // 2
    keys[hole], pairs[hole, 0], pairs[hole, 1] = key, a, b


@njit(cache=True, nogil=True)
def _move(keys, pairs, to, of):
    keys[to], pairs[to, 0], pairs[to, 1] = keys[of], pairs[of, 0], pairs[of, 1]


@njit(cache=True, nogil=True)
def _swap(keys, pairs, i, j):
    keys[i], keys[j] = keys[j], keys[i]
    pairs[i, 0], pairs[j, 0] = pairs[j, 0], pairs[i, 0]
    pairs[i, 1], pairs[j, 1] = pairs[j, 1], pairs[i, 1]
