"""Regions by a detector: every proposal of Faster R-CNN, with its class and score, before any threshold (Sec. 4.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model import detection
from pipeline.foundation import detectors
from pipeline.foundation.photographs import frames_on

BATCH = {"cpu": 4, "cuda": 16, "mps": 8}  # frames at a time


@dataclass(frozen=True)
class Scored:
    """The boxes of a frame, best first.

    box: (r, 4) int16 x, y, w, h in pixels, within the frame, at least a pixel wide and high. score: (r,) float32 in
    [0, 1]. label: (r,) int16, 1 to C, of the detector's classes.
    """

    box: NDArray[np.int16]
    score: NDArray[np.float32]
    label: NDArray[np.int16]


def regions(frames: NDArray[np.uint8], model: detection.Model, device: torch.device) -> Iterator[Scored]:
    """The regions of some (n, S, S, 3) uint8 RGB frames by a detector that is on the device."""
    batch = BATCH[device.type]
    for start in range(0, len(frames), batch):
        with torch.inference_mode():
            seen = frames_on(device, list(frames[start : start + batch]))
            found = detection.every_proposal(model, seen)
        for of_frame in found:
            corners, score, label = (value.cpu().numpy() for value in (of_frame.box, of_frame.score, of_frame.label))
            yield Scored(whole_pixels(corners, frames.shape[1]), score.astype(np.float32), label.astype(np.int16))


def whole_pixels(corners: NDArray[np.floating], size: int) -> NDArray[np.int16]:
    """(r, 4) int16 x, y, w, h of corners x0, y0, x1, y1, rounded; what would vanish keeps one pixel."""
    start = np.clip(np.rint(corners[:, :2]), 0, size - 1)
    end = np.clip(np.rint(corners[:, 2:]), start + 1, size)
    return np.concatenate([start, end - start], axis=1).astype(np.int16)


def load(folder: Path, device: torch.device) -> detection.Model:
    """The detector of a folder, on the device."""
    model, _ = detectors.load(folder)
    return model.to(device)
