"""Sound networks: what `listen` made of a waveform -> the audio feature f_a (Sec. 3.2)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network import Network
from model.networks.resnet18 import WIDTHS, stages


class LogMelNetwork(Network):
    """A network on a log-mel spectrogram; `mean` and `deviation` are those of the training set, in decibels."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__()
        # float32 also where a whole number is given: a loaded checkpoint's numbers take the type that stands here.
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(deviation, dtype=torch.float32))

    def normalised(self, logmel: Tensor) -> Tensor:
        """(B, M, T) -> (B, 1, M, T)."""
        return ((logmel - self.mean) / self.deviation)[:, None]


class SmallAudio(LogMelNetwork):
    """Four convolutions on a log-mel spectrogram, pooled over time, trained from nothing. 178 000 parameters.

    Input (B, 64, T) decibels; output (B, 128).
    """

    channels = 128

    def __init__(self, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__(mean, deviation)
        widths = (1, 16, 32, 64, 96)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Conv2d(n_in, n_out, 3, 2, padding=1), nn.GroupNorm(8, n_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(2 * 4 * widths[-1], self.channels)

    def forward(self, logmel: Tensor) -> Tensor:
        """(B, 64, T) -> (B, 128)."""
        x = self.layers(self.normalised(logmel))  # (B, 96, 4, T / 16)
        pooled = torch.cat([x.mean(dim=3), x.amax(dim=3)], dim=1)  # (B, 192, 4)
        return self.head(pooled.flatten(1))


class LogMelResNet18(LogMelNetwork):
    """ResNet-18 on a log-mel spectrogram as on a grey picture; maximum of its last map, as LVS and EZ-VSL take it.

    Trained from nothing, with batch norms. Input (B, 64, T) decibels; output (B, 512). 11 170 240 parameters.
    """

    channels = WIDTHS[-1]

    def __init__(self, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__(mean, deviation)
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(nn.BatchNorm2d, dilated=False)

    def forward(self, logmel: Tensor) -> Tensor:
        """(B, 64, T) -> (B, 512)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(self.normalised(logmel)))))  # (B, 64, 16, T / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512, 2, T / 32)
        return x.amax(dim=(2, 3))


class GivenVector(Network):
    """No network: the vector that the source brings is f_a, as the paper takes SoundNet's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return vectors
