"""ResNet-18 (He et al. 2016): seen at stride 16, and its four stages for whoever hears with them (model/audio.py)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.networks.imagenet import ImageNetNetwork

Norm = Callable[[int], nn.Module]
WIDTHS = (64, 128, 256, 512)


class FrozenNorm(nn.Module):
    """A batch norm with the statistics that it was trained with, in training too; scale and shift still learn.

    A batch of a few dozen frames has other statistics than ImageNet, and one clip's features would hang on its company.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, norm: Norm, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        first, second = dilations
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, first, first, bias=False)
        self.bn1 = norm(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, second, second, bias=False)
        self.bn2 = norm(n_out)
        self.downsample: nn.Module | None = None
        if n_in != n_out:
            self.downsample = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), norm(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, n_in, H, W) -> (B, n_out, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def stages(norm: Norm, *, dilated: bool) -> list[nn.Sequential]:
    """layer1 to layer4: 64 channels -> 512, a stride of 2 at the head of the last three.

    dilated: layer4 leaves out its stride, and the convolutions after it are dilated by 2, so that each still sees what
    it was trained to see.
    """
    made = []
    n_in = WIDTHS[0]
    for i, n_out in enumerate(WIDTHS):
        spread = dilated and i == len(WIDTHS) - 1
        stride = 1 if i == 0 or spread else 2
        first = BasicBlock(n_in, n_out, stride, norm, (1, 2) if spread else (1, 1))
        made.append(nn.Sequential(first, BasicBlock(n_out, n_out, 1, norm, (2, 2) if spread else (1, 1))))
        n_in = n_out
    return made


class ResNet18(ImageNetNetwork):
    """torchvision's resnet18 without its pool and classes, layer4 dilated in place of its stride; 512 channels."""

    channels = 512
    beyond = ("fc.",)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = FrozenNorm(WIDTHS[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(FrozenNorm, dilated=True)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 512, S / 16, S / 16)."""
        x = F.relu(self.bn1(self.conv1(self.normalised(frames))))  # (B, 64, S / 2, S / 2)
        x = self.layer1(self.maxpool(x))  # (B, 64, S / 4, S / 4)
        return self.layer4(self.layer3(self.layer2(x)))
