import torch
import torch.nn.functional as F

from model.audio import GivenVector, LogMelResNet18, SmallAudio
from tests.weights import random_weights


def test_the_small_network_hears_any_length():
    network = SmallAudio(mean=-40, deviation=20).eval()
    for columns in (44, 130, 862):
        assert network(torch.full((2, 64, columns), -40.0)).shape == (2, 128)


def test_the_small_network_standardises_its_input():
    torch.manual_seed(0)
    plain, shifted = SmallAudio(), SmallAudio(mean=-40, deviation=20)
    shifted.layers, shifted.head = plain.layers, plain.head
    sound = torch.randn(1, 64, 100)
    assert torch.allclose(plain(sound), shifted(sound * 20 - 40), atol=1e-4)


def test_a_given_vector_is_heard_as_it_is():
    vectors = torch.rand(3, 521)
    assert GivenVector(521)(vectors) is vectors


def test_resnet18_hears_a_spectrogram_as_a_grey_picture():
    network = LogMelResNet18(-40.5, 20).eval()
    weights = random_weights(network) | {"mean": network.mean, "deviation": network.deviation}
    network.load_state_dict(weights)
    sound = torch.randn(2, 64, 130, generator=torch.Generator().manual_seed(1)) * 20 - 40

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        of = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *of)

    x = F.conv2d((sound[:, None] + 40.5) / 20, weights["conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(norm(x, "bn1").clamp(min=0), 3, 2, 1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = norm(F.conv2d(x, weights[f"{name}.conv1.weight"], None, stride, 1), f"{name}.bn1").clamp(min=0)
            y = norm(F.conv2d(y, weights[f"{name}.conv2.weight"], None, 1, 1), f"{name}.bn2")
            if stride == 2:
                x = norm(F.conv2d(x, weights[f"{name}.downsample.0.weight"], None, 2), f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    with torch.inference_mode():
        assert torch.allclose(network(sound), x.flatten(2).max(dim=2).values, rtol=1e-4, atol=1e-3)
    assert network(sound).shape == (2, 512)
    assert sum(p.numel() for p in network.parameters()) == 11_170_240


def test_resnet18_hears_one_sound_the_same_in_any_company():
    network = LogMelResNet18().eval()
    sounds = torch.randn(3, 64, 44)
    assert torch.allclose(network(sounds)[1], network(sounds[1:2])[0], atol=1e-5)
