"""SoundNet-8 (Aytar et al. 2016) up to conv8_objs: the paper's audio network (Sec. 3.2), frozen.

The class head gives a logit for each of ImageNet's 1000 classes and about every 3 seconds; the paper takes their mean
over time as f_a. Waveforms are at 22 050 Hz, in [-1, 1] times 256, as the network was trained.

Three layouts of its weights are in use: an npy file of nested dicts (TensorFlow's axes), and two styles of names in
PyTorch. `tensors_of` takes each of them.
"""

import re
from collections.abc import Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.networks.weights import fit, refuse_dead

SAMPLE_RATE = 22_050  # Hz
SCALE = 256  # of samples in [-1, 1]
SHORTEST = 209_374  # samples: fewer leave nothing for conv8
CHANNELS = 1000
# convolutions 1 to 7: channels, kernel, stride, padding, and the pool after them (0: none)
LAYERS = (
    (16, 64, 2, 32, 8),
    (32, 32, 2, 16, 8),
    (64, 16, 2, 8, 0),
    (128, 8, 2, 4, 0),
    (256, 4, 2, 2, 4),
    (512, 4, 2, 2, 0),
    (1024, 4, 2, 2, 0),
)
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
SCENES = ("conv8_scns.", "conv8_2.")  # the other head: 401 places


class SoundNet(nn.Module):
    """Seven convolutions with batch norms of fixed statistics, and the head conv8_objs; 11 067 320 parameters."""

    def __init__(self) -> None:
        super().__init__()
        n_in = 1
        for i, (n_out, kernel, stride, padding, _) in enumerate(LAYERS, start=1):
            self.add_module(f"conv{i}", nn.Conv1d(n_in, n_out, kernel, stride, padding))
            self.add_module(f"norm{i}", nn.BatchNorm1d(n_out))
            n_in = n_out
        self.conv8_objs = nn.Conv1d(n_in, CHANNELS, 8, 2)
        self.eval()  # frozen: its norms never look at what they hear

    def forward(self, waveforms: Tensor) -> Tensor:
        """(B, T) samples in [-1, 1] -> (B, 1000, t) logits, t = (T - 209 374) // 65 536 + 1.

        Raises ValueError where T is below 209 374.
        """
        if waveforms.shape[-1] < SHORTEST:
            raise ValueError(f"{waveforms.shape[-1]} samples, and SoundNet hears nothing in less than {SHORTEST}")
        x = waveforms[:, None] * SCALE
        for i, (*_, pool) in enumerate(LAYERS, start=1):
            x = F.relu(self.get_submodule(f"norm{i}")(self.get_submodule(f"conv{i}")(x)))
            if pool:
                x = F.max_pool1d(x, pool)
        return self.conv8_objs(x)

    def vector(self, waveforms: Tensor) -> Tensor:
        """(B, T) -> (B, 1000): the mean of the logits over time."""
        return self(waveforms).mean(dim=2)

    @classmethod
    def from_weights(cls, weights: Mapping[str, Any]) -> Self:
        """The network with weights in any of the three layouts.

        Raises ValueError that names what is missing, unknown or of another shape, or says that its features are dead.
        """
        network = cls()
        fit(network, tensors_of(weights), SCENES)
        noise = torch.randn(2, SHORTEST, generator=torch.Generator().manual_seed(0)) / 4
        with torch.inference_mode():
            first, second = network.vector(noise)
        refuse_dead(first, second)
        return network


def tensors_of(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict under the names of `SoundNet`, from an npy file's nested dicts or either style of PyTorch's.

    What is no part of the network keeps its name, to be refused by it.
    """
    if any(isinstance(value, Mapping) for value in weights.values()):
        return _of_nested(weights)
    renamed = {}
    for name, values in weights.items():
        tensor = torch.as_tensor(values)
        # conv1.0.weight, conv1.1.running_mean, conv8.0.weight; or conv1.weight, batchnorm1.running_mean
        new = re.sub(r"^(conv[1-7])\.0\.", r"\1.", name)
        new = re.sub(r"^(?:conv([1-7])\.1|batchnorm([1-7]))\.", lambda m: f"norm{m[1] or m[2]}.", new)
        new = re.sub(r"^conv8(?:\.0)?\.", "conv8_objs.", new)
        renamed[new] = tensor.squeeze(-1) if tensor.ndim == 4 else tensor
    return renamed


def _of_nested(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    parts = {
        "weights": "conv{}.weight",
        "biases": "conv{}.bias",
        **dict(zip(("gamma", "beta", "mean", "var"), (f"norm{{}}.{part}" for part in NORM_PARTS), strict=True)),
    }
    tensors = {}
    for layer, arrays in weights.items():
        number = layer.removeprefix("conv").replace("8_2", "8_scns")
        if not isinstance(arrays, Mapping):
            raise ValueError(f"{layer}: holds no arrays by name")
        for part, array in arrays.items():
            name = parts.get(part, f"{layer}.{part}").format("8_objs" if number == "8" else number)
            tensor = torch.as_tensor(array)
            # (kernel, 1, in, out), TensorFlow's -> (out, in, kernel)
            tensors[name] = tensor.permute(3, 2, 0, 1).squeeze(-1).contiguous() if tensor.ndim == 4 else tensor
    return tensors
