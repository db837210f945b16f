"""What groups of params.yaml must agree on: mistakes that no key makes alone."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline.foundation.params import (
    SOUNDNET_RATE,
    SOUNDNET_SHORTEST,
    Attend,
    Detector,
    Extract,
    Group,
    Listen,
    Runtime,
    Saliency,
    SelectiveSearch,
    Source,
    Train,
)

G = TypeVar("G", bound=Group)
BRING_VECTORS = ("pairs", "flickr_soundnet")  # sources that may bring a vector of each sound


def disagreements(raw: Mapping[str, object]) -> Iterator[str]:
    """Mistakes that no key makes alone, between the groups that are right by themselves."""
    source, attend = _valid(Source, raw, "source"), _valid(Attend, raw, "attend")
    train, listen = _valid(Train, raw, "train"), _valid(Listen, raw, "listen")
    if source:
        yield from _of_source(source, trains=train is None or train.epochs > 0)
    proposers, detectors = raw.get("proposers"), raw.get("detectors")
    if isinstance(proposers, Mapping) and isinstance(detectors, Mapping):
        for name in detectors:
            yield from _of_detector(name, _valid(Detector, detectors, name), proposers)
        if attend:
            yield from _of_attend(attend, proposers, detectors)
    runtime = _valid(Runtime, raw, "runtime")
    if runtime and runtime.scheduler and runtime.engine != "dask":
        yield f"runtime.scheduler: got {runtime.scheduler!r} with engine {runtime.engine}; accepted: null, or dask"
    if train:
        yield from _of_train(train)
    if train and listen and (train.audio == "vectors") != (listen.features != "logmel"):
        yield (
            f"train.audio, listen.features: got {train.audio} and {listen.features}; "
            "accepted: small or resnet18 with logmel, vectors with all others"
        )
    extract = _valid(Extract, raw, "extract")
    if listen:
        yield from _of_listen(listen, extract)
    if source and listen and listen.features == "vectors" and source.name not in BRING_VECTORS:
        yield f"listen.features: got 'vectors', but source {source.name} brings none; accepted: logmel"


def _valid(model: type[G], raw: Mapping[str, object], name: str) -> G | None:
    try:
        return model.model_validate(raw.get(name))
    except ValidationError:
        return None  # each of its mistakes is told already


def _of_source(source: Source, trains: bool) -> Iterator[str]:
    shares = source.val_share + source.test_share
    if shares > 1 or (shares == 1 and trains):  # with nothing to train, all clips may be there to test
        yield (
            f"source.val_share, source.test_share: got {source.val_share:g} and {source.test_share:g}, "
            "which leave nothing to train on; accepted: a sum below 1, or of 1 with train.epochs 0"
        )
    if world_of(source.root) != world_of(source.watch):
        yield (
            f"source.root, source.watch: got {source.root} and {source.watch}, where no change of the clips is seen; "
            "accepted as watch: the root itself, or a file that lists what is there"
        )


def world_of(folder: str) -> str | None:
    """The name of the world of params.yaml that a folder is, or lies in; None for any other folder."""
    parts = Path(os.path.normpath(folder)).parts
    return parts[2] if parts[:2] == ("data", "worlds") and len(parts) > 2 else None


def _of_detector(name: str, detector: Detector | None, proposers: Mapping[str, object]) -> Iterator[str]:
    place = f"detectors.{name}"
    if name in proposers:
        yield f"{place}: a proposer has this name too, and their regions need a folder each; accepted: another name"
    if detector is None:
        return
    if detector.epochs and not detector.train_list:
        yield f"{place}.train_list: got null with epochs {detector.epochs}; accepted: a list in root, or epochs 0"
    if detector.epochs == 0 and detector.weights is None:
        yield f"{place}.epochs: got 0 with weights null; accepted: 1 or more, or weights to take as they are"
    if detector.weights == "coco" and detector.network not in ("mobilenet_v3_320_fpn", "resnet50_fpn"):
        yield (
            f"{place}.weights: got 'coco' with network {detector.network}, of which there are none; accepted: "
            "mobilenet_v3_320_fpn, resnet50_fpn"
        )


def _of_attend(attend: Attend, proposers: Mapping[str, object], detectors: Mapping[str, object]) -> Iterator[str]:
    if attend.proposer not in {**proposers, **detectors}:
        yield f"attend.proposer: got {attend.proposer!r}; accepted: {', '.join(map(str, [*proposers, *detectors]))}"
        return
    search = _valid(SelectiveSearch, proposers, attend.proposer)
    is_scored = attend.proposer in detectors or _valid(Saliency, proposers, attend.proposer) is not None
    if search and attend.weight == "score":
        yield (
            f"attend.weight: got 'score', but {attend.proposer} is a search, which gives none; accepted with it: "
            "uniform, rank, auto"
        )
    if is_scored and attend.weight in ("uniform", "rank") and attend.order != "area":
        yield (
            f"attend.order: got {attend.order!r}, but {attend.proposer} is no search, whose regions have levels; "
            "accepted with it: area (or attend.weight: score)"
        )
    if search and search.engine == "opencv" and attend.order in ("hierarchy", "expected"):
        yield (
            f"attend.order: got {attend.order!r}, but OpenCV's engine tells no level of a region; accepted with it: "
            f"opencv, area (or proposers.{attend.proposer}.engine: native)"
        )
    if attend.mask_t is not None and attend.order != "expected":
        yield f"attend.mask_t: got {attend.mask_t:g} with order {attend.order}; accepted: null, or order expected"
    if search and attend.order == "expected" and attend.weight == "rank":
        yield f"attend.weight: got {attend.weight!r} with order expected; accepted: uniform, auto"


def _of_listen(listen: Listen, extract: Extract | None) -> Iterator[str]:
    has_network = listen.features not in ("logmel", "vectors")
    if has_network != (listen.weights is not None):
        accepted = "a weights file" if has_network else "null, as no network hears"
        yield f"listen.weights: got {listen.weights} with features {listen.features}; accepted: {accepted}"
    if listen.features == "vectors" and listen.peak is not None:
        yield f"listen.peak: got {listen.peak:g} with features vectors, which are made already; accepted: null"
    if extract and listen.features == "soundnet" and round(extract.seconds * SOUNDNET_RATE) < SOUNDNET_SHORTEST:
        yield (
            f"extract.seconds: got {extract.seconds:g} with listen.features soundnet, which hears nothing in less than "
            f"{SOUNDNET_SHORTEST / SOUNDNET_RATE:.2f} s; accepted: 9.5 or more, shorter sounds are repeated; paper: 20"
        )


def _of_train(train: Train) -> Iterator[str]:
    if (train.t is None) == (train.t_share is None):
        yield f"train.t, train.t_share: got {train.t} and {train.t_share}; accepted: one of them, the other null"
    if train.epochs == 0 and train.init is None:
        yield "train.epochs: got 0 with init null; accepted: 1 or more, or an init to evaluate"
    if train.init is not None and Path(os.path.normpath(train.init)).parts[:2] == ("data", "model"):
        yield f"train.init: got {train.init}, which the stage train replaces; accepted: a copy of it elsewhere"
    weights, layer = train.vision_weights, train.vision_layer
    has_layer = train.vision == "mobilenet_v2"
    if train.vision != "small" and ((layer is not None) != has_layer or (weights is None) == (train.init is None)):
        accepted = "a weights file" if train.init is None else "null, as init brings the weights"
        layers = "features.13, features.17 or both, joined by +" if has_layer else "null"
        yield (
            f"train.vision_weights, train.vision_layer: got {weights} and {layer}; "
            f"accepted with vision {train.vision}: {accepted}, and {layers}"
        )
    if train.vision == "small" and (weights or layer or train.freeze_vision):
        yield (
            "train.vision_weights, train.vision_layer, train.freeze_vision: set for vision small, which has no weights "
            "to load or to freeze; accepted: null, null, false"
        )
