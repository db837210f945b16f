"""What params.yaml may say: one strict model per group, every mistake reported at once.

No key has a default here: params.yaml is the one place where a value stands. A number may be written in any
way that reads as one (`1e-5`, `1E-5`, `0.00001`); a key that nobody knows is an error.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from model.systems import SYSTEMS
from pipeline.foundation.errors import UserError

PARAMS_FILE = Path("params.yaml")
STRIDE = 16  # of every visual network: a frame of S pixels has S / 16 cells a side (Sec. 3.2)


def _registered(name: str) -> str:
    if name not in SYSTEMS:
        raise ValueError
    return name


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Natural = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
ProtocolName = Literal[  # model/protocols.py; docs/evaluation.md
    "adaptive",
    "adaptive_strict",
    "lvs_top50",
    "lvs_top50_literal",
    "ez_top50",
    "slavc_relative",
    "slavc_absolute",
    "half_max",
    "max_fraction",
    "max_fraction_20",
    "max_fraction_50",
    "best_fixed",
    "best_fixed_on_test",
]
Features = Literal["logmel", "vectors", "soundnet", "yamnet_scores", "yamnet_embedding"]
SystemName = Annotated[str, AfterValidator(_registered), Field(json_schema_extra={"enum": list(SYSTEMS)})]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


class Group(BaseModel):
    """A group of params.yaml: strict types, no unknown key, never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_numbers(cls, values: Any) -> Any:
        """Take `1e-5` as a number also where a YAML 1.1 writer left it as text, and 3.0 as a whole one."""
        if not isinstance(values, dict):
            return values
        return {key: _number(value, _types_of(cls, key)) for key, value in values.items()}


G = TypeVar("G", bound=Group)


def _types_of(model: type[BaseModel], key: object) -> set[Any]:
    """All types that a field's annotation names, at any depth."""
    field = model.model_fields.get(str(key))
    found: set[Any] = set()
    todo: list[Any] = [] if field is None else [field.annotation]
    while todo:
        annotation = todo.pop()
        if isinstance(annotation, type):
            found.add(annotation)
        todo += get_args(annotation)
    return found


def _number(value: Any, types: set[Any]) -> Any:
    if isinstance(value, str) and (float in types or int in types):
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, float) and value.is_integer() and int in types:
        return int(value)
    return value


class World(Group):
    """A small world of videos that the product makes itself."""

    train: Count
    val: Natural
    test: Natural
    boxed: Natural
    seed: Seed


class Source(Group):
    """Where the clips come from, and how they are split where the source does not say."""

    name: Literal["ave", "avsbench", "flickr_soundnet", "folder", "is3", "music", "pairs", "vggss"]
    root: str
    watch: str
    train_list: str | None
    test_list: str | None
    silent_list: str | None
    train_clips: Count | None
    test_clips: Count | None
    val_share: Share
    test_share: Share
    accept_leaks: bool
    seed: Seed


class Extract(Group):
    """What is taken from a clip."""

    frame_position: Share
    frame_size: Annotated[int, Field(ge=2 * STRIDE, multiple_of=STRIDE)]
    sample_rate: Annotated[int, Field(ge=4000)]
    seconds: Positive
    cpu_limit: Positive
    max_megapixels: Positive
    shard_clips: Count


ENGINES = ("native", "opencv", "spectral_residual", "fine_grained")  # of proposers.NAME.engine


class SelectiveSearch(Group):
    """A selective search (Uijlings et al. 2013)."""

    engine: Annotated[Literal["native", "opencv"], Field(json_schema_extra={"enum": list(ENGINES)})]
    mode: Literal["single", "fast", "quality"]


class Saliency(Group):
    """What stands out in a frame, without any training."""

    engine: Annotated[Literal["spectral_residual", "fine_grained"], Field(json_schema_extra={"enum": list(ENGINES)})]
    levels: Count


def _kind(entry: Any) -> str:
    """Which of the two an entry of `proposers` is: its engine tells."""
    engine = entry.get("engine") if isinstance(entry, Mapping) else getattr(entry, "engine", None)
    return "saliency" if engine in ENGINES[2:] else "search"


KINDS: dict[str, type[Group]] = {"search": SelectiveSearch, "saliency": Saliency}
Proposer = Annotated[
    Annotated[SelectiveSearch, Tag("search")] | Annotated[Saliency, Tag("saliency")], Discriminator(_kind)
]


class Detector(Group):
    """A Faster R-CNN, trained on boxed photographs in PASCAL VOC's layout, or taken as it is."""

    root: str
    train_list: str | None
    val_list: str | None
    classes: Annotated[list[str], Field(min_length=1)] | None
    network: Literal["small", "mobilenet_v2", "mobilenet_v3_320_fpn", "resnet50_fpn"]
    weights: str | None
    frame_size: Annotated[int, Field(ge=2 * STRIDE, multiple_of=STRIDE)]
    augment: Literal["none", "flips", "strong"]
    epochs: Natural
    batch: Count
    lr: Positive
    precision: Literal["auto", "float32", "bfloat16"]
    seed: Seed


class Attend(Group):
    """How regions become a bottom-up map (Eq. 1, 2)."""

    proposer: Name
    k: Count
    order: Literal["opencv", "hierarchy", "area", "expected"]
    mask_t: Annotated[float, Field(ge=0)] | None
    weight: Literal["uniform", "rank", "score", "auto"]
    tau: Share
    resize: Literal["bilinear", "area"]
    control: Literal["none", "places", "cells", "constant"]
    seed: Seed


class Listen(Group):
    """What the sound network is given."""

    features: Features
    weights: str | None
    peak: Annotated[float, Field(gt=0, le=1)] | None


class Train(Group):
    """The system and how it is trained (Sec. 3.2, 3.3, 4.2)."""

    system: SystemName
    correspondence: Literal["own_attention", "as_written", "as_coded"]
    rectified: list[Literal["cosine", "z", "f_a"]] | None
    vision: Literal["small", "mobilenet_v2", "vgg16", "resnet18", "squeezenet"]
    vision_layer: Literal["features.13", "features.17", "features.13+features.17"] | None
    vision_weights: str | None
    freeze_vision: bool
    audio: Literal["small", "resnet18", "vectors"]
    loss: Literal["negative", "soft", "hard"]
    alpha: Annotated[float, Field(ge=0)]
    t: Annotated[float, Field(ge=0)] | None
    t_share: Annotated[float, Field(gt=0, lt=1)] | None
    temperature: Positive
    distance_temperature: Positive
    augment: Literal["none", "flips", "strong", "as_coded", "as_coded_map_follows"]
    init: str | None
    epochs: Natural
    batch: Annotated[int, Field(ge=2)]
    lr: Positive
    precision: Literal["auto", "float32", "bfloat16"]
    seed: Seed


class Evaluate(Group):
    """What is measured, on which clips."""

    split: Literal["train", "val", "test"]
    protocols: Annotated[list[ProtocolName], Field(min_length=1)]
    vote: Literal["none", "regions"]
    bootstrap: Count
    overlays: Natural


class Runtime(Group):
    """How the work is done; nothing here changes what comes out, but for the device."""

    engine: Literal["joblib", "dask"]
    workers: Count | None
    scheduler: Annotated[str, Field(pattern=r"^(tcp|tls)://.+:\d+$")] | None
    device: Literal["auto", "cpu", "cuda", "mps"]


class Params(Group):
    """All of params.yaml."""

    worlds: dict[Name, World]
    source: Source
    extract: Extract
    proposers: Annotated[dict[Name, Proposer], Field(min_length=1)]
    detectors: dict[Name, Detector]
    attend: Attend
    listen: Listen
    train: Train
    evaluate: Evaluate
    runtime: Runtime


SOUNDNET_RATE, SOUNDNET_SHORTEST = 22_050, 209_374  # Hz; samples: as model/networks/soundnet.py has them, beside torch
BRING_VECTORS = ("pairs", "flickr_soundnet")  # sources that may bring a vector of each sound
MAPPINGS: dict[str, type[Group]] = {
    "worlds": World,
    "proposers": SelectiveSearch,
    "detectors": Detector,
}  # their entries' names are free


def read_yaml(path: Path) -> Any:
    """What a YAML 1.2 file holds, in plain Python types.

    Raises UserError where the file is missing, unreadable or not YAML.
    """
    try:
        return parse_yaml(path, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run from the project's folder") from error


def parse_yaml(content: Path | str, place: str) -> Any:
    """The same of a file, or of the text of one that messages call `place`."""
    try:
        return YAML(typ="safe", pure=True).load(content)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{place}{line}: not valid YAML ({problem}); mend that line") from error


def load(
    path: Path = PARAMS_FILE, overrides: Mapping[str, Mapping[str, object]] | None = None, place: str | None = None
) -> Params:
    """Read and check parameters; `overrides` replaces keys of groups, as a cell of a table does.

    Raises UserError with one line for each mistake, beginning with `place`: the file, unless the caller knows better.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise UserError(f"{path}: holds no parameter groups; accepted: {', '.join(Params.model_fields)}")
    for group, values in (overrides or {}).items():
        raw[group] = {**(raw.get(group) or {}), **values}
    return check(raw, place or str(path))


def check(raw: Mapping[str, object], place: str = str(PARAMS_FILE)) -> Params:
    """Params of plain values.

    Raises UserError that names every mistake: key, value seen, what would be accepted.
    """
    lines: list[str] = []
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        params = None
        lines = [_mistake(e["loc"], e["type"], e["input"]) for e in error.errors(include_url=False)]
    lines += _disagreements(raw)
    if params is None or lines:
        raise UserError("\n".join(f"{place}: {line}" for line in lines))
    return params


def _mistake(loc: tuple[int | str, ...], kind: str, seen: object) -> str:
    """One line on one mistake at the place `loc`."""
    keys = [str(part) for part in loc if part != "[key]"]
    tag = keys.pop(2) if len(keys) > 2 and keys[0] == "proposers" else None
    place = ".".join(keys)
    parent, known = _model_at(keys[:-1], tag)
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{place}: unknown key; {hint}accepted: {', '.join(known)}"
    if kind == "missing":
        return f"{place}: missing; accepted: {_accepted(parent, keys[-1])}"
    if "[key]" in loc:
        return f"{place}: not a name; accepted: letters, digits and _"
    if len(keys) == 2 and keys[0] in MAPPINGS:  # a whole entry of a mapping
        return f"{place}: got {seen!r}; accepted: a mapping with {', '.join(MAPPINGS[keys[0]].model_fields)}"
    while keys and keys[-1] not in known:  # inside a list or a union: the field is what the user wrote
        keys.pop()
        parent, known = _model_at(keys[:-1], tag)
    return f"{'.'.join(keys)}: got {seen!r}; accepted: {_accepted(parent, keys[-1]) if keys else 'a mapping of groups'}"


def _model_at(keys: list[str], tag: str | None) -> tuple[type[BaseModel], list[str]]:
    """The model that the keys lead to and the names of its fields; tag: the kind of an entry of `proposers`."""
    model: type[BaseModel] = Params
    for depth, key in enumerate(keys):
        if depth == 1 and keys[0] in MAPPINGS:
            model = KINDS[tag] if tag else MAPPINGS[keys[0]]
        elif key in model.model_fields and key not in MAPPINGS:
            annotation = model.model_fields[key].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return model, list(model.model_fields)


def _accepted(model: type[BaseModel], key: str) -> str:
    """What a field accepts, in words, from its JSON schema."""
    field = model.model_fields[key]
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return f"a mapping with {', '.join(field.annotation.model_fields)}"
    return _words(model.model_json_schema()["properties"][key])


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"a list of at least {schema.get('minItems', 0)} of: {_words(schema['items'])}"
    if schema.get("minProperties"):
        return "a mapping with at least one entry"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    limits = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    words = [f"{sign} {schema[limit]:g}" for limit, sign in limits.items() if limit in schema]
    if "multipleOf" in schema:
        words.append(f"a multiple of {schema['multipleOf']:g}")
    name = names.get(schema.get("type", ""), "null" if schema.get("type") == "null" else "a mapping")
    return ", ".join([name, *words])


def _disagreements(raw: Mapping[str, object]) -> Iterator[str]:
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
