import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.networks.yamnet import YAMNet
from tests.weights import random_weights


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights(YAMNet())


def reference(patches: Tensor, w: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """YAMNet once more: TensorFlow's SAME by its own rule, (ceil(n / s) - 1) s + k - n, the smaller half before."""

    def same(x: Tensor, name: str, stride: int, groups: int = 1) -> Tensor:
        sides = []
        for n in (x.shape[3], x.shape[2]):
            total = max((-(-n // stride) - 1) * stride + 3 - n, 0)
            sides += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, sides), w[f"{name}.weight"], w[f"{name}.bias"], stride, groups=groups)

    x = same(patches[:, None], "layer1.conv", 2).clamp(min=0)
    for i in range(2, 15):
        stride = 2 if i in (3, 5, 7, 13) else 1
        x = same(x, f"layer{i}.depthwise", stride, x.shape[1]).clamp(min=0)
        x = F.conv2d(x, w[f"layer{i}.pointwise.weight"], w[f"layer{i}.pointwise.bias"]).clamp(min=0)
    assert x.shape[1:] == (1024, 3, 2)
    embedding = x.mean(dim=(2, 3))
    return 1 / (1 + torch.exp(-(embedding @ w["logits.weight"].T + w["logits.bias"]))), embedding


def test_the_network_equals_its_layers_one_by_one(weights):
    patches = torch.randn(3, 96, 64, generator=torch.Generator().manual_seed(1)) - 3
    with torch.inference_mode():
        scores, embeddings = YAMNet.from_weights(weights)(patches)
        expected = reference(patches, weights)
    assert scores.shape == (3, 521)
    assert torch.allclose(scores, expected[0], atol=1e-4)
    assert torch.allclose(embeddings, expected[1], atol=1e-4 * float(expected[1].max()))
    assert sum(p.numel() for p in YAMNet().parameters()) == 3_729_481


def test_weights_that_do_not_fit_are_refused_by_name(weights):
    front_end = {"frontend.mel": torch.zeros(64, 257), "frontend.window": torch.zeros(400)}
    YAMNet.from_weights(weights | front_end)
    with pytest.raises(ValueError, match="no tensor layer9.pointwise.bias"):
        YAMNet.from_weights({name: tensor for name, tensor in weights.items() if name != "layer9.pointwise.bias"})
    with pytest.raises(ValueError, match="a tensor that it does not have: layer15.conv.weight"):
        YAMNet.from_weights(weights | {"layer15.conv.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="dead features"):
        YAMNet.from_weights({name: torch.zeros_like(tensor) for name, tensor in weights.items()})
