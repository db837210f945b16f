"""SqueezeNet 1.1 (Iandola et al. 2016): a visual network of 2.9 MB."""

import torch
from torch import Tensor, nn

from model.networks.imagenet import ImageNetNetwork


class Fire(nn.Module):
    """Squeeze to few channels, then expand by 1 x 1 and 3 x 3 filters beside each other."""

    def __init__(self, n_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(n_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, 2 expanded, H, W)."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


class SqueezeNet(ImageNetNetwork):
    """torchvision's squeezenet1_1 without its classes; 512 channels, 722 496 parameters.

    Its last stride leaves 16 as it is. But torchvision does not pad the first convolution, and 320 pixels become 19
    cells; here it is padded by 1, and they are 20.
    """

    channels = 512
    beyond = ("classifier.",)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2, padding=1),  # (B, 64, S / 2, S / 2)
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),  # (B, 64, S / 4, S / 4)
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(3, 2, ceil_mode=True),  # (B, 128, S / 8, S / 8)
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(3, 2, ceil_mode=True),  # (B, 256, S / 16, S / 16)
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 512, S / 16, S / 16)."""
        return self.features(self.normalised(frames))
