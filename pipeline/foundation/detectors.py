"""A detector as files: model.safetensors (its numbers) and model.json (all that it takes to build it again)."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import Tensor

from model import detection
from model.vision import MobileNetV2, Padding
from pipeline.foundation.errors import UserError
from pipeline.foundation.files import digest, write_whole
from pipeline.foundation.params import Detector
from pipeline.foundation.weights import read as read_weights

FILES = ("model.safetensors", "model.json")
COCO = "coco"  # detectors.NAME.weights: torchvision's own, downloaded
PREDICTOR = "roi_heads.box_predictor."
SIZE_OF_CLASSES = f"{PREDICTOR}cls_score.weight"
# What COCO calls a class of PASCAL VOC by another name.
COCO_NAMES = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Card:
    """What a detector says of itself; no times, no places."""

    detector: dict[str, Any]  # the entry of params.yaml that made it; of weights the hash, not the path
    classes: list[str]  # of the labels 1 to C
    padding: Padding  # of a MobileNetV2: which of the two it was trained with
    has_fixed_norms: bool
    n_photographs: int
    device: str
    precision: str


@dataclass(frozen=True)
class Begun:
    """A detector before its first epoch; draws from torch's generator."""

    model: detection.Model
    classes: list[str]
    padding: Padding
    has_fixed_norms: bool


def labels_of(classes: list[str]) -> dict[str, int]:
    """The label of each class, also under its name in PASCAL VOC where COCO has another."""
    labels = {name: i for i, name in enumerate(classes, 1)}
    return labels | {voc: labels[coco] for voc, coco in COCO_NAMES.items() if coco in labels and voc not in labels}


def begin(settings: Detector, place: str, classes: list[str] | None) -> Begun:
    """A detector as its settings name it, for these classes; None: for those that its weights know.

    place: what a message calls the settings. Raises UserError where the weights cannot be read or do not fit.
    """
    if settings.weights is None:
        assert classes is not None  # params.yaml has an epoch where there are no weights
        return Begun(detection.build(settings.network, len(classes), settings.frame_size), classes, "same", False)
    weights = _weights(settings, place)
    if SIZE_OF_CLASSES not in weights.tensors:
        return _on_backbone(settings, place, weights.tensors, classes)
    n_known = len(weights.tensors[SIZE_OF_CLASSES]) - 1
    model = detection.build(settings.network, n_known, settings.frame_size, weights.padding)
    try:
        model.load_state_dict(weights.tensors)
    except RuntimeError as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(
            f"{place}.weights: {settings.weights} is no {settings.network} ({what}); name another"
        ) from error
    if weights.has_fixed_norms:
        detection.freeze_norms(model, 0.0 if settings.network == "resnet50_fpn" else 1e-5)
    known = weights.classes or (classes if classes and len(classes) == n_known else None)
    if settings.epochs == 0:
        if known is None or (classes is not None and classes != known):
            raise UserError(
                f"{place}.classes: got {classes}, and {settings.weights} was trained on {known or n_known} classes; "
                "list those, in their order, or null where it tells them itself"
            )
        return Begun(model, known, weights.padding, weights.has_fixed_norms)
    assert classes is not None
    if known != classes:
        detection.replace_classes(model, len(classes))
    return Begun(model, classes, weights.padding, weights.has_fixed_norms)


@dataclass(frozen=True)
class _Weights:
    """A weights file, and what is known of it."""

    tensors: Tensors
    classes: list[str] | None = None
    padding: Padding = "same"
    has_fixed_norms: bool = True  # as torchvision's own weights have them


def _weights(settings: Detector, place: str) -> _Weights:
    assert settings.weights is not None
    if settings.weights == COCO:
        known = detection.COCO_WEIGHTS[settings.network]
        try:
            tensors = known.get_state_dict(progress=True, check_hash=True)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{place}.weights: {known.url} cannot be downloaded ({_first_line(error)}); fetch it elsewhere and "
                "name the file in place of coco"
            ) from error
        return _Weights(tensors, known.meta["categories"][1:])
    path = Path(settings.weights)
    tensors = read_weights(path, f"{place}.weights: {path}")
    card = path.with_name("model.json")
    if path.name == "model.safetensors" and card.is_file():
        told = _card(card)
        return _Weights(tensors, told.classes, told.padding, told.has_fixed_norms)
    coco = detection.COCO_WEIGHTS.get(settings.network)
    if coco and SIZE_OF_CLASSES in tensors and len(tensors[SIZE_OF_CLASSES]) == len(coco.meta["categories"]):
        return _Weights(tensors, coco.meta["categories"][1:])
    return _Weights(tensors)


def _on_backbone(settings: Detector, place: str, weights: Tensors, classes: list[str] | None) -> Begun:
    """An untrained detector on a pretrained visual network, whose first blocks stay as they are."""
    if settings.network != "mobilenet_v2" or classes is None:
        accepted = "weights of a whole detector" + (" or of its MobileNetV2" if settings.epochs else ", with epochs 0")
        raise UserError(f"{place}.weights: {settings.weights} holds no detector; accepted: {accepted}")
    try:
        vision = MobileNetV2.from_weights("features.17", weights)
    except ValueError as error:
        raise UserError(f"{place}.weights: {settings.weights} is no MobileNetV2 ({error}); name another") from error
    model = detection.build("mobilenet_v2", len(classes), settings.frame_size, vision.padding)
    model.backbone.vision.load_state_dict(vision.state_dict())
    return Begun(model, classes, vision.padding, False)


def without_places(settings: Detector, place: str) -> dict[str, Any]:
    """The settings as plain values, with a hash of the content of weights in place of their path; without the root."""
    plain = settings.model_dump(exclude={"root"})
    if settings.weights not in (None, COCO):
        path = Path(settings.weights)
        if not path.is_file():
            raise UserError(f"{place}.weights: {path} does not exist; put the file there, or name another")
        plain["weights"] = digest(path)
    return plain


def save(folder: Path, model: detection.Model, card: Card) -> None:
    """Write model.safetensors and model.json."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_whole(folder / FILES[0], save_tensors(tensors))
    write_whole(folder / FILES[1], json.dumps(asdict(card), indent=2, sort_keys=True) + "\n")


def load(folder: Path) -> tuple[detection.Model, Card]:
    """A finished detector and what it says of itself; raises UserError where it cannot be read."""
    try:
        card = _card(folder / FILES[1])
        settings = Detector.model_validate({**card.detector, "root": ""})
        model = detection.build(settings.network, len(card.classes), settings.frame_size, card.padding)
        if card.has_fixed_norms:
            detection.freeze_norms(model, 0.0 if settings.network == "resnet50_fpn" else 1e-5)
        model.load_state_dict(load_file(folder / FILES[0]))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: no readable detector ({_first_line(error)}); run `dvc repro detector`") from error
    return model.eval(), card


def _card(path: Path) -> Card:
    return Card(**json.loads(path.read_text()))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
