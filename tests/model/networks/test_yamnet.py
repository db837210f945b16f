import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.networks.yamnet import LAYERS, YAMNet
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


def keras_arrays() -> dict[str, np.ndarray]:
    """Random arrays under the names and shapes of the file that YAMNet's authors publish."""
    rng = np.random.default_rng(0)
    arrays = {}

    def layer(place: str, kernel: str, shape: tuple[int, ...], n_in: int, channels: int) -> None:
        arrays[f"{place}/{place}/{kernel}:0"] = rng.normal(0, (2 / n_in) ** 0.5, shape).astype(np.float32)
        for part in ("beta", "moving_mean"):
            arrays[f"{place}/bn/{place}/bn/{part}:0"] = rng.normal(0, 0.1, channels).astype(np.float32)
        arrays[f"{place}/bn/{place}/bn/moving_variance:0"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)

    layer("layer1/conv", "kernel", (3, 3, 1, 32), 9, 32)
    n_in = 32
    for i, (n_out, _) in enumerate(LAYERS, start=2):
        layer(f"layer{i}/depthwise_conv", "depthwise_kernel", (3, 3, n_in, 1), 9, n_in)
        layer(f"layer{i}/pointwise_conv", "kernel", (1, 1, n_in, n_out), n_in, n_out)
        n_in = n_out
    arrays["logits/logits/kernel:0"] = rng.normal(0, 0.05, (1024, 521)).astype(np.float32)
    arrays["logits/logits/bias:0"] = rng.normal(0, 0.1, 521).astype(np.float32)
    return arrays


def test_keras_arrays_give_the_network_that_its_norms_make():
    arrays = keras_arrays()
    patches = torch.randn(2, 96, 64, generator=torch.Generator().manual_seed(1)) - 3

    def norm(x: Tensor, place: str) -> Tensor:
        beta, mean, variance = (
            torch.from_numpy(arrays[f"{place}/bn/{place}/bn/{part}:0"])[:, None, None]
            for part in ("beta", "moving_mean", "moving_variance")
        )
        return ((x - mean) / torch.sqrt(variance + 1e-4) + beta).clamp(min=0)

    def kernel(place: str, name: str) -> Tensor:
        return torch.from_numpy(arrays[f"{place}/{place}/{name}:0"])

    x = F.conv2d(F.pad(patches[:, None], (0, 1, 0, 1)), kernel("layer1/conv", "kernel").permute(3, 2, 0, 1), stride=2)
    x = norm(x, "layer1/conv")
    for i, (_, stride) in enumerate(LAYERS, start=2):
        deep, point = f"layer{i}/depthwise_conv", f"layer{i}/pointwise_conv"
        before = 1 if stride == 1 else 0
        weight = kernel(deep, "depthwise_kernel").permute(2, 3, 0, 1)
        x = norm(F.conv2d(F.pad(x, (before, 1, before, 1)), weight, None, stride, groups=x.shape[1]), deep)
        x = norm(F.conv2d(x, kernel(point, "kernel").permute(3, 2, 0, 1)), point)
    embedding = x.mean(dim=(2, 3))
    logits = embedding @ kernel("logits", "kernel") + torch.from_numpy(arrays["logits/logits/bias:0"])
    with torch.inference_mode():
        scores, embeddings = YAMNet.from_weights(arrays)(patches)
    assert torch.allclose(embeddings, embedding, atol=1e-4 * float(embedding.max()))
    assert torch.allclose(scores, torch.sigmoid(logits), atol=1e-4)


def test_keras_arrays_with_one_too_few_or_too_many_are_refused_by_name():
    arrays = keras_arrays()
    lacking = {name: array for name, array in arrays.items() if not name.endswith("layer4/pointwise_conv/bn/beta:0")}
    with pytest.raises(ValueError, match="no tensor layer4.pointwise.weight, layer4.pointwise.bias"):
        YAMNet.from_weights(lacking)
    with pytest.raises(ValueError, match="a tensor that it does not have: layer15/conv/kernel"):
        YAMNet.from_weights(arrays | {"layer15/conv/layer15/conv/kernel:0": np.zeros(1, np.float32)})
