"""Attention (Senocak et al., CVPR 2018), unsupervised: what a sound attends to in its frame must be nearer to this
sound than to another clip's. There is no bottom-up map.

As its public code has it: f_a is rectified for h, not for the distances; the cosine is rectified before its softmax
over the cells, z after its sum; the loss is the mean square of the two distances' softmax. A cell whose cosine is not
positive learns nothing through the attention.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from model import losses, top_down
from model.batch import Batch
from model.network import Network
from model.system import System


@dataclass(frozen=True)
class Settings:
    """temperature: of the softmax over the cells; theirs is 1."""

    temperature: float


class Attention(System):
    """Two networks, h and f_v of two layers each, and a triplet with one negative sound."""

    settings_class = Settings
    settings: Settings

    def __init__(self, vision: Network, audio: Network, settings: Settings) -> None:
        super().__init__(vision, audio, settings)
        c, d = vision.channels, audio.channels
        self.to_h = nn.Sequential(nn.ReLU(), nn.Linear(d, d), nn.ReLU(), nn.Linear(d, c))
        self.to_f_v = nn.Sequential(nn.ReLU(), nn.Linear(c, c), nn.ReLU(), nn.Linear(c, d))

    @property
    def wants_negatives(self) -> bool:
        """Always."""
        return True

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """The cosine of each cell with h (B, h, w), in [-1, 1]: neither rectified nor a softmax."""
        return top_down.similarity(self.see(frames, features), self.to_h(self.hear(sounds)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The triplet's loss."""
        correspondence, _ = self.attend(batch)
        return {"loss": correspondence}

    def attend(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The triplet's loss, and the attention (B, h, w) that it was found under."""
        assert batch.negative_sounds is not None  # wanted
        features = self.see(batch.frames, batch.features)  # (B, C, h, w)
        f_a = self.hear(batch.sounds)  # (B, D)
        similarity = top_down.similarity(features, self.to_h(f_a))
        attention = top_down.attention(F.relu(similarity), self.settings.temperature)
        f_v = self.to_f_v(top_down.attended(features, attention))  # (B, D)
        d_pos = losses.distance(f_v, f_a)
        d_neg = losses.distance(f_v, self.hear(batch.negative_sounds))
        return losses.correspondence_as_coded(d_pos, d_neg), attention
