"""Weights as their authors lay them out, with random numbers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def random_weights(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """A state dict for a network: He's scale, norms with statistics of their own."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, like in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(7)
        elif name.endswith("running_var") or (name.endswith("weight") and like.ndim == 1):
            weights[name] = 0.5 + torch.rand(like.shape, generator=generator)
        elif like.ndim < 2:
            weights[name] = torch.randn(like.shape, generator=generator) * 0.1
        else:
            weights[name] = torch.randn(like.shape, generator=generator) * (2 / like[0].numel()) ** 0.5
    return weights


def soundnet_npy(weights: dict[str, Tensor]) -> dict[str, dict[str, np.ndarray]]:
    """SoundNet's state dict as the public npy file nests it: (kernel, 1, in, out), and the other head."""
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
    nested: dict[str, dict[str, np.ndarray]] = {}
    for i in range(1, 9):
        name = f"conv{i}" if i < 8 else "conv8_objs"
        kernel = weights[f"{name}.weight"]  # (out, in, kernel)
        nested[f"conv{i}"] = {
            "weights": kernel.permute(2, 1, 0)[:, None].numpy(),
            "biases": weights[f"{name}.bias"].numpy(),
        }
        if i < 8:
            nested[f"conv{i}"] |= {theirs: weights[f"norm{i}.{ours}"].numpy() for ours, theirs in parts.items()}
    nested["conv8_2"] = {"weights": np.zeros((8, 1, 1024, 401), np.float32), "biases": np.zeros(401, np.float32)}
    return nested


def soundnet_torch(weights: dict[str, Tensor], style: str) -> dict[str, Tensor]:
    """SoundNet's state dict under the names of a public port: `slots` (conv1.0) or `names` (batchnorm1)."""
    renamed = {}
    for name, tensor in weights.items():
        layer, part = name.split(".")
        number = layer.removeprefix("conv").removeprefix("norm")
        theirs: dict[str, Any] = {
            "slots": {"conv": f"conv{number}.0", "norm": f"conv{number}.1", "conv8_objs": "conv8.0"},
            "names": {"conv": f"conv{number}", "norm": f"batchnorm{number}", "conv8_objs": "conv8_objs"},
        }[style]
        slot = theirs["conv8_objs"] if layer == "conv8_objs" else theirs[layer.rstrip("1234567")]
        renamed[f"{slot}.{part}"] = tensor[..., None] if tensor.ndim == 3 else tensor
    other = "conv8_2.0" if style == "slots" else "conv8_scns"
    return renamed | {f"{other}.weight": torch.zeros(401, 1024, 8, 1), f"{other}.bias": torch.zeros(401)}
