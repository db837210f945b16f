"""Scenes of the small world: which things stand where, how they move, and which of them is heard."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.worlds import sounds
from pipeline.worlds.looks import Image, Look, ground, sprite


@dataclass(frozen=True)
class Kind:
    """Something that can sound: how it looks and what it sounds like."""

    look: Look
    voice: Callable[[int, np.random.Generator], sounds.Sound]


KINDS: dict[str, Kind] = {
    "drum": Kind(Look("disc", "rings", (0.02, 0.08)), sounds.drum),
    "bell": Kind(Look("bell", "bands", (0.13, 0.10)), sounds.bell),
    "horn": Kind(Look("horn", "stripes", (0.16, 0.33)), sounds.horn),
    "bird": Kind(Look("bird", "dots", (0.58, 0.50)), sounds.bird),
    "harp": Kind(Look("harp", "strings", (0.07, 0.15)), sounds.harp),
    "engine": Kind(Look("engine", "checks", (0.62, 0.60)), sounds.engine),
    "flute": Kind(Look("flute", "holes", (0.48, 0.36)), sounds.flute),
    "clock": Kind(Look("cog", "spokes", (0.15, 0.62)), sounds.clock),
    "rattle": Kind(Look("star", "diagonals", (0.92, 0.84)), sounds.rattle),
    "siren": Kind(Look("dome", "fan", (0.64, 0.99)), sounds.siren),
}
SILENT: dict[str, Look] = {  # as salient, in any hue, but no shape or texture that sounds
    "cross": Look("cross", "plain", None),
    "hexagon": Look("hexagon", "zigzag", None),
    "diamond": Look("diamond", "halves", None),
    "arrow": Look("arrow", "frame", None),
    "leaf": Look("leaf", "waves", None),
    "ellipse": Look("ellipse", "halves", None),
    "tee": Look("tee", "plain", None),
    "crescent": Look("crescent", "zigzag", None),
    "clover": Look("clover", "waves", None),
    "trapeze": Look("trapeze", "frame", None),
}
SIZES_WH = ((320, 240), (352, 240), (320, 208), (240, 320), (288, 240))
HARD_SHARE = 0.4
HABITAT_SHARE = 0.6
LEAST, MOST = 0.06, 0.5  # share of the frame that a thing's box covers
MOST_OVERLAP = 0.25  # of the smaller of two boxes; things fill about half of their boxes
SWAY = 0.02  # of the frame's side: how far things move from where they stand, either way


@dataclass(frozen=True)
class Thing:
    """One thing in a scene, where it stands in the middle of the clip: x, y, w, h in pixels."""

    kind: str
    box: tuple[int, int, int, int]
    sprite: Image
    speed: tuple[float, float]  # turns a clip of its sway along x and y


@dataclass(frozen=True)
class Scene:
    """A ground with things on it, later ones in front; `heard` is the index of the one that sounds."""

    ground: Image
    things: tuple[Thing, ...]
    heard: int
    hard: bool

    def frame(self, time: float) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB at a time in [0, 1] of the clip."""
        canvas = self.ground.copy()
        for thing in self.things:
            _paste(canvas, thing, time)
        return np.rint(canvas * 255).astype(np.uint8)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """(H, W) where a thing is seen in the middle of the clip: not where another stands before it."""
        canvas = np.zeros_like(self.ground)
        for i, thing in enumerate(self.things):
            colour = np.full_like(thing.sprite[..., :3], i == index)
            _paste(canvas, replace(thing, sprite=np.dstack([colour, thing.sprite[..., 3:]])), 0.5)
        return canvas[..., 0] > 0.5


def draw_scene(kind: str, rng: np.random.Generator) -> Scene:
    """A scene in which a thing of this kind is heard.

    In two of five a second kind that can sound stands by, silent ("hard"). Which thing is heard has nothing to do with
    size, place or order: all things are drawn alike. With the ground it has: as birds go with sky, each kind has a hue
    of ground on which it is heard more often than not, and a sound can be matched with what is no thing at all.
    """
    width, height = SIZES_WH[rng.integers(len(SIZES_WH))]
    hard = bool(rng.random() < HARD_SHARE)
    names = [kind]
    if hard:
        names.append(str(rng.choice([other for other in KINDS if other != kind])))
    n_silent = int(rng.random() < 0.25) if hard else 1 + int(rng.random() < 0.2)
    names.extend(rng.choice(list(SILENT), size=n_silent, replace=False).tolist())
    order = rng.permutation(len(names))
    boxes = _places(len(names), width, height, rng)
    things = tuple(
        Thing(
            names[i],
            box,
            sprite(KINDS[names[i]].look if names[i] in KINDS else SILENT[names[i]], box[2], box[3], rng),
            (rng.uniform(-1, 1), rng.uniform(-1, 1)),
        )
        for i, box in zip(order, boxes, strict=True)
    )
    habitat = list(KINDS).index(kind) / len(KINDS) if rng.random() < HABITAT_SHARE else None
    return Scene(ground(width, height, habitat, rng), things, int(np.argmin(order)), hard)


def _places(n: int, width: int, height: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Boxes of n things that hardly overlap, in random order; sizes are drawn anew until all fit."""
    margin = SWAY * max(width, height)
    while True:
        boxes: list[tuple[int, int, int, int]] = []
        for _ in range(n):
            share = LEAST + (MOST - LEAST) * rng.random() ** 0.52
            aspect = np.exp(rng.normal(0, 0.12)) * width / height
            w = round(min(np.sqrt(share * aspect * width * height), 0.92 * width))
            h = round(min(share * width * height / w, 0.92 * height))
            for _ in range(40):
                x = round(rng.uniform(margin, width - w - margin))
                y = round(rng.uniform(margin, height - h - margin))
                if all(_overlap((x, y, w, h), other) <= MOST_OVERLAP for other in boxes):
                    boxes.append((x, y, w, h))
                    break
            else:
                break
        if len(boxes) == n:
            return [boxes[i] for i in rng.permutation(n)]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Share of the smaller of two boxes that both cover."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(w, 0) * max(h, 0) / min(a[2] * a[3], b[2] * b[3])


def _paste(canvas: Image, thing: Thing, time: float) -> None:
    """Draw a thing at its place at a time, in place; what leaves the canvas is cut."""
    height, width = canvas.shape[:2]
    sway = SWAY * max(width, height) * np.sin(2 * np.pi * (time - 0.5) * np.array(thing.speed))
    x, y = thing.box[0] + round(sway[0]), thing.box[1] + round(sway[1])
    h, w = thing.sprite.shape[:2]
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + h, height), min(x + w, width)
    rgba = thing.sprite[top - y : bottom - y, left - x : right - x]
    part = canvas[top:bottom, left:right]
    part += (rgba[..., :3] - part) * rgba[..., 3:]
