"""What the visual networks trained on ImageNet share: torchvision's names, its input, its weights.

Conventions as in model/vision.py: frames (B, 3, S, S) float RGB in [0, 1], S a multiple of 16; features (B, C, S / 16,
S / 16). Each is torchvision's network up to a layer of stride 16, under torchvision's names, written out here.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from model.network import Network
from model.networks.weights import fit, refuse_dead

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, R, G, B


class ImageNetNetwork(Network):
    """A visual network that takes a state dict of torchvision's."""

    beyond: ClassVar[tuple[str, ...]]  # beginnings of names in torchvision's state dict that stand after the last layer

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)

    def normalised(self, frames: Tensor) -> Tensor:
        """(B, 3, S, S) in [0, 1] -> the same less ImageNet's mean, over its deviation."""
        return (frames - self.mean) / self.deviation

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor]) -> Self:
        """The network with torchvision's weights.

        Raises ValueError that names what is missing, unknown or of another shape, or says that its features are dead.
        """
        network = cls()
        fit(network, weights, cls.beyond)
        refuse_dead_eyes(network.eval())
        return network


def refuse_dead_eyes(network: Network) -> None:
    """Raise ValueError where a visual network sees next to nothing in noise."""
    noise = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first, second = network(noise)
    refuse_dead(first, second)
