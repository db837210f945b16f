"""A system as files: model.safetensors (its numbers) and model.json (all that it takes to build it again)."""

import json
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from model.audio import GivenVector, SmallAudio
from model.systems.usol import Settings, Usol
from model.vision import MobileNetV2, Padding, SmallVision
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import digest, write_whole
from pipeline.foundation.params import Train

SYSTEMS = {"usol": Usol}
System = Usol


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself; no times, no places."""

    train: dict[str, Any]  # the group of params.yaml that made it; of a weights file the hash, not the path
    padding: Padding | None  # of a MobileNetV2: which of the two it was trained with
    sound_size: int  # mel bands, or numbers of a vector
    unit: float  # the step in which its maps count boxes
    n_clips: int
    device: str
    precision: str


def new_system(settings: Train, sound_size: int, sound_statistics: tuple[float, float], unit: float) -> System:
    """An untrained system, its visual network with the weights that the settings name. Draws from torch's generator."""
    if settings.vision == "small":
        return _build(settings, SmallVision(), sound_size, sound_statistics, unit)
    network = pretrained(settings)
    for parameter in network.parameters():
        parameter.requires_grad_(not settings.freeze_vision)
    return _build(settings, network, sound_size, sound_statistics, unit)


def _build(
    settings: Train,
    vision: SmallVision | MobileNetV2,
    sound_size: int,
    sound_statistics: tuple[float, float],
    unit: float,
) -> System:
    audio = SmallAudio(*sound_statistics) if settings.audio == "small" else GivenVector(sound_size)
    names = ("correspondence", "alpha", "t", "t_share", "temperature", "distance_temperature")
    chosen = Settings(**{name: getattr(settings, name) for name in names}, unit=unit)
    return SYSTEMS[settings.system](vision, audio, chosen)


def pretrained(settings: Train) -> MobileNetV2:
    """MobileNetV2 with the weights of the file that the settings name: safetensors, or what torch.save wrote."""
    assert settings.vision_weights and settings.vision_layer  # params.yaml has both with mobilenet_v2
    path = Path(settings.vision_weights)
    try:
        return MobileNetV2.from_weights(settings.vision_layer, read_weights(path))
    except ValueError as error:
        raise UserError(f"params.yaml: train.vision_weights: {path} is no MobileNetV2 ({error})") from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file; runs no code that a file may hold."""
    place = _weights_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{place} holds no plain tensors ({_first_line(error)}); bring the file anew") from error
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise UserError(f"{place} is no state dict: a mapping of names to tensors is accepted")
    return weights


def without_places(settings: Train) -> dict[str, Any]:
    """The settings as plain values, with a hash of the weights file's content in place of its path."""
    plain = settings.model_dump()
    if settings.vision_weights is not None:
        path = Path(settings.vision_weights)
        _weights_file(path)
        plain["vision_weights"] = digest(path)
    return plain


def _weights_file(path: Path) -> str:
    """What a message calls the weights file; raises UserError where there is none."""
    place = f"params.yaml: train.vision_weights: {path}"
    if not path.is_file():
        raise UserError(f"{place} does not exist; put the file there, or name another")
    return place


def save(folder: Path, system: System, card: Card) -> None:
    """Write model.safetensors and model.json."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in system.state_dict().items()}
    write_whole(folder / "model.safetensors", save_tensors(tensors))
    write_whole(folder / "model.json", json.dumps(asdict(card), indent=2, sort_keys=True) + "\n")


def load(folder: Path) -> tuple[System, Card]:
    """A trained system and what it says of itself."""
    try:
        card = Card(**json.loads((folder / "model.json").read_text()))
        settings = Train.model_validate(card.train)
        tensors = load_file(folder / "model.safetensors")
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder}: no readable checkpoint ({_first_line(error)}); run `dvc repro train`") from error
    vision: SmallVision | MobileNetV2 = SmallVision()
    if card.padding is not None:
        assert settings.vision_layer  # params.yaml has one with mobilenet_v2
        vision = MobileNetV2(settings.vision_layer, card.padding)
    system = _build(settings, vision, card.sound_size, (0, 1), card.unit)
    system.load_state_dict(tensors)
    return system.eval(), card


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
