import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model.networks.soundnet import LAYERS, SHORTEST, SoundNet, tensors_of
from tests.weights import random_weights, soundnet_npy, soundnet_torch


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_weights(SoundNet())


def reference(waveforms: Tensor, w: dict[str, Tensor]) -> Tensor:
    """SoundNet once more as its authors write it: images of one column, norm by its own formula."""
    x = waveforms[:, None, :, None] * 256
    strides = {1: (32, 8), 2: (16, 8), 3: (8, 0), 4: (4, 0), 5: (2, 4), 6: (2, 0), 7: (2, 0)}
    for i, (padding, pool) in strides.items():
        x = F.conv2d(x, w[f"conv{i}.weight"][..., None], w[f"conv{i}.bias"], (2, 1), (padding, 0))
        mean, var, scale, shift = (
            w[f"norm{i}.{p}"][:, None, None] for p in ("running_mean", "running_var", "weight", "bias")
        )
        x = ((x - mean) / torch.sqrt(var + 1e-5) * scale + shift).clamp(min=0)
        if pool:
            x = F.max_pool2d(x, (pool, 1), (pool, 1))
    return F.conv2d(x, w["conv8_objs.weight"][..., None], w["conv8_objs.bias"], (2, 1))[..., 0]


def lengths(samples: int) -> list[int]:
    """Columns after each layer and pool, by floor((n + 2 p - k) / s) + 1 and floor(n / k)."""
    n, found = samples, []
    for _, kernel, stride, padding, pool in LAYERS:
        n = (n + 2 * padding - kernel) // stride + 1
        found.append(n)
        if pool:
            n //= pool
            found.append(n)
    found.append((n - 8) // 2 + 1)
    return found


def test_the_network_equals_its_layers_one_by_one(weights):
    network = SoundNet.from_weights(weights)
    sound = torch.randn(2, 280_000, generator=torch.Generator().manual_seed(1)) / 8
    with torch.inference_mode():
        ours, expected = network(sound), reference(sound, weights)
    assert ours.shape == (2, 1000, 2)
    assert torch.allclose(ours, expected, atol=1e-4 * float(expected.abs().max()))
    assert torch.allclose(network.vector(sound), expected.mean(dim=2), atol=1e-4 * float(expected.abs().max()))


def test_layers_are_as_long_as_published():
    assert lengths(441_000) == [220_501, 27_562, 13_782, 1722, 862, 432, 217, 54, 28, 15, 4]
    assert sum(p.numel() for p in SoundNet().parameters()) == 11_067_320
    with torch.inference_mode():
        assert SoundNet()(torch.zeros(1, 441_000)).shape == (1, 1000, 4)


@given(st.integers(SHORTEST, 30 * 22_050))
def test_another_frame_comes_every_65_536_samples(samples):
    assert lengths(samples)[-1] == (samples - 209_374) // 65_536 + 1


def test_the_shortest_sound_gives_a_frame_and_a_shorter_one_an_error(weights):
    network = SoundNet()
    with torch.inference_mode():
        assert network(torch.zeros(1, SHORTEST)).shape == (1, 1000, 1)
    with pytest.raises(ValueError, match="209373 samples, and SoundNet hears nothing in less than 209374"):
        network(torch.zeros(1, SHORTEST - 1))


def test_every_public_layout_gives_the_same_network(weights):
    for layout in (soundnet_npy(weights), soundnet_torch(weights, "slots"), soundnet_torch(weights, "names")):
        network = SoundNet.from_weights(layout)
        state = network.state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in weights.items() if tensor.ndim)


def test_a_nested_file_with_another_array_is_refused_by_name(weights):
    nested = soundnet_npy(weights)
    nested["conv3"]["momentum"] = nested["conv3"]["beta"]
    with pytest.raises(ValueError, match="a tensor that it does not have: conv3.momentum"):
        SoundNet.from_weights(nested)
    del nested["conv3"]["momentum"], nested["conv2"]["var"]
    with pytest.raises(ValueError, match="no tensor norm2.running_var"):
        SoundNet.from_weights(nested)
    with pytest.raises(ValueError, match="conv1: holds no arrays by name"):
        tensors_of({"conv1": 3, "conv2": {}})


def test_a_dead_soundnet_is_refused(weights):
    with pytest.raises(ValueError, match="dead features"):
        SoundNet.from_weights({name: torch.zeros_like(tensor) for name, tensor in weights.items()})


def test_a_sound_is_heard_the_same_in_any_company(weights):
    network = SoundNet.from_weights(weights)
    sound = torch.randn(2, SHORTEST, generator=torch.Generator().manual_seed(2)) / 8
    with torch.inference_mode():
        together, alone = network.vector(sound), network.vector(sound[:1])
    assert torch.allclose(together[:1], alone, atol=1e-4 * float(alone.abs().max()))
