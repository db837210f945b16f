"""A system as files: model.safetensors (its numbers) and model.json (all that it takes to build it again)."""

import json
from dataclasses import asdict, dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from model.audio import GivenVector, LogMelResNet18, SmallAudio
from model.network import Network
from model.networks.imagenet import ImageNetNetwork, refuse_dead_eyes
from model.networks.resnet18 import ResNet18
from model.networks.squeezenet import SqueezeNet
from model.networks.vgg16 import VGG16
from model.networks.weights import listed
from model.system import System
from model.systems import SYSTEMS
from model.vision import MobileNetV2, Padding, SmallVision
from pipeline.foundation import weights
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import digest, write_whole
from pipeline.foundation.params import Train
from pipeline.foundation.shards import fingerprint

FILES = ("model.safetensors", "model.json")
# Keys of train that say what is computed.
NETWORKS = ("system", "correspondence", "rectified", "vision", "vision_layer", "audio")
# Keys that train did not always have, and the value that stands for what was done before. Left out where they have it:
# what was trained before keeps its name in scratch.
LATER_KEYS: dict[str, object] = {"init": None, "loss": "negative", "rectified": None}
IMAGENET: dict[str, type[ImageNetNetwork]] = {"vgg16": VGG16, "resnet18": ResNet18, "squeezenet": SqueezeNet}
MAY_LACK = ("n_labels", "front_end")  # of a card
SAME_HEARING = ("features", "weights", "sample_rate")  # of two front ends between which a system may move


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
    front_end: dict[str, Any] | None = None  # what its sounds were heard through: a `hearing.FrontEnd`


@dataclass(frozen=True)
class Known:
    """What a system must know of the clips that it is trained on.

    sound_size, sound_statistics: numbers a sound, or mel bands; their mean and deviation. unit: of the maps. front_end:
    what the sounds were heard through.
    """

    sound_size: int
    sound_statistics: tuple[float, float]
    unit: float
    n_labels: int | None = None
    front_end: dict[str, Any] | None = None


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
    _check_hearing(settings, card.front_end or {}, known.front_end or {})
    sound_size = known.sound_size
    if card.sound_size != sound_size:
        what = "numbers of a vector" if settings.audio == "vectors" else "mel bands"
        raise UserError(
            f"params.yaml: train.init: {settings.init} hears {card.sound_size} {what}, and data/sounds has "
            f"{sound_size}; name a checkpoint that was trained on as many"
        )
    system.settings = _settings(settings, known.unit, known.n_labels)
    return _frozen(system, settings)


def _check_hearing(settings: Train, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Raise UserError where a checkpoint knows other sounds than those of data/sounds, as far as both are told."""
    other = [key for key in SAME_HEARING if theirs and ours and theirs[key] != ours[key]]
    if settings.audio == "vectors":
        other = [key for key in other if key != "sample_rate"]  # a network hears all rates alike
    if other:
        had, has = (", ".join(f"{key} {str(group[key])[:16]}" for key in other) for group in (theirs, ours))
        raise UserError(
            f"params.yaml: train.init: {settings.init} was trained on sounds of {had}, and data/sounds has {has}; set "
            "listen and extract as it had them, or name another"
        )


def frozen_network(settings: Train) -> Network:
    """The visual network that a run with `freeze_vision` begins with and keeps."""
    if settings.init is None:
        return pretrained(settings)
    return _init(settings)[0].vision


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
    audio: Network
    if settings.audio == "vectors":
        audio = GivenVector(known.sound_size)
    else:
        audio = {"small": SmallAudio, "resnet18": LogMelResNet18}[settings.audio](*known.sound_statistics)
    return system_class(settings.system)(vision, audio, _settings(settings, known.unit, known.n_labels))


def _settings(settings: Train, unit: float, n_labels: int | None) -> Any:
    """The settings that a system's class names, from the group of params.yaml and from the clips."""
    wanted = system_class(settings.system).settings_class
    of_clips = {"unit": unit, "n_labels": n_labels}
    names = [field.name for field in fields(wanted)]
    return wanted(**{name: of_clips[name] if name in of_clips else getattr(settings, name) for name in names})


def pretrained(settings: Train) -> Network:
    """The visual network with the weights of the file that the settings name.

    Raises UserError where the file holds no such network, whole and alive.
    """
    assert settings.vision_weights is not None  # params.yaml has one with every network but the small one
    place = f"params.yaml: train.vision_weights: {settings.vision_weights}"
    tensors = weights.read(Path(settings.vision_weights), place)
    name = IMAGENET[settings.vision].__name__ if settings.vision in IMAGENET else "MobileNetV2"
    try:
        if settings.vision in IMAGENET:
            return IMAGENET[settings.vision].from_weights(tensors)
        assert settings.vision_layer is not None  # params.yaml has one with mobilenet_v2
        network = MobileNetV2.from_weights(settings.vision_layer, tensors)
        if extra := [name for name in tensors if not name.startswith(("features.", "classifier."))]:
            raise ValueError(f"a tensor that it does not have: {listed(extra)}")
        refuse_dead_eyes(network)
        return network
    except ValueError as error:
        raise UserError(f"{place} is no {name} ({error})") from error


def _untaught(settings: Train, padding: Padding | None) -> Network:
    """The visual network that the settings name, for a checkpoint's numbers."""
    if settings.vision in IMAGENET:
        return IMAGENET[settings.vision]()
    if padding is not None and settings.vision_layer is not None:
        return MobileNetV2(settings.vision_layer, padding)
    return SmallVision()


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
        if not path.is_file():
            raise UserError(
                f"params.yaml: train.vision_weights: {path} does not exist; put the file there, or name another"
            )
        plain["vision_weights"] = digest(path)
    return plain


def save(folder: Path, system: System, card: Card) -> None:
    """Write model.safetensors and model.json."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in system.state_dict().items()}
    write_whole(folder / "model.safetensors", save_tensors(tensors))
    told = {key: value for key, value in asdict(card).items() if key not in MAY_LACK or value is not None}
    write_whole(folder / "model.json", json.dumps(told, indent=2, sort_keys=True) + "\n")


def load(folder: Path, advice: str = "run `dvc repro train`") -> tuple[System, Card]:
    """A trained system and what it says of itself; `advice` is what to do where it cannot be read."""
    try:
        card = Card(**json.loads((folder / "model.json").read_text()))
        card = replace(card, train=LATER_KEYS | card.train)
        settings = Train.model_validate(card.train)
        vision = _untaught(settings, card.padding)
        system = _build(settings, vision, Known(card.sound_size, (0, 1), card.unit, card.n_labels))
        system.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: no readable checkpoint ({_first_line(error)}); {advice}") from error
    return system.eval(), card


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
