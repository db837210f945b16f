"""Visual networks: a frame -> a feature map F of a 16th of its side (Sec. 3.2).

Conventions: frames are (B, 3, S, S) float RGB in [0, 1]; feature maps are (B, C, h, w) with h = w = S / 16. A network
normalises its input itself.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network import Network

Layer = Literal["features.13", "features.17", "features.13+features.17"]
Padding = Literal["same", "symmetric"]


class SmallVision(Network):
    """Five convolutions, trained from nothing: what a few hundred clips can feed. 166 000 parameters, 96 channels."""

    channels = 96

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv_norm(3, 24, kernel=7, stride=4),  # (B, 24, S / 4, S / 4)
            _conv_norm(24, 64, kernel=3, stride=2),  # (B, 64, S / 8, S / 8)
            _conv_norm(64, 96, kernel=3, stride=2),  # (B, 96, S / 16, S / 16)
            _conv_norm(96, 96, kernel=3, stride=1),
            nn.Conv2d(96, self.channels, 1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 96, S / 16, S / 16)."""
        return self.layers(frames * 2 - 1)


def _conv_norm(n_in: int, n_out: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, kernel, stride, padding=kernel // 2), nn.GroupNorm(8, n_out), nn.ReLU())


class MobileNetV2(Network):
    """MobileNetV2 (Sandler et al. 2018) up to one of its blocks, at stride 16, batch norms folded into convolutions.

    features.13: 96 channels, the last block at stride 16. features.17: 320 channels; the stride of features.14 is left
    out and the depthwise convolutions after it are dilated by 2, so that each still sees what it was trained to see.
    features.13+features.17: the channels of both, 416; `begins` says where each one's begin.

    padding: `same` pads strided convolutions by 0 before and 1 after, as TensorFlow trained them, and takes 2 x - 1;
    `symmetric` pads by 1 on both sides and normalises by ImageNet's mean and deviation, as torchvision does.
    """

    mean: Tensor
    deviation: Tensor
    BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, layer: Layer, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        self.depths = [int(name.removeprefix("features.")) for name in layer.split("+")]
        blocks: list[nn.Module] = [_Convolution(3, 32, 3, padding, stride=2)]
        widths = [32]
        n_in, stride_so_far, dilation = 32, 2, 1
        for expansion, n_out, repeats, stride in self.BLOCKS:
            for i in range(repeats):
                s = stride if i == 0 else 1
                after = 1
                if stride_so_far * s > 16:
                    s, after = 1, 2
                stride_so_far *= s
                blocks.append(_InvertedResidual(n_in, n_out, expansion, padding, s, dilation))
                n_in, dilation = n_out, max(dilation, after)
                widths.append(n_out)
        self.features = nn.ModuleList(blocks[: self.depths[-1] + 1])
        ends = list(accumulate(widths[depth] for depth in self.depths))
        self.channels, self.begins = ends[-1], (0, *ends[:-1])
        symmetric = padding == "symmetric"
        mean, deviation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) if symmetric else ((0.5,) * 3, (0.5,) * 3)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, C, S / 16, S / 16)."""
        x = (frames - self.mean) / self.deviation
        kept = []
        for depth, block in enumerate(self.features):
            x = block(x)
            if depth in self.depths:
                kept.append(x)
        return torch.cat(kept, dim=1)

    @classmethod
    def from_weights(cls, layer: Layer, weights: Mapping[str, Tensor]) -> "MobileNetV2":
        """A network with the weights of torchvision's state dict, or of one whose batch norms are already folded.

        Raises ValueError that names a tensor which is missing or has another shape.
        """
        is_torchvision = any(name.endswith("running_mean") for name in weights)
        network = cls(layer, "symmetric" if is_torchvision else "same")
        folded = fold_batch_norms(weights) if is_torchvision else weights
        wanted = network.state_dict()
        state = {}
        for ours, like in wanted.items():
            theirs = ours.replace(".weight", "").replace(".bias", "")  # the convolution's own name
            tensor = folded.get(ours)
            if tensor is None:
                raise ValueError(f"no tensor {ours}")
            if tensor.shape != like.shape:
                raise ValueError(f"{theirs}: shape {tuple(tensor.shape)}, expected {tuple(like.shape)}")
            state[ours] = tensor.float()
        network.load_state_dict(state)
        return network


class _Convolution(nn.Module):
    """A convolution under the name that it has in torchvision's slots, with ReLU6 unless it projects."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        padding: str,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        margin = dilation * (kernel // 2)
        self.before = margin - 1 if padding == "same" and stride == 2 else margin
        self.after = margin
        self.add_module("0", nn.Conv2d(n_in, n_out, kernel, stride, 0, dilation, groups))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (self.before, self.after, self.before, self.after))
        return F.relu6(self.get_submodule("0")(padded))


class _InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to the input where the shapes allow."""

    def __init__(self, n_in: int, n_out: int, expansion: int, padding: str, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = n_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_Convolution(n_in, hidden, 1, padding))
        layers.append(_Convolution(hidden, hidden, 3, padding, stride, dilation, groups=hidden))
        layers.append(nn.Conv2d(hidden, n_out, 1))
        self.conv = nn.Sequential(*layers)
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.is_residual else self.conv(x)


def fold_batch_norms(weights: Mapping[str, Tensor], eps: float = 1e-5) -> dict[str, Tensor]:
    """MobileNetV2 as torchvision has it, with each batch norm folded into the convolution before it.

    The norm stands one slot after its convolution: y = gamma (x - mean) / sqrt(var + eps) + beta.
    """
    folded = {}
    for name, tensor in weights.items():
        if not name.endswith(".weight") or tensor.ndim != 4:
            continue
        slot = name.removesuffix(".weight")
        parent, _, last = slot.rpartition(".")
        norm = f"{parent}.{int(last) + 1}"
        if f"{norm}.running_var" not in weights:
            raise ValueError(f"no tensor {norm}.running_var")
        scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + eps)
        folded[name] = tensor * scale.view(-1, 1, 1, 1)
        folded[f"{slot}.bias"] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    return folded
