"""A raw heat map enlarged to the size at which it is scored; each protocol says by which rule.

Conventions: (B, h, w) in, (B, size, size) float32 out. Each rule is separable: a matrix of weights for the rows and one
for the columns, both in float64, so that a map is enlarged alone as it is in company. A map that has the size already
is left as it is.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SIZE = 224
Maps = NDArray[np.float32]
Upsampling = Callable[[NDArray[np.floating]], Maps]
CUBIC = -0.75  # the parameter of Keys' kernel that torch takes


def linear(maps: NDArray[np.floating], size: int = SIZE) -> Maps:
    """Bilinear with half-pixel centres: `cv2.INTER_LINEAR` where it enlarges, torch's `align_corners=False`."""
    return _enlarged(maps, size, lambda n: _linear_weights(_half_pixel(n, size), n))


def linear_corners(maps: NDArray[np.floating], size: int = SIZE) -> Maps:
    """Bilinear with the corner values in the corner pixels: torch's `align_corners=True`."""
    return _enlarged(maps, size, lambda n: _linear_weights(_corners(n, size), n))


def cubic_corners(maps: NDArray[np.floating], size: int = SIZE) -> Maps:
    """Bicubic with the corner values in the corner pixels, edges repeated: torch's `align_corners=True`."""
    return _enlarged(maps, size, lambda n: _cubic_weights(_corners(n, size), n))


def _enlarged(maps: NDArray[np.floating], size: int, weights: Callable[[int], NDArray[np.float64]]) -> Maps:
    if maps.shape[1:] == (size, size):
        return maps.astype(np.float32, copy=False)
    rows, columns = (weights(n) for n in maps.shape[1:])
    return (rows @ maps.astype(np.float64) @ columns.T).astype(np.float32)


def _half_pixel(n: int, size: int) -> NDArray[np.float64]:
    """(size,) where each new value lies among n old ones."""
    return np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)


def _corners(n: int, size: int) -> NDArray[np.float64]:
    return np.linspace(0, n - 1, size)


def _linear_weights(position: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """(size, n) the weights of n values in each new one."""
    left = np.minimum(position.astype(int), max(n - 2, 0))
    matrix = np.zeros((len(position), n))
    new = np.arange(len(position))
    matrix[new, left] = 1 - (position - left)
    matrix[new, np.minimum(left + 1, n - 1)] += position - left
    return matrix


def _cubic_weights(position: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    left = np.floor(position).astype(int)
    matrix = np.zeros((len(position), n))
    new = np.arange(len(position))
    for neighbour in range(-1, 3):
        place = left + neighbour
        np.add.at(matrix, (new, np.clip(place, 0, n - 1)), _keys(np.abs(position - place)))
    return matrix


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel (1981) at distances of 0 to 2."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return np.asarray(np.where(distance <= 1, near, far), np.float64)
