"""LVS (Chen et al., CVPR 2021), the paper's "Negative Mining": each frame holds its own hard negatives.

A tri-map of the similarity of a frame with its own sound: cells surely of the sound, cells surely not, and between them
cells that count for neither. The surely silent ones are negatives beside the frame under all other sounds.

Theirs has no projection, as both networks end in 512 channels; here one linear layer brings the sound to the frame's.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import top_down
from model.batch import Batch
from model.network import Network
from model.system import System

SOUNDING, SILENT = 0.65, 0.4  # eps_p, eps_n: similarities above and below which a cell is one or the other (Sec. 3.3)


@dataclass(frozen=True)
class Settings:
    """temperature: of the sigmoids that make the thresholds differentiable; theirs is .03 (Sec. 3.3).

    Far below both thresholds a sigmoid is an exponential: there the mean under it is that of a softmax over the cells.
    distance_temperature: of the cross entropy; theirs is .07 (their code).
    """

    temperature: float
    distance_temperature: float


class Lvs(System):
    """The cosine of two networks' outputs, and a contrast over what it marks."""

    settings_class = Settings
    settings: Settings

    def __init__(self, vision: Network, audio: Network, settings: Settings) -> None:
        super().__init__(vision, audio, settings)
        self.to_c = nn.Linear(audio.channels, vision.channels)

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """The cosine of each cell with the sound (B, h, w), in [-1, 1]."""
        return top_down.similarity(self.see(frames, features), self.to_c(self.hear(sounds)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The contrast over all frames and sounds of the batch."""
        features, sounds = self.see(batch.frames, batch.features), self.to_c(self.hear(batch.sounds))
        similarity = top_down.similarity_of_all(features, sounds)
        return {"loss": contrast(similarity, self.settings.temperature, self.settings.distance_temperature)}


def contrast(similarity: Tensor, temperature: float, distance_temperature: float) -> Tensor:
    """The cross entropy of the sounding cells with all negatives; its scalar mean over the frames.

    similarity: (B, B, h, w) in [-1, 1]; [i, k] is frame i under sound k.
    """
    n = len(similarity)
    every = torch.arange(n, device=similarity.device)
    own = similarity[every, every]  # (B, h, w)
    positive = mean_under(sounding(own, temperature), own)  # (B,)
    easy = mean_under(sounding(similarity, temperature), similarity)  # (B, B)
    # Departs from their code, which multiplies a frame's own entry by -99 and so makes a positive of a negative cosine.
    easy = easy.masked_fill(torch.eye(n, dtype=torch.bool, device=easy.device), -torch.inf)
    hard = mean_under(silent(own, temperature), own)  # (B,)
    logits = torch.cat([positive[:, None], easy, hard[:, None]], dim=1) / distance_temperature  # (B, 1 + B + 1)
    return F.cross_entropy(logits, torch.zeros_like(every))


def sounding(similarity: Tensor, temperature: float) -> Tensor:
    """m_p: near 1 where a cell surely makes the sound."""
    return torch.sigmoid((similarity - SOUNDING) / temperature)


def silent(similarity: Tensor, temperature: float) -> Tensor:
    """m_n: near 1 where it surely does not. 1 - sigmoid(x) is sigmoid(-x), which is never quite 0."""
    return torch.sigmoid((SILENT - similarity) / temperature)


def mean_under(mask: Tensor, similarity: Tensor) -> Tensor:
    """The mean of a similarity (..., h, w) under a mask of the same shape."""
    return (mask * similarity).sum(dim=(-2, -1)) / mask.sum(dim=(-2, -1))
