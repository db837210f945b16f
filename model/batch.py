"""What a system is given of some clips at a time."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B clips, as tensors on one device.

    frames:          (B, 3, S, S) float RGB in [0, 1].
    sounds:          (B, M, T) log-mel in decibels, or (B, D) vectors.
    bottom_up:       (B, h, w) A_bottom.
    negative_sounds: like sounds: for each clip the sound of another one, where a loss wants it.
    features:        (B, C, h, w), where a frozen visual network has already seen the frames.

    For systems alone that say so in their `uses`:
    boxes:           (B, h, w) in [0, 1]: the share of each cell that the annotated boxes of what sounds cover.
    labels:          (B,) int64: the number of each clip's label among those of the clips to train on.
    """

    frames: Tensor | None
    sounds: Tensor
    bottom_up: Tensor
    negative_sounds: Tensor | None = None
    features: Tensor | None = None
    boxes: Tensor | None = None
    labels: Tensor | None = None
