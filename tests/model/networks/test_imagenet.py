"""The visual networks against the same layers written out function by function, with random weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.networks.imagenet import ImageNetNetwork
from model.networks.resnet18 import ResNet18
from model.networks.squeezenet import SqueezeNet
from model.networks.vgg16 import VGG16
from tests.weights import random_weights

NETWORKS = {"vgg16": VGG16, "resnet18": ResNet18, "squeezenet": SqueezeNet}


def normalised(frames: Tensor) -> Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (frames - mean[:, None, None]) / deviation[:, None, None]


def vgg16(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """Convolutions at torchvision's places; a rectifier after all but the last, pools at 4, 9, 16 and 23."""
    for place in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28):
        x = F.conv2d(x, w[f"features.{place}.weight"], w[f"features.{place}.bias"], padding=1)
        if place < 28:
            x = x.clamp(min=0)
        if place in (2, 7, 14, 21):
            x = F.max_pool2d(x, 2)
    return x


def resnet18(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, scale, shift = (
            w[f"{name}.{p}"][:, None, None] for p in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * scale + shift

    x = norm(F.conv2d(x, w["conv1.weight"], stride=2, padding=3), "bn1").clamp(min=0)
    x = F.max_pool2d(x, 3, 2, 1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"layer{layer}.{block}"
            stride = 2 if block == 0 and layer in (2, 3) else 1
            first, second = (1, 1) if layer < 4 else ((1, 2) if block == 0 else (2, 2))
            y = F.conv2d(x, w[f"{name}.conv1.weight"], None, stride, first, first)
            y = norm(y, f"{name}.bn1").clamp(min=0)
            y = norm(F.conv2d(y, w[f"{name}.conv2.weight"], None, 1, second, second), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in w:
                x = norm(F.conv2d(x, w[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    return x


def squeezenet(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    x = F.conv2d(x, w["features.0.weight"], w["features.0.bias"], 2, 1).clamp(min=0)
    for place in range(2, 13):
        if place in (2, 5, 8):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        parts = {
            part: (w[f"features.{place}.{part}.weight"], w[f"features.{place}.{part}.bias"])
            for part in ("squeeze", "expand1x1", "expand3x3")
        }
        x = F.conv2d(x, *parts["squeeze"]).clamp(min=0)
        x = torch.cat([F.conv2d(x, *parts["expand1x1"]), F.conv2d(x, *parts["expand3x3"], padding=1)], 1).clamp(min=0)
    return x


REFERENCES = {"vgg16": vgg16, "resnet18": resnet18, "squeezenet": squeezenet}


@pytest.fixture(scope="module", params=list(NETWORKS))
def named(request) -> tuple[str, type[ImageNetNetwork], dict[str, Tensor]]:
    return request.param, NETWORKS[request.param], random_weights(NETWORKS[request.param]())


def test_a_network_equals_its_layers_one_by_one(named):
    name, kind, weights = named
    network = kind.from_weights(weights | {f"{kind.beyond[0]}weight": torch.zeros(2)})
    frames = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours, expected = network(frames), REFERENCES[name](normalised(frames), weights)
    assert ours.shape == (2, network.channels, 4, 6)
    assert torch.allclose(ours, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "parameters"), [("vgg16", 14_714_688), ("resnet18", 11_176_512), ("squeezenet", 722_496)]
)
def test_parameters_and_cells_are_as_published(name, parameters):
    network = NETWORKS[name]()
    assert sum(p.numel() for p in network.parameters()) == parameters
    for size in (64, 160):
        assert network(torch.rand(1, 3, size, size)).shape == (1, 512, size // 16, size // 16)


def test_conv5_3_is_signed_as_it_stands_before_its_rectifier():
    network = VGG16.from_weights(random_weights(VGG16()))
    assert len(network.features) == 29
    assert network(torch.rand(1, 3, 32, 32)).min() < 0


def test_the_frozen_norms_of_resnet18_are_the_same_in_training():
    network = ResNet18.from_weights(random_weights(ResNet18()))
    frames = torch.rand(2, 3, 32, 32)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    in_training = network.train()(frames)
    assert torch.equal(in_training, network.eval()(frames))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_weights_with_a_tensor_too_few_or_too_many_are_refused_by_name(named):
    _, kind, weights = named
    first = next(iter(weights))
    with pytest.raises(ValueError, match=f"^no tensor {first}$"):
        kind.from_weights({name: tensor for name, tensor in weights.items() if name != first})
    with pytest.raises(ValueError, match="^a tensor that it does not have: roi.weight$"):
        kind.from_weights(weights | {"roi.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=rf"^{first}: shape \(1,\), expected \(64, 3, "):
        kind.from_weights(weights | {first: torch.zeros(1)})


def test_weights_that_are_no_finite_floats_are_refused_by_name():
    weights = random_weights(SqueezeNet())
    for broken in (torch.full((64,), torch.nan), torch.zeros(64, dtype=torch.int8)):
        with pytest.raises(ValueError, match="features.0.bias: holds what is no finite float"):
            SqueezeNet.from_weights(weights | {"features.0.bias": broken})


def test_dead_features_are_refused(named):
    _, kind, weights = named
    with pytest.raises(ValueError, match="dead features: 100.0 % of them are zero"):
        kind.from_weights({name: torch.zeros_like(tensor) for name, tensor in weights.items()})


def test_features_that_never_change_are_refused():
    weights = {
        name: tensor * (tensor.ndim == 1) + 1.0 * (tensor.ndim == 1)
        for name, tensor in random_weights(SqueezeNet()).items()
    }
    with pytest.raises(ValueError, match="dead features: 100.0 % of them are the same whatever the input"):
        SqueezeNet.from_weights(weights)


def test_half_precision_weights_are_taken_as_single():
    weights = {name: tensor.half() for name, tensor in random_weights(SqueezeNet()).items()}
    network = SqueezeNet.from_weights(weights)
    assert network.features[0].weight.dtype == torch.float32
    assert torch.equal(network.features[0].weight, weights["features.0.weight"].float())
