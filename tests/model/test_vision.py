import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from model.vision import MobileNetV2, SmallVision, fold_batch_norms
from tests.samples import real


def torchvision_weights(last_block: int, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the names and shapes of torchvision's mobilenet_v2, up to one of its blocks."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}

    def conv_norm(slot: str, norm: str, n_out: int, n_in: int, kernel: int) -> None:
        weights[f"{slot}.weight"] = torch.randn(n_out, n_in, kernel, kernel, generator=generator) / (kernel * n_in**0.5)
        for name in ("weight", "running_var"):
            weights[f"{norm}.{name}"] = 0.5 + torch.rand(n_out, generator=generator)
        for name in ("bias", "running_mean"):
            weights[f"{norm}.{name}"] = torch.randn(n_out, generator=generator) * 0.1
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(1)

    conv_norm("features.0.0", "features.0.1", 32, 3, 3)
    block, n_in = 1, 32
    for expansion, n_out, repeats, _ in MobileNetV2.BLOCKS:
        for _ in range(repeats):
            hidden, slot = n_in * expansion, 0
            name = f"features.{block}.conv"
            if expansion > 1:
                conv_norm(f"{name}.0.0", f"{name}.0.1", hidden, n_in, 1)
                slot = 1
            conv_norm(f"{name}.{slot}.0", f"{name}.{slot}.1", hidden, 1, 3)
            conv_norm(f"{name}.{slot + 1}", f"{name}.{slot + 2}", n_out, hidden, 1)
            block, n_in = block + 1, n_out
    kept = {n: t for n, t in weights.items() if int(n.split(".")[1]) <= last_block}
    return kept | {"classifier.1.weight": torch.zeros(1000, 1280)}


def reference(frames: Tensor, weights: dict[str, Tensor], last: int) -> Tensor:
    """MobileNetV2 once more, function by function, norms and all, with features.14's stride left out."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (frames - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)

    def norm(x: Tensor, name: str) -> Tensor:
        of = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *of, training=False)

    x = F.relu6(norm(F.conv2d(x, weights["features.0.0.weight"], stride=2, padding=1), "features.0.1"))
    strides = {2: 2, 4: 2, 7: 2}
    for block in range(1, last + 1):
        name, y, slot = f"features.{block}.conv", x, 0
        if block > 1:
            y = F.relu6(norm(F.conv2d(y, weights[f"{name}.0.0.weight"]), f"{name}.0.1"))
            slot = 1
        spread = 2 if block > 14 else 1
        y = F.conv2d(
            y, weights[f"{name}.{slot}.0.weight"], None, strides.get(block, 1), spread, spread, groups=y.shape[1]
        )
        y = F.relu6(norm(y, f"{name}.{slot}.1"))
        y = norm(F.conv2d(y, weights[f"{name}.{slot + 1}.weight"]), f"{name}.{slot + 2}")
        x = x + y if x.shape == y.shape and block not in strides else y
    return x


def test_the_small_network_sees_a_sixteenth():
    assert SmallVision()(torch.rand(2, 3, 64, 96)).shape == (2, 96, 4, 6)
    assert sum(p.numel() for p in SmallVision().parameters()) == 165_744


@pytest.mark.parametrize(("layer", "channels"), [("features.13", 96), ("features.17", 320)])
def test_mobilenet_equals_its_definition(layer, channels):
    weights = torchvision_weights(int(layer.split(".")[1]))
    network = MobileNetV2.from_weights(layer, weights).eval()
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = network(frames)
        expected = reference(frames, weights, int(layer.split(".")[1]))
    assert ours.shape == (2, channels, 4, 4)
    assert torch.allclose(ours, expected, atol=1e-4 * float(expected.abs().max()))
    assert network.padding == "symmetric"


def test_two_depths_are_those_of_two_networks_side_by_side():
    weights = torchvision_weights(17)
    both = MobileNetV2.from_weights("features.13+features.17", weights).eval()
    frames = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        alone = [MobileNetV2.from_weights(layer, weights).eval()(frames) for layer in ("features.13", "features.17")]
        assert torch.equal(both(frames), torch.cat(alone, dim=1))
    assert (both.channels, both.begins) == (416, (0, 96))
    assert MobileNetV2("features.17", "same").begins == SmallVision.begins == (0,)


def test_folded_weights_are_taken_for_tensorflow_s():
    folded = fold_batch_norms(torchvision_weights(13))
    network = MobileNetV2.from_weights("features.13", folded)
    assert network.padding == "same"
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 96, 4, 4)


def test_same_padding_adds_nothing_before_and_one_after():
    network = MobileNetV2("features.13", "same")
    first = network.features[0]
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
        first.get_submodule("0").weight[0, 0, 0, 0] = 1  # reads the pixel at the kernel's upper left
    frames = torch.zeros(1, 3, 32, 32)
    frames[0, 0, 0, 0] = 2
    assert first(frames)[0, 0, 0, 0] == 2
    symmetric = MobileNetV2("features.13", "symmetric").features[0]
    symmetric.load_state_dict(first.state_dict())
    assert symmetric(frames)[0, 0, 0, 0] == 0  # there it reads the padding


def test_weights_that_lack_a_tensor_or_have_another_shape_are_refused_by_name():
    weights = fold_batch_norms(torchvision_weights(13))
    missing = {name: tensor for name, tensor in weights.items() if name != "features.5.conv.2.bias"}
    with pytest.raises(ValueError, match=r"features\.5\.conv\.2\.bias"):
        MobileNetV2.from_weights("features.13", missing)
    with pytest.raises(ValueError, match=r"features\.3\.conv\.2.*shape"):
        MobileNetV2.from_weights("features.13", weights | {"features.3.conv.2.weight": torch.zeros(1, 2)})


@pytest.mark.real
def test_with_the_real_weights_a_dog_is_a_dog():
    """The layers left out here put back on top: most photographs of dogs fall among ImageNet's 118 breeds."""
    weights = load_file(real("weights") / "mobilenet_v2_imagenet.safetensors")
    network = MobileNetV2.from_weights("features.17", weights).eval()
    with (real("pairs") / "pairs.csv").open() as file:
        dogs = [row for row in csv.DictReader(file) if row["class"] == "dog" and row["hard"] == "0"][:20]
    pixels = [np.array(Image.open(real("pairs") / row["frame"]).convert("RGB").resize((224, 224))) for row in dogs]
    frames = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    top = {name: tensor.float() for name, tensor in weights.items()}
    with torch.inference_mode():
        seen = network(frames)
        assert seen.shape == (len(dogs), 320, 14, 14)
        seen = F.conv2d(seen, top["features.18.0.weight"], top["features.18.0.bias"]).clamp(0, 6).mean(dim=(2, 3))
        said = (seen @ top["classifier.1.weight"].T + top["classifier.1.bias"]).argmax(dim=1)
    assert ((said >= 151) & (said <= 268)).float().mean() >= 0.7
