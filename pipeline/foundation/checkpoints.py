"""A system as files: model.safetensors (its numbers) and model.json (all that it takes to build it again)."""

import json
import pickle
from dataclasses import asdict, dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from model.audio import GivenVector, SmallAudio
from model.network import Network
from model.system import System
from model.systems import SYSTEMS
from model.vision import MobileNetV2, Padding, SmallVision
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import digest, write_whole
from pipeline.foundation.params import Train
from pipeline.foundation.shards import fingerprint

FILES = ("model.safetensors", "model.json")
NETWORKS = ("system", "correspondence", "vision", "vision_layer", "audio")  # keys of train that say what is computed
# Keys that train did not always have, and the value that stands for what was done before. Left out where they have it:
# what was trained before keeps its name in scratch.
LATER_KEYS: dict[str, object] = {"init": None, "loss": "negative"}


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself; no times, no places."""

    train: dict[str, Any]  # the group of params.yaml that made it; of weights and init the hash, not the path
    padding: Padding | None  # of a MobileNetV2: which of the two it was trained with
    sound_size: int  # mel bands, or numbers of a vector
    unit: float  # the step in which its maps count boxes
    n_clips: int
    device: str
    precision: str
    n_labels: int | None = None  # of a system that is told labels


@dataclass(frozen=True)
class Known:
    """What a system must know of the clips that it is trained on.

    sound_size, sound_statistics: numbers a sound, or mel bands; their mean and deviation. unit: of the maps.
    """

    sound_size: int
    sound_statistics: tuple[float, float]
    unit: float
    n_labels: int | None = None


def system_class(name: str) -> type[System]:
    """The class that the registry has for a name of `train.system`."""
    module, _, class_name = SYSTEMS[name].partition(":")
    return getattr(import_module(module), class_name)


def can_hear(settings: Train) -> None:
    """Raise UserError where the system needs sounds of another kind than the settings bring."""
    if system_class(settings.system).hears_vectors and settings.audio != "vectors":
        raise UserError(
            f"params.yaml: train.system, train.audio: {settings.system} takes its classes from vectors of class "
            f"scores, and audio {settings.audio} has none; set audio: vectors, or another system"
        )


def new_system(settings: Train, known: Known) -> System:
    """An untrained system, its visual network with the weights that the settings name. Draws from torch's generator."""
    vision = SmallVision() if settings.vision == "small" else pretrained(settings)
    return _frozen(_build(settings, vision, known), settings)


def system_with_networks_of(folder: Path, settings: Train, known: Known) -> System:
    """An untrained system with the networks of a checkpoint, which stay as they are."""
    system, _ = load(folder)
    made = system_class(settings.system)(system.vision, system.audio, _settings(settings, known.unit, known.n_labels))
    return made.requires_grad_(False)


def begun_system(settings: Train, known: Known) -> System:
    """The checkpoint of `train.init` under the settings of another run; sounds stay normalised as it knows them.

    Raises UserError where there is none, or its networks are others than the settings name.
    """
    system, card = _init(settings)
    if card.n_labels != known.n_labels:
        raise UserError(
            f"params.yaml: train.init: {settings.init} tells {card.n_labels} labels apart, and the clips to train on "
            f"have {known.n_labels}; name a checkpoint that was trained on as many"
        )
    sound_size = known.sound_size
    if card.sound_size != sound_size:
        what = "numbers of a vector" if settings.audio == "vectors" else "mel bands"
        raise UserError(
            f"params.yaml: train.init: {settings.init} hears {card.sound_size} {what}, and data/sounds has "
            f"{sound_size}; name a checkpoint that was trained on as many"
        )
    system.settings = _settings(settings, known.unit, known.n_labels)
    return _frozen(system, settings)


def frozen_network(settings: Train) -> MobileNetV2:
    """The visual network that a run with `freeze_vision` begins with and keeps."""
    if settings.init is None:
        return pretrained(settings)
    vision = _init(settings)[0].vision
    assert isinstance(vision, MobileNetV2)  # params.yaml lets nothing else be frozen
    return vision


def _init(settings: Train) -> tuple[System, Card]:
    assert settings.init is not None
    system, card = load(Path(settings.init), "name the folder of another one in train.init")
    theirs = Train.model_validate(card.train)
    if other := [key for key in NETWORKS if getattr(settings, key) != getattr(theirs, key)]:
        keys = ", ".join(f"train.{key}" for key in other)
        got, has = (", ".join(str(getattr(group, key)) for key in other) for group in (settings, theirs))
        raise UserError(
            f"params.yaml: {keys}: got {got}, but the checkpoint of train.init, {settings.init}, has {has}; "
            "set what it has, or name another"
        )
    return system, card


def _frozen(system: System, settings: Train) -> System:
    for parameter in system.vision.parameters():
        parameter.requires_grad_(not settings.freeze_vision)
    return system


def _build(settings: Train, vision: Network, known: Known) -> System:
    audio = SmallAudio(*known.sound_statistics) if settings.audio == "small" else GivenVector(known.sound_size)
    return system_class(settings.system)(vision, audio, _settings(settings, known.unit, known.n_labels))


def _settings(settings: Train, unit: float, n_labels: int | None) -> Any:
    """The settings that a system's class names, from the group of params.yaml and from the clips."""
    wanted = system_class(settings.system).settings_class
    of_clips = {"unit": unit, "n_labels": n_labels}
    names = [field.name for field in fields(wanted)]
    return wanted(**{name: of_clips[name] if name in of_clips else getattr(settings, name) for name in names})


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
    """The settings as plain values, with hashes of the content of weights and init in place of their paths.

    Without the `LATER_KEYS` that have their value there.
    """
    plain = settings.model_dump()
    for key, value in LATER_KEYS.items():
        if plain[key] == value:
            del plain[key]
    if settings.init is not None:
        folder = Path(settings.init)
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise UserError(
                f"params.yaml: train.init: {folder} has no {' and no '.join(missing)}; name the folder of an exported "
                "checkpoint, such as a copy of data/model"
            )
        plain["init"] = fingerprint(*(digest(folder / name) for name in FILES))
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
    told = {key: value for key, value in asdict(card).items() if key != "n_labels" or value is not None}
    write_whole(folder / "model.json", json.dumps(told, indent=2, sort_keys=True) + "\n")


def load(folder: Path, advice: str = "run `dvc repro train`") -> tuple[System, Card]:
    """A trained system and what it says of itself; `advice` is what to do where it cannot be read."""
    try:
        card = Card(**json.loads((folder / "model.json").read_text()))
        card = replace(card, train=LATER_KEYS | card.train)
        settings = Train.model_validate(card.train)
        vision: Network = SmallVision()
        if card.padding is not None and settings.vision_layer is not None:
            vision = MobileNetV2(settings.vision_layer, card.padding)
        system = _build(settings, vision, Known(card.sound_size, (0, 1), card.unit, card.n_labels))
        system.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: no readable checkpoint ({_first_line(error)}); {advice}") from error
    return system.eval(), card


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
