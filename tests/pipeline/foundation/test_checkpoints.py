import dataclasses

import pytest
import torch
from ruamel.yaml import YAML

from pipeline.foundation import checkpoints
from pipeline.foundation.checkpoints import Card
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Train
from tests.samples import ROOT


@pytest.fixture
def settings() -> Train:
    return Train.model_validate(YAML(typ="safe", pure=True).load(ROOT / "params.yaml")["train"])


@pytest.fixture
def card(settings: Train) -> Card:
    return Card(settings.model_dump(), None, 64, 0.0025, 12, "cpu", "float32")


def test_a_system_is_loaded_as_it_was_saved(settings, card, tmp_path):
    torch.manual_seed(0)
    system = checkpoints.new_system(settings, 64, (-40.0, 10.0), card.unit).eval()
    checkpoints.save(tmp_path, system, card)
    loaded, read_card = checkpoints.load(tmp_path)
    assert read_card == card
    frames, sounds, maps = torch.rand(2, 3, 64, 64), torch.randn(2, 64, 50), torch.rand(2, 4, 4)
    assert torch.equal(loaded.heat(frames, sounds, maps), system.heat(frames, sounds, maps))
    assert loaded.settings == system.settings


def test_the_same_system_gives_the_same_bytes(settings, card, tmp_path):
    system = checkpoints.new_system(settings, 64, (0, 1), 0)
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
    ],
)
def test_a_weights_file_that_is_none_is_told_by_name(settings, tmp_path, content, told, capsys):
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=f"train.vision_weights: {path} .*{told}"):
        checkpoints.pretrained(with_weights(settings, path))
    assert capsys.readouterr().out == ""


def test_a_missing_weights_file_is_told(settings, tmp_path):
    with pytest.raises(UserError, match="does not exist; put the file there"):
        checkpoints.pretrained(with_weights(settings, tmp_path / "x.safetensors"))


def test_a_card_says_nothing_of_when_or_where(card):
    assert {field.name for field in dataclasses.fields(card)} == {
        *("train", "padding", "sound_size", "unit", "n_clips", "device", "precision")
    }
