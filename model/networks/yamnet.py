"""YAMNet (Plakal & Ellis, Google 2019; MobileNetV1 of Howard et al. 2017 on AudioSet): 521 classes of sound, frozen.

Input: patches of 96 log-mel frames of 64 bands (`spectrograms.yamnet_patches`). Batch norms are folded into the
convolutions. Padding is TensorFlow's SAME: a stride of 2 pads 0 before and 1 after.

Two layouts of its weights are taken: folded, under the names of `YAMNet` here, and Keras's, as its authors publish it.
"""

import re
from collections.abc import Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.networks.weights import fit, refuse_dead

N_CLASSES = 521
EMBEDDING = 1024
FIRST = 32
NORM_EPS = 1e-4  # of Keras's batch norms, which have no scale
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
    def from_weights(cls, weights: Mapping[str, Any]) -> Self:
        """The network with weights in either layout; the tensors of a front end, `frontend.`, are made by formula here.

        Raises ValueError that names what is missing, unknown or of another shape, or says that its features are dead.
        """
        network = cls()
        fit(network, tensors_of(weights), ("frontend.",))
        noise = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(0)) * 2 - 2
        with torch.inference_mode():
            first, second = network(noise)[1]
        refuse_dead(first, second)
        return network.eval()


def tensors_of(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict under the names of `YAMNet`, its batch norms folded, from Keras's arrays or from such a dict.

    What is no part of the network keeps its name, to be refused by it; what Keras's arrays lack, to be missed.
    """
    if not any(name.endswith(":0") for name in weights):
        return dict(weights)
    halves = [f"layer{i}/{half}_conv" for i in range(2, len(LAYERS) + 2) for half in ("depthwise", "pointwise")]
    # layer2/depthwise_conv/bn/layer2/depthwise_conv/bn/beta:0 -> layer2/depthwise_conv/bn/beta
    arrays = {re.sub(r"^(.+)/\1/(\w+):0$", r"\1/\2", name): torch.as_tensor(array) for name, array in weights.items()}
    tensors = {}
    for place in ("layer1/conv", *halves):
        kernel = f"{place}/{'depthwise_' if 'depthwise' in place else ''}kernel"
        parts = [kernel, *(f"{place}/bn/{part}" for part in ("beta", "moving_mean", "moving_variance"))]
        if all(part in arrays for part in parts) and arrays[kernel].ndim == 4:
            weight, beta, mean, variance = (arrays.pop(part) for part in parts)
            # (3, 3, in, out), TensorFlow's -> (out, in, 3, 3); a depthwise one is (3, 3, in, 1) -> (in, 1, 3, 3)
            weight = weight.permute(2, 3, 0, 1) if "depthwise" in place else weight.permute(3, 2, 0, 1)
            scale = 1 / torch.sqrt(variance + NORM_EPS)
            name = place.replace("/", ".").removesuffix("_conv")
            tensors[f"{name}.weight"] = weight * scale[:, None, None, None]
            tensors[f"{name}.bias"] = beta - mean * scale
    for part, name in (("logits/kernel", "logits.weight"), ("logits/bias", "logits.bias")):
        if part in arrays:
            tensors[name] = arrays.pop(part).t()
    return tensors | arrays


def _same(convolution: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(convolution, nn.Conv2d)
    before = 2 - convolution.stride[0]
    return convolution(F.pad(x, (before, 1, before, 1)))
