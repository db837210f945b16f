"""What params.yaml may say: one strict model per group. pipeline/foundation/params_file.py reads and checks the file.

No key has a default here: params.yaml is the one place where a value stands. A number may be written in any
way that reads as one (`1e-5`, `1E-5`, `0.00001`); a key that nobody knows is an error.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from model.systems import SYSTEMS

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
MAPPINGS: dict[str, type[Group]] = {
    "worlds": World,
    "proposers": SelectiveSearch,
    "detectors": Detector,
}  # their entries' names are free
