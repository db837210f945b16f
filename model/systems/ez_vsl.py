"""EZ-VSL (Mo & Morgado, ECCV 2022): a frame is a bag of cells, of which one at least must match its sound; at test an
object prior that hears nothing is mixed in.

Their prior is the mean activation of a network that was trained on ImageNet. Here it is that of the visual network
where it is pre-trained and frozen; one that is trained along knows no objects, and the bottom-up map stands in.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import top_down
from model.batch import Batch
from model.network import Network
from model.system import System

CHANNELS = 512  # of the space where cells and sounds meet (their code)
ALPHA = 0.4  # weight of the audiovisual map beside the object prior (Sec. 3.4)


@dataclass(frozen=True)
class Settings:
    """freeze_vision: whether the visual network is as it was pre-trained.

    distance_temperature: of the cross entropies; theirs is .03.
    """

    freeze_vision: bool
    distance_temperature: float


class EzVsl(System):
    """A projection of each network's output, and multiple-instance contrastive learning."""

    settings_class = Settings
    settings: Settings

    def __init__(self, vision: Network, audio: Network, settings: Settings) -> None:
        super().__init__(vision, audio, settings)
        self.of_cells = nn.Conv2d(vision.channels, CHANNELS, 1)
        self.of_sound = nn.Linear(audio.channels, CHANNELS)

    def heat(self, frames: Tensor | None, sounds: Tensor, bottom_up: Tensor, features: Tensor | None = None) -> Tensor:
        """The audiovisual map and the object prior, each scaled to [0, 1], mixed (B, h, w), in [-1, 1] as a cosine is.

        Departs from their code, which scales maps after they are enlarged: maps are stored on the grid.
        """
        features = self.see(frames, features)
        audiovisual = top_down.similarity(self.of_cells(features), self.of_sound(self.hear(sounds)))
        objects = features.abs().mean(dim=1) if self.settings.freeze_vision else bottom_up
        return 2 * (ALPHA * top_down.scaled(audiovisual) + (1 - ALPHA) * top_down.scaled(objects)) - 1

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The contrast over all frames and sounds of the batch."""
        cells = self.of_cells(self.see(batch.frames, batch.features))  # (B, 512, h, w)
        similarity = top_down.similarity_of_all(cells, self.of_sound(self.hear(batch.sounds)))
        return {"loss": contrast(similarity, self.settings.distance_temperature)}


def contrast(similarity: Tensor, distance_temperature: float) -> Tensor:
    """The cross entropies of frames among sounds and of sounds among frames, by the best cell; their scalar sum.

    similarity: (B, B, h, w); [i, k] is frame i under sound k.
    """
    logits = similarity.amax(dim=(-2, -1)) / distance_temperature  # (B, B)
    own = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
