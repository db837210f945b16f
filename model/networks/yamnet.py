"""YAMNet (Plakal & Ellis, Google 2019; MobileNetV1 of Howard et al. 2017 on AudioSet): 521 classes of sound, frozen.

Input: patches of 96 log-mel frames of 64 bands (`spectrograms.yamnet_patches`). Batch norms are folded into the
convolutions. Padding is TensorFlow's SAME: a stride of 2 pads 0 before and 1 after.
"""

from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.networks.weights import fit, refuse_dead

N_CLASSES = 521
EMBEDDING = 1024
FIRST = 32
# of layers 2 to 14: channels, stride of the depthwise convolution
LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class YAMNet(nn.Module):
    """A convolution, thirteen separable ones, a mean over the map, a layer of classes; 3 729 481 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.ModuleDict({"conv": nn.Conv2d(1, FIRST, 3, 2)})
        n_in = FIRST
        for i, (n_out, stride) in enumerate(LAYERS, start=2):
            depthwise = nn.Conv2d(n_in, n_in, 3, stride, groups=n_in)
            layer = nn.ModuleDict({"depthwise": depthwise, "pointwise": nn.Conv2d(n_in, n_out, 1)})
            self.add_module(f"layer{i}", layer)
            n_in = n_out
        self.logits = nn.Linear(EMBEDDING, N_CLASSES)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(P, 96, 64) log-mel, time by band -> scores (P, 521) in [0, 1], embeddings (P, 1024), 0 and up."""
        x = _same(self.layer1["conv"], patches[:, None]).relu()
        for i in range(2, len(LAYERS) + 2):
            layer = self.get_submodule(f"layer{i}")
            assert isinstance(layer, nn.ModuleDict)
            x = _same(layer["depthwise"], x).relu()
            x = layer["pointwise"](x).relu()
        embeddings = x.mean(dim=(2, 3))
        return torch.sigmoid(self.logits(embeddings)), embeddings

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor]) -> Self:
        """The network with the tensors of a file; those of its front end, `frontend.`, are made by formula here.

        Raises ValueError that names what is missing, unknown or of another shape, or says that its features are dead.
        """
        network = cls()
        fit(network, weights, ("frontend.",))
        noise = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(0)) * 2 - 2
        with torch.inference_mode():
            first, second = network(noise)[1]
        refuse_dead(first, second)
        return network.eval()


def _same(convolution: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(convolution, nn.Conv2d)
    before = 2 - convolution.stride[0]
    return convolution(F.pad(x, (before, 1, before, 1)))
