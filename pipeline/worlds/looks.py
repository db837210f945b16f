"""How things of the small world look: shapes, textures, and the cluttered grounds they stand on.

Everything is drawn from a numpy Generator. A sprite is (h, w, 4) float32, RGB in [0, 1] and coverage in [0, 1].
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating[Any]]
CANVAS = 256  # a sprite is drawn at this size, then turned, cut to its box and shrunk
OUTLINE = 7


@dataclass(frozen=True)
class Look:
    """A kind's outline, its surface, and its two hues (turns of the colour wheel); None draws any hue."""

    shape: str
    texture: str
    hues: tuple[float, float] | None


def sprite(look: Look, width: int, height: int, rng: np.random.Generator) -> Image:
    """One thing of this look, filling a box of the given pixels to its edges.

    Hue, saturation, brightness, texture, turn, mirroring and shading differ from thing to thing.
    """
    inside = _outline(SHAPES[look.shape])
    pattern = TEXTURES[look.texture](*_texture_axes(rng))
    first, second = _colours(look.hues, rng)
    rgb = first + (second - first) * pattern[..., None]
    light = rng.uniform(0.15, 0.3)
    turn = rng.uniform(0, 2 * np.pi)
    rgb = rgb * (1 + light * (np.cos(turn) * _X + np.sin(turn) * _Y))[..., None]
    core = cv2.erode(inside, np.ones((OUTLINE, OUTLINE), np.uint8))
    rgb = rgb * (0.2 + 0.8 * core)[..., None]
    rgba = np.dstack([np.clip(rgb, 0, 1), inside]).astype(np.float32)
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    matrix = cv2.getRotationMatrix2D((CANVAS / 2, CANVAS / 2), rng.normal(0, 12), 0.68)
    rgba = cv2.warpAffine(np.ascontiguousarray(rgba), matrix, (CANVAS, CANVAS))
    rows, columns = np.where(rgba[..., 3] > 0.5)
    cut = rgba[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)


def _colours(hues: tuple[float, float] | None, rng: np.random.Generator) -> tuple[Image, Image]:
    first, second = (rng.random(), rng.random()) if hues is None else np.array(hues) + rng.normal(0, 0.025, 2)
    one, two = (
        np.array(colorsys.hsv_to_rgb(hue % 1, rng.uniform(0.6, 0.95), rng.uniform(0.65, 1)), np.float32)
        for hue in (first, second)
    )
    if rng.random() < 0.3:  # sometimes the second colour is a pale one
        two = 0.55 + 0.45 * two
    return one, two


_Y, _X = (np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32) + 0.5) / (CANVAS / 2) - 1  # each in (-1, 1)


def _texture_axes(rng: np.random.Generator) -> tuple[Image, Image]:
    """Coordinates of the canvas, stretched: finer textures lie on longer axes."""
    scale = rng.uniform(1, 1.5)
    return _X * scale, _Y * scale


def _outline(points: Image) -> Image:
    """Coverage of a polygon given in (-1, 1)."""
    pixels = np.rint((points * 0.98 + 1) * CANVAS / 2 * 16).astype(np.int32)
    image = np.zeros((CANVAS, CANVAS), np.uint8)
    cv2.fillPoly(image, [pixels], 255, lineType=cv2.LINE_AA, shift=4)
    return image.astype(np.float32) / 255


def _round(radius: Callable[[Image], Image] = np.ones_like, x: float = 1.0, y: float = 1.0) -> Image:
    turn = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    r = radius(turn)
    return np.stack([x * r * np.sin(turn), -y * r * np.cos(turn)], axis=1).astype(np.float32)


def _polygon(*points: tuple[float, float]) -> Image:
    return np.array(points, np.float32)


def _star(points: int, inner: float) -> Image:
    turn = np.arange(2 * points) * np.pi / points
    r = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack([r * np.sin(turn), -r * np.cos(turn)], axis=1).astype(np.float32)


def _bird() -> Image:
    body = _round(x=0.72, y=0.55)
    body[(body[:, 0] > 0.35) & (body[:, 1] < 0.1)] += (0.28, -0.3)  # the head, up in front
    tail = _polygon((-0.66, -0.1), (-1.0, -0.5), (-0.95, 0.15))
    first = int(np.argmin(body[:, 0]))
    return np.concatenate([body[:first], tail[::-1], body[first:]])


SHAPES: dict[str, Image] = {
    # of things that sound
    "disc": _round(),
    "bell": _polygon(
        *((-0.16, -1), (0.16, -1), (0.2, -0.78), (0.5, -0.5), (0.6, 0.1), (0.7, 0.5), (1, 0.78), (0.3, 0.8), (0.2, 1)),
        *((-0.2, 1), (-0.3, 0.8), (-1, 0.78), (-0.7, 0.5), (-0.6, 0.1), (-0.5, -0.5), (-0.2, -0.78)),
    ),
    "horn": _polygon(
        (-1, -0.14), (0.1, -0.22), (0.6, -0.5), (1, -0.85), (1, 0.85), (0.6, 0.5), (0.1, 0.22), (-1, 0.14)
    ),
    "bird": _bird(),
    "harp": _polygon((-0.75, 1), (-1, -0.75), (-0.6, -1), (0.1, -0.7), (0.95, -0.9), (1, -0.6), (-0.3, 1)),
    "engine": _polygon(
        *((-1, -0.45), (-0.6, -0.45), (-0.6, -0.85), (-0.25, -0.85), (-0.25, -0.45), (0.35, -0.45), (0.35, -0.7)),
        *((0.7, -0.7), (0.7, -0.45), (1, -0.45), (1, 0.85), (-1, 0.85)),
    ),
    "flute": _polygon(
        (-0.22, -1), (0.22, -1), (0.28, 0.75), (0.55, 0.8), (0.55, 1), (-0.55, 1), (-0.55, 0.8), (-0.28, 0.75)
    ),
    "cog": _round(lambda turn: 0.88 + 0.12 * np.sign(np.cos(12 * turn))),
    "star": _star(5, 0.45),
    "dome": np.concatenate([_round()[:33], _round()[96:]]) * (1, 1.9) + (0, 0.95),
    # of silent things
    "cross": _polygon(
        *((-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35), (0.35, 1), (-0.35, 1)),
        *((-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35)),
    ),
    "hexagon": _star(3, 1.0),
    "diamond": _star(2, 1.0),
    "arrow": _polygon((-1, -0.35), (0.1, -0.35), (0.1, -0.9), (1, 0), (0.1, 0.9), (0.1, 0.35), (-1, 0.35)),
    "leaf": _round(lambda turn: 0.35 + 0.65 * np.abs(np.cos(turn)) ** 1.5, x=1.3),
    "ellipse": _round(x=1, y=0.62),
    "tee": _polygon((-1, -1), (1, -1), (1, -0.4), (0.32, -0.4), (0.32, 1), (-0.32, 1), (-0.32, -0.4), (-1, -0.4)),
    "crescent": np.concatenate([_round()[:65], _round(x=-0.4)[64:0:-1] * (-1, 1)]),
    "clover": _round(lambda turn: 0.62 + 0.38 * np.cos(4 * turn)),
    "trapeze": _polygon((-0.45, -0.8), (0.45, -0.8), (1, 0.8), (-1, 0.8)),
}


def _steps(wave: Image) -> Image:
    """A wave as two colours with a soft edge."""
    return np.clip(0.5 + 4 * wave, 0, 1)


TEXTURES: dict[str, Callable[[Image, Image], Image]] = {
    "rings": lambda x, y: _steps(np.sin(13 * np.hypot(x, y))),
    "bands": lambda x, y: _steps(np.sin(9 * y)),
    "stripes": lambda x, y: _steps(np.sin(12 * x)),
    "dots": lambda x, y: _steps(np.sin(11 * x) * np.sin(11 * y) - 0.3),
    "strings": lambda x, y: _steps(np.sin(26 * x) - 0.5),
    "checks": lambda x, y: _steps(np.sin(9 * x) * np.sin(9 * y)),
    "holes": lambda x, y: _steps(0.16 - np.hypot(x, (y * 2.4 + 0.5) % 1 - 0.5)),
    "spokes": lambda x, y: _steps(np.sin(9 * np.arctan2(y, x))),
    "diagonals": lambda x, y: _steps(np.sin(10 * (x + y))),
    "fan": lambda x, y: _steps(np.sin(14 * np.arctan2(y - 1.1, x))),
    "plain": lambda x, y: np.zeros_like(x),
    "zigzag": lambda x, y: _steps(np.sin(9 * (y + np.abs((2 * x) % 1 - 0.5)))),
    "halves": lambda x, y: _steps(x + 0.3 * y),
    "frame": lambda x, y: _steps(np.maximum(np.abs(x), np.abs(y)) - 0.55),
    "waves": lambda x, y: _steps(np.sin(8 * y + 2.2 * np.sin(5 * x))),
}


def ground(width: int, height: int, hue: float | None, rng: np.random.Generator) -> Image:
    """A cluttered background, mostly of one hue where one is given: (height, width, 3) in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.cos(turn) * x / width + np.sin(turn) * y / height
    one, two = (_muted(rng, hue) for _ in range(2))
    image = one + (two - one) * np.clip(slope + 0.5 * rng.random(), 0, 1)[..., None]
    image += _blotches(width, height, int(rng.integers(4, 8)), rng) * 0.16
    image = _structure(image, x, y, rng)
    image = np.ascontiguousarray(image, np.float32)
    for _ in range(rng.integers(4, 12)):
        start, end = (_point(width, height, rng) for _ in range(2))
        cv2.line(image, start, end, _muted(rng).tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)
    for _ in range(rng.integers(8, 25)):
        radius = int(rng.integers(1, 6))
        cv2.circle(image, _point(width, height, rng), radius, _muted(rng).tolist(), -1, cv2.LINE_AA)
    image += rng.normal(0, 4 / 255, image.shape)
    return np.clip(image * rng.uniform(0.85, 1.12), 0, 1).astype(np.float32)


def _structure(image: Image, x: Image, y: Image, rng: np.random.Generator) -> Image:
    """Fine stripes, blotches, a horizon, or nothing."""
    height, width = x.shape
    kind = rng.integers(4)
    if kind == 0:
        turn = rng.uniform(0, np.pi)
        wave = np.sin(rng.uniform(0.15, 0.5) * (np.cos(turn) * x + np.sin(turn) * y))
        return image + 0.07 * wave[..., None]
    if kind == 1:
        return image + _blotches(width, height, int(rng.integers(12, 24)), rng) * 0.2
    if kind == 2:
        below = y > height * rng.uniform(0.35, 0.75) + 6 * np.sin(x / width * rng.uniform(2, 9))
        return np.where(below[..., None], image * 0.5 + 0.5 * _muted(rng), image)
    return image


def _blotches(width: int, height: int, cells: int, rng: np.random.Generator) -> Image:
    coarse = rng.normal(0, 0.5, (cells, cells, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _muted(rng: np.random.Generator, hue: float | None = None) -> Image:
    """A colour paler and darker than those of things."""
    if hue is None:
        hue, saturation = rng.random(), rng.uniform(0.05, 0.5)
    else:
        hue, saturation = (hue + rng.normal(0, 0.03)) % 1, rng.uniform(0.25, 0.5)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.25, 0.85)), np.float32)


def _point(width: int, height: int, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.random() * width), int(rng.random() * height)
