"""Sound networks: what `listen` made of a waveform -> the audio feature f_a (Sec. 3.2)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from model.network import Network


class SmallAudio(Network):
    """Four convolutions on a log-mel spectrogram, pooled over time, trained from nothing. 178 000 parameters.

    Input (B, 64, T) decibels; output (B, 128). `mean` and `deviation` are those of the training set, in decibels.
    """

    channels = 128
    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__()
        # float32 also where a whole number is given: a loaded checkpoint's numbers take the type that stands here.
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))
        widths = (1, 16, 32, 64, 96)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Conv2d(n_in, n_out, 3, 2, padding=1), nn.GroupNorm(8, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(2 * 4 * widths[-1], self.channels)

    def forward(self, logmel: Tensor) -> Tensor:
        """(B, 64, T) -> (B, 128)."""
        x = (logmel - self.mean) / self.deviation
        x = self.layers(x[:, None])  # (B, 96, 4, T / 16)
        pooled = torch.cat([x.mean(dim=3), x.amax(dim=3)], dim=1)  # (B, 192, 4)
        return self.head(pooled.flatten(1))


class GivenVector(Network):
    """No network: the vector that the source brings is f_a, as the paper takes SoundNet's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return vectors
