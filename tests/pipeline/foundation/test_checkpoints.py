import dataclasses
import json

import pytest
import torch
from ruamel.yaml import YAML

from model.networks.resnet18 import ResNet18
from model.networks.squeezenet import SqueezeNet
from model.networks.vgg16 import VGG16
from model.vision import MobileNetV2
from pipeline.foundation import checkpoints
from pipeline.foundation.checkpoints import Card, Known
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Train
from tests.samples import ROOT
from tests.weights import random_weights


@pytest.fixture
def settings() -> Train:
    return Train.model_validate(YAML(typ="safe", pure=True).load(ROOT / "params.yaml")["train"])


@pytest.fixture
def card(settings: Train) -> Card:
    return Card(settings.model_dump(), None, 64, 0.0025, 12, "cpu", "float32")


def test_a_system_is_loaded_as_it_was_saved(settings, card, tmp_path):
    torch.manual_seed(0)
    system = checkpoints.new_system(settings, Known(64, (-40.7, 10.6), card.unit)).eval()
    checkpoints.save(tmp_path, system, card)
    loaded, read_card = checkpoints.load(tmp_path)
    assert read_card == card
    frames, sounds, maps = torch.rand(2, 3, 64, 64), torch.randn(2, 64, 50), torch.rand(2, 4, 4)
    assert torch.equal(loaded.heat(frames, sounds, maps), system.heat(frames, sounds, maps))
    assert loaded.settings == system.settings


def test_the_same_system_gives_the_same_bytes(settings, card, tmp_path):
    system = checkpoints.new_system(settings, Known(64, (0, 1), 0))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        checkpoints.save(tmp_path / name, system, card)
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_folder_without_a_checkpoint_is_told(tmp_path):
    with pytest.raises(UserError, match="no readable checkpoint"):
        checkpoints.load(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(UserError, match="no readable checkpoint"):
        checkpoints.load(tmp_path)


def with_weights(settings: Train, path: object) -> Train:
    changes = {"vision": "mobilenet_v2", "vision_layer": "features.13", "vision_weights": str(path)}
    return settings.model_copy(update=changes)


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no weights", "holds no plain tensors"),
        (b"", "holds no plain tensors"),
        ([1, 2], "no state dict"),
        ({"a": Evil()}, "holds no plain tensors"),
        ({"features.0.0.weight": torch.zeros(1)}, r"no MobileNetV2 \(features.0.0: shape \(1,\)"),
        ({"a": torch.zeros(1)}, r"no MobileNetV2 \(no tensor features.0.0.weight\)"),
        (
            MobileNetV2("features.13", "same").state_dict() | {"a": torch.zeros(1)},
            r"no MobileNetV2 \(a tensor that .*: a\)",
        ),
        (
            {n: torch.zeros_like(t) for n, t in MobileNetV2("features.13", "same").state_dict().items()},
            r"no MobileNetV2 \(dead features: 100.0 % of them are zero\)",
        ),
    ],
)
def test_a_weights_file_that_is_none_is_told_by_name(settings, tmp_path, content, told, capsys):
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=f"train.vision_weights: {path} .*{told}"):
        checkpoints.pretrained(with_weights(settings, path))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("audio", ["small", "resnet18"])
def test_sounds_stay_normalised_as_they_were_in_training(settings, card, tmp_path, audio):
    settings = settings.model_copy(update={"audio": audio})
    system = checkpoints.new_system(settings, Known(64, (-40.7, 10.6), card.unit))
    checkpoints.save(tmp_path, system, dataclasses.replace(card, train=settings.model_dump()))
    loaded = checkpoints.load(tmp_path)[0].audio
    assert (float(loaded.mean), float(loaded.deviation)) == pytest.approx((-40.7, 10.6))


def test_a_missing_weights_file_is_told(settings, tmp_path):
    with pytest.raises(UserError, match="does not exist; put the file there"):
        checkpoints.pretrained(with_weights(settings, tmp_path / "x.safetensors"))


def test_a_run_without_init_is_named_and_told_as_before_there_was_one(settings):
    assert "init" not in checkpoints.without_places(settings)


def test_a_checkpoint_that_was_made_before_there_was_init_is_read(settings, card, tmp_path):
    made_before = {key: value for key, value in card.train.items() if key != "init"}
    system = checkpoints.new_system(settings, Known(64, (0, 1), 0))
    checkpoints.save(tmp_path, system, dataclasses.replace(card, train=made_before))
    assert checkpoints.load(tmp_path)[1] == card


def test_init_is_named_by_its_content_and_not_by_its_place(settings, card, tmp_path):
    def named(folder: str) -> str:
        return checkpoints.without_places(settings.model_copy(update={"init": str(tmp_path / folder)}))["init"]

    system = checkpoints.new_system(settings, Known(64, (0, 1), 0))
    for folder, unit in (("a", 0.0), ("b", 0.0), ("c", 0.5)):
        (tmp_path / folder).mkdir()
        checkpoints.save(tmp_path / folder, system, dataclasses.replace(card, unit=unit))
    assert named("a") == named("b") != named("c")
    with pytest.raises(UserError, match=r"train.init: .*/d has no model.safetensors and no model.json; name the fol"):
        named("d")


@pytest.fixture
def init(settings, card, tmp_path) -> Train:
    """Settings that begin with a checkpoint."""
    torch.manual_seed(0)
    checkpoints.save(tmp_path, checkpoints.new_system(settings, Known(64, (-40.5, 10.6), card.unit)), card)
    return settings.model_copy(update={"init": str(tmp_path)})


def test_a_begun_system_has_the_weights_and_the_run_s_own_settings(init, tmp_path):
    loaded, _ = checkpoints.load(tmp_path)
    begun = checkpoints.begun_system(
        init.model_copy(update={"alpha": 3.0, "temperature": 0.5}), Known(64, (0, 1), 0.25)
    )
    assert all(
        torch.equal(a, b) for a, b in zip(begun.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert (begun.settings.alpha, begun.settings.temperature, begun.settings.unit) == (3, 0.5, 0.25)
    assert float(begun.audio.mean) == -40.5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"audio": "vectors"}, r"train.audio: got vectors, but the checkpoint of train.init, .*, has small; set"),
        (
            {"vision": "mobilenet_v2", "vision_layer": "features.13", "correspondence": "as_coded"},
            r"train.correspondence, train.vision, train.vision_layer: got as_coded, mobilenet_v2, features.13, but .*"
            "has own_attention, small, None; set what it has",
        ),
    ],
)
def test_a_checkpoint_of_another_network_is_told_by_the_keys_that_differ(init, changes, told):
    with pytest.raises(UserError, match=told):
        checkpoints.begun_system(init.model_copy(update=changes), Known(64, (0, 1), 0))


def test_a_checkpoint_that_hears_something_else_is_told(init):
    with pytest.raises(UserError, match="hears 64 mel bands, and data/sounds has 80; name a checkpoint"):
        checkpoints.begun_system(init, Known(80, (0, 1), 0))


@pytest.mark.parametrize("changes", [{"vision": "mobilenet_v2"}, {"correspondence": "as_coded"}])
def test_a_checkpoint_whose_two_files_disagree_is_told(init, tmp_path, changes):
    card = json.loads((tmp_path / "model.json").read_text())
    card["train"] |= changes
    if "vision" in changes:
        card |= {"padding": "same"}
        card["train"]["vision_layer"] = "features.13"
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"no readable checkpoint \(Error.*; name the folder of another one in train.i"):
        checkpoints.begun_system(init, Known(64, (0, 1), 0))


def test_a_card_says_nothing_of_when_or_where(card):
    assert {field.name for field in dataclasses.fields(card)} == {
        *("train", "padding", "sound_size", "unit", "n_clips", "device", "precision", "n_labels", "front_end")
    }


@pytest.mark.parametrize(("name", "kind"), [("vgg16", VGG16), ("resnet18", ResNet18), ("squeezenet", SqueezeNet)])
@pytest.mark.parametrize("audio", ["small", "resnet18"])
def test_a_system_with_other_networks_is_loaded_as_it_was_saved(settings, card, tmp_path, name, kind, audio):
    torch.save(random_weights(kind()), tmp_path / "weights.pth")
    changes = {"vision": name, "vision_weights": str(tmp_path / "weights.pth"), "freeze_vision": True, "audio": audio}
    chosen = settings.model_copy(update=changes)
    system = checkpoints.new_system(chosen, Known(64, (-40, 10), card.unit)).eval()
    assert not any(p.requires_grad for p in system.vision.parameters())
    named = dataclasses.replace(card, train=checkpoints.without_places(chosen), front_end={"features": "logmel"})
    checkpoints.save(tmp_path, system, named)
    loaded, read_card = checkpoints.load(tmp_path)
    assert read_card.front_end == {"features": "logmel"}
    frames, sounds, maps = torch.rand(2, 3, 64, 64), torch.randn(2, 64, 50), torch.rand(2, 4, 4)
    with torch.inference_mode():
        assert torch.equal(loaded.heat(frames, sounds, maps), system.heat(frames, sounds, maps))


def test_a_file_of_another_network_is_told_by_name(settings, tmp_path):
    torch.save(random_weights(SqueezeNet()), tmp_path / "weights.pth")
    for name, told in (("vgg16", "VGG16"), ("resnet18", "ResNet18")):
        chosen = settings.model_copy(update={"vision": name, "vision_weights": str(tmp_path / "weights.pth")})
        with pytest.raises(UserError, match=rf"train.vision_weights: .*weights.pth is no {told} \(no tensor "):
            checkpoints.pretrained(chosen)


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        (
            {"features": "yamnet_scores", "weights": "b" * 99, "sample_rate": 22_050},
            "features logmel, weights None, and",
        ),
        (
            {"features": "logmel", "weights": None, "sample_rate": 16_000},
            "sample_rate 22050, and data/sounds has sample_",
        ),
    ],
)
def test_a_checkpoint_that_heard_through_another_front_end_is_told(init, tmp_path, card, ours, told):
    theirs = {"features": "logmel", "weights": None, "sample_rate": 22_050}
    checkpoints.save(tmp_path, checkpoints.load(tmp_path)[0], dataclasses.replace(card, front_end=theirs))
    with pytest.raises(UserError, match=f"train.init: .* was trained on sounds of {told}"):
        checkpoints.begun_system(init, Known(64, (0, 1), 0, front_end=ours))
    checkpoints.begun_system(init, Known(64, (0, 1), 0, front_end=theirs | {"seconds": 9}))
    checkpoints.begun_system(init, Known(64, (0, 1), 0))
