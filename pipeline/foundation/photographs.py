"""Boxed photographs as a detector sees them: S x S frames and boxes in their pixels, augmented.

Augmentation (`detectors.NAME.augment`) treats a frame and its boxes as one. `flips`: left-right, brightness, contrast
and colour. `strong`: also nearer, farther and moved, by a map of each axis of its own, and every other one with its
hues turned: a kind that is told by its colour keeps it often enough, and one that has any colour is seen in all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.foundation.randomness import fraction, generator
from pipeline.foundation.shards import Shard

PHOTOGRAPHS, BOXES = "photographs.h5", "boxes.h5"  # the files of one piece
HUE_SHARE = 0.5  # of the photographs whose hues are turned
JITTER = 0.25  # of brightness, contrast and each colour, either way
ZOOM, STRETCH = 1.7, 1.25  # most that a frame comes nearer or goes farther; of one axis against the other
LEAST_SEEN, LEAST_SIDE = 0.3, 2.0  # share of a box that must stay in the frame; its sides in pixels
MOST_KEPT = 1 << 30  # bytes of frames in memory
Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Truth:
    """What is boxed: box (n, 4) float32 x0, y0, x1, y1 in pixels, label (n,) int64, 1 to C, difficult (n,) bool."""

    box: NDArray[np.float32]
    label: NDArray[np.int64]
    difficult: NDArray[np.bool_]

    def where(self, kept: NDArray[np.bool_], box: NDArray[np.float32]) -> "Truth":
        """Some of its boxes, at other places."""
        return Truth(box[kept], self.label[kept], self.difficult[kept])


class Photographs:
    """The photographs of some finished pieces, read one at a time; what was read is kept up to a GB of frames."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._frames = [Shard(folder / PHOTOGRAPHS) for folder in folders]
        self._boxes = [Shard(folder / BOXES) for folder in folders]
        self._of = {name: i for i, shard in enumerate(self._frames) for name in shard.clip_ids}
        self._kept: dict[str, tuple[Frame, Truth]] = {}

    @property
    def names(self) -> list[str]:
        """All photographs, in the order of their list."""
        return list(self._of)

    @property
    def checksums(self) -> list[str]:
        """A hash of what each piece holds."""
        return [shard.checksum for shard in self._frames + self._boxes]

    def read(self, name: str) -> tuple[Frame, Truth]:
        """The (S, S, 3) frame of a photograph and what is boxed in it."""
        if name in self._kept:
            return self._kept[name]
        i = self._of[name]
        frame: Frame = self._frames[i].read(name, "frame")
        corners, label, difficult = (self._boxes[i].read(name, key) for key in ("corners", "label", "difficult"))
        box = (corners.reshape(-1, 4) * frame.shape[0]).astype(np.float32)
        read = frame, Truth(box, label.astype(np.int64), difficult.astype(bool))
        if (len(self._kept) + 1) * frame.nbytes <= MOST_KEPT:
            self._kept[name] = read
        return read

    def shuffled(self, size: int, seed: int, epoch: int) -> Iterator[list[str]]:
        """All photographs in batches, in an order that follows from the seed and the epoch."""
        order = sorted(self.names, key=lambda name: fraction(seed, "photographs", epoch, name))
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def in_turn(self, size: int) -> Iterator[list[str]]:
        """All photographs in batches, in their order."""
        names = self.names
        for start in range(0, len(names), size):
            yield names[start : start + size]


@dataclass(frozen=True)
class Augmentation:
    """What is done to a photograph in an epoch; follows from the seed, the epoch and the photograph's name."""

    kind: Literal["none", "flips", "strong"]
    seed: int
    epoch: int

    def __call__(self, name: str, frame: Frame, truth: Truth) -> tuple[Frame, Truth, NDArray[np.float32]]:
        """The frame and its boxes as augmented, and (3, 2) a factor and an addend for each colour."""
        colour = np.tile(np.array([1, 0], np.float32), (3, 1))
        if self.kind == "none":
            return frame, truth, colour
        rng = generator(self.seed, "augment photograph", self.epoch, name)
        if rng.random() < 0.5:
            frame, truth = mirrored(frame, truth)
        if self.kind == "strong":
            zoom, stretch = ZOOM ** rng.uniform(-1, 1), STRETCH ** rng.uniform(-0.5, 0.5)
            frame, truth = zoomed(frame, truth, (zoom * stretch, zoom / stretch), rng.random(2))
            if rng.random() < HUE_SHARE:
                frame = hues_turned(frame, rng.random())
        brightness, contrast = rng.uniform(1 - JITTER, 1 + JITTER, 2)
        colour[:, 0] = brightness * contrast * rng.uniform(1 - JITTER, 1 + JITTER, 3)
        colour[:, 1] = brightness * (1 - contrast) * np.mean(cv2.mean(frame)[:3]) / 255
        return frame, truth, colour


def mirrored(frame: Frame, truth: Truth) -> tuple[Frame, Truth]:
    """Left and right exchanged."""
    x0, y0, x1, y1 = truth.box.T
    side = np.float32(frame.shape[1])
    box = np.stack([side - x1, y0, side - x0, y1], axis=1)
    return np.ascontiguousarray(frame[:, ::-1]), truth.where(np.ones(len(box), bool), box)


def zoomed(
    frame: Frame, truth: Truth, scale_xy: tuple[float, float], place: NDArray[np.float64]
) -> tuple[Frame, Truth]:
    """The frame larger or smaller along each axis, moved within what that leaves; beyond its edges, its mean colour.

    place: (2,) in [0, 1], from one end of the leeway to the other. Boxes are cut at the edges; those of which too
    little stays are left out.
    """
    side = frame.shape[0]
    scale = np.asarray(scale_xy, np.float64)
    start = place * (side - side / scale)  # of what is seen, in pixels of the frame as it was
    shift = -scale * start
    # A pixel's centre lies half a pixel from its edge.
    matrix = np.array([[scale[0], 0, shift[0] + (scale[0] - 1) / 2], [0, scale[1], shift[1] + (scale[1] - 1) / 2]])
    seen = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=cv2.mean(frame))
    moved = truth.box * np.tile(scale, 2) + np.tile(shift, 2)
    cut = np.clip(moved, 0, side)
    sides = cut[:, 2:] - cut[:, :2]
    whole = (moved[:, 2:] - moved[:, :2]).prod(axis=1)
    kept = (sides.prod(axis=1) >= LEAST_SEEN * whole) & (sides >= LEAST_SIDE).all(axis=1)
    return seen, truth.where(kept, cut.astype(np.float32))


def hues_turned(frame: Frame, turn: float) -> Frame:
    """Every hue moved by the same share of the circle, in [0, 1)."""
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(256 * turn)  # 255 is followed by 0, as a circle wants
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def frames_on(
    device: torch.device, frames: Sequence[Frame], colours: Sequence[NDArray[np.float32]] | None = None
) -> Tensor:
    """(B, 3, S, S) float in [0, 1] of some frames, each colour times its factor plus its addend."""
    seen = torch.from_numpy(np.stack(frames)).to(device).permute(0, 3, 1, 2).float() / 255
    if colours is None:
        return seen
    factor, addend = torch.from_numpy(np.stack(colours)).to(device)[..., None, None].unbind(2)
    return (seen * factor + addend).clamp(0, 1)
