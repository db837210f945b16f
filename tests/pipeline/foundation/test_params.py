from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from model.protocols import FITTED, PROTOCOLS
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import ProtocolName
from pipeline.foundation.params_file import check, load, read_yaml
from tests.samples import ROOT


@pytest.fixture
def raw() -> dict:
    return YAML(typ="safe", pure=True).load(ROOT / "params.yaml")


def mistakes(raw: dict) -> list[str]:
    with pytest.raises(UserError) as caught:
        check(raw)
    return str(caught.value).splitlines()


def test_the_committed_parameters_are_accepted(raw):
    params = check(raw)
    assert params.train.lr == 1e-3
    assert params.worlds["default"].train == 240


@pytest.mark.parametrize("written", ["1e-5", "1E-5", "0.00001", "1e-05", "'1e-5'"])
def test_a_number_is_a_number_however_it_is_written(raw, written, tmp_path):
    raw["train"]["lr"] = "@"
    file = tmp_path / "params.yaml"
    YAML().dump(raw, file)
    file.write_text(file.read_text().replace("'@'", written))
    assert load(file).train.lr == 1e-5


def test_a_whole_number_may_be_written_as_a_real_one(raw):
    raw["train"]["epochs"] = 3.0
    assert check(raw).train.epochs == 3


@pytest.mark.parametrize(
    ("group", "key", "value", "line"),
    [
        ("train", "epochs", "many", "params.yaml: train.epochs: got 'many'; accepted: a whole number, >= 0"),
        (
            "train",
            "epochs",
            0,
            "params.yaml: train.epochs: got 0 with init null; accepted: 1 or more, or an init to evaluate",
        ),
        ("train", "epochs", 2.5, "params.yaml: train.epochs: got 2.5; accepted: a whole number, >= 0"),
        ("train", "lr", True, "params.yaml: train.lr: got True; accepted: a number, > 0"),
        ("train", "lr", float("nan"), "params.yaml: train.lr: got nan; accepted: a number, > 0"),
        ("train", "freeze_vision", 1, "params.yaml: train.freeze_vision: got 1; accepted: true or false"),
        (
            "train",
            "augment",
            "x",
            "params.yaml: train.augment: got 'x'; accepted: none, flips, strong, as_coded, as_coded_map_follows",
        ),
        ("train", "t", "x", "params.yaml: train.t: got 'x'; accepted: a number, >= 0 or null"),
        (
            "extract",
            "frame_size",
            100,
            "params.yaml: extract.frame_size: got 100; accepted: a whole number, >= 32, a multiple of 16",
        ),
        ("source", "root", 3, "params.yaml: source.root: got 3; accepted: text"),
        ("source", "test_list", 3, "params.yaml: source.test_list: got 3; accepted: text or null"),
        ("source", "train_clips", 0, "params.yaml: source.train_clips: got 0; accepted: a whole number, >= 1 or null"),
        (
            "evaluate",
            "protocols",
            ["adaptive", "top"],
            "params.yaml: evaluate.protocols: got 'top'; accepted: a list of at least 1 of: "
            "adaptive, adaptive_strict, lvs_top50, lvs_top50_literal, ez_top50, slavc_relative, slavc_absolute, "
            "half_max, max_fraction, max_fraction_20, max_fraction_50, best_fixed, best_fixed_on_test",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_accepted(raw, group, key, value, line):
    raw[group][key] = value
    assert mistakes(raw) == [line]


@pytest.mark.parametrize(("name", "is_accepted"), [("flickr_soundnet", True), ("pairs", True), ("vggss", False)])
def test_vectors_are_for_sources_that_may_bring_some(raw, name, is_accepted):
    raw["source"]["name"], raw["listen"]["features"], raw["train"]["audio"] = name, "vectors", "vectors"
    if is_accepted:
        assert check(raw).source.name == name
    else:
        assert mistakes(raw) == [
            "params.yaml: listen.features: got 'vectors', but source vggss brings none; accepted: logmel"
        ]


def test_every_protocol_has_a_name_and_every_name_is_a_protocol():
    assert set(get_args(ProtocolName)) == {*PROTOCOLS, *FITTED}


def test_an_unknown_key_is_an_error_and_its_neighbour_is_proposed(raw):
    raw["train"]["alhpa"] = 1
    (line,) = mistakes(raw)
    assert line.startswith("params.yaml: train.alhpa: unknown key; did you mean alpha? accepted: system, ")


def test_an_unknown_group_is_an_error(raw):
    raw["trian"] = {}
    (line,) = mistakes(raw)
    assert line.startswith("params.yaml: trian: unknown key; did you mean train? accepted: worlds, source, ")


def test_a_missing_key_is_named(raw):
    del raw["attend"]["k"]
    assert mistakes(raw) == ["params.yaml: attend.k: missing; accepted: a whole number, >= 1"]


def test_a_missing_group_is_named(raw):
    del raw["listen"]
    assert mistakes(raw) == ["params.yaml: listen: missing; accepted: a mapping with features, weights, peak"]


def test_a_group_that_is_no_mapping_is_named(raw):
    raw["listen"] = 3
    assert mistakes(raw) == ["params.yaml: listen: got 3; accepted: a mapping with features, weights, peak"]


def test_a_mistake_inside_a_named_mapping_is_named(raw):
    raw["worlds"]["default"]["train"] = 0
    raw["proposers"]["selective_search"]["mode"] = "slow"
    raw["proposers"]["selective_search"]["speed"] = 3
    assert mistakes(raw) == [
        "params.yaml: worlds.default.train: got 0; accepted: a whole number, >= 1",
        "params.yaml: proposers.selective_search.mode: got 'slow'; accepted: single, fast, quality",
        "params.yaml: proposers.selective_search.speed: unknown key; accepted: engine, mode",
    ]


def test_a_name_that_is_no_name_is_named(raw):
    raw["worlds"]["my world"] = raw["worlds"]["default"]
    assert mistakes(raw) == ["params.yaml: worlds.my world: not a name; accepted: letters, digits and _"]


def test_all_mistakes_are_told_at_once(raw):
    raw["train"]["epochs"], raw["attend"]["order"] = -1, "best"
    raw["source"]["watch"] = "videos"  # one that no key makes alone
    assert len(mistakes(raw)) == 3


def test_numbers_are_read_in_keys_that_may_be_null_too(raw):
    raw["train"]["t"], raw["runtime"]["workers"] = "2e-1", 2.0
    params = check(raw)
    assert (params.train.t, params.runtime.workers) == (0.2, 2)


def test_an_entry_of_a_mapping_that_is_none_is_named(raw):
    raw["worlds"]["default"], raw["proposers"] = None, {}
    assert mistakes(raw) == [
        "params.yaml: worlds.default: got None; accepted: a mapping with train, val, test, boxed, seed",
        "params.yaml: proposers: got {}; accepted: a mapping with at least one entry",
        "params.yaml: attend.proposer: got 'selective_search'; accepted: ",
    ]


def test_a_watch_beside_the_clips_is_told(raw):
    raw["source"]["root"] = "videos"
    (line,) = mistakes(raw)
    assert line.startswith("params.yaml: source.root, source.watch: got videos and data/worlds/default")


def test_exactly_one_of_t_and_t_share(raw):
    raw["train"]["t_share"] = 0.4
    assert mistakes(raw) == [
        "params.yaml: train.t, train.t_share: got 0.5 and 0.4; accepted: one of them, the other null"
    ]
    raw["train"]["t"] = None
    assert check(raw).train.t_share == 0.4


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"source": {"val_share": 0.5, "test_share": 0.5}}, "source.val_share"),
        ({"attend": {"proposer": "other"}}, "attend.proposer"),
        ({"train": {"vision": "mobilenet_v2"}}, "train.vision_weights"),
        ({"train": {"freeze_vision": True}}, "train.vision_weights"),
        ({"train": {"vision": "mobilenet_v2", "init": "w"}}, "train.vision_weights"),
        (
            {"train": {"vision": "mobilenet_v2", "vision_layer": "features.13", "vision_weights": "x", "init": "w"}},
            "train.vision_weights",
        ),
        ({"train": {"init": "data/model"}}, "train.init"),
        ({"train": {"init": "./data//model/"}}, "train.init"),
        ({"source": {"val_share": 0.6, "test_share": 0.6}, "train": {"init": "w", "epochs": 0}}, "source.val_share"),
        ({"train": {"audio": "vectors"}}, "train.audio"),
        ({"listen": {"features": "vectors"}, "train": {"audio": "vectors"}}, "listen.features"),
        ({"train": {"vision": "vgg16"}}, "train.vision_weights"),
        (
            {"train": {"vision": "resnet18", "vision_layer": "features.13", "vision_weights": "x"}},
            "train.vision_weights",
        ),
        ({"listen": {"features": "yamnet_scores", "weights": "x"}}, "train.audio"),
        ({"listen": {"features": "yamnet_scores"}, "train": {"audio": "vectors"}}, "listen.weights"),
        ({"listen": {"weights": "x"}}, "listen.weights"),
        ({"listen": {"features": "soundnet", "weights": "x"}, "train": {"audio": "vectors"}}, "extract.seconds"),
        (
            {
                "source": {"name": "pairs"},
                "listen": {"features": "vectors", "peak": 0.9},
                "train": {"audio": "vectors"},
            },
            "listen.peak",
        ),
    ],
)
def test_mistakes_that_no_key_makes_alone(raw, changes, key):
    for group, values in changes.items():
        raw[group] |= values
    (line,) = mistakes(raw)
    assert line.startswith(f"params.yaml: {key}")
    assert "accepted" in line


def test_a_checkpoint_to_begin_with_stands_for_weights_and_for_epochs(raw):
    raw["train"] |= {"init": "weights/world", "epochs": 0, "vision": "mobilenet_v2", "vision_layer": "features.13"}
    raw["source"] |= {"val_share": 0, "test_share": 1}
    assert check(raw).train.epochs == 0


def test_overrides_replace_single_keys():
    params = load(ROOT / "params.yaml", {"train": {"alpha": 0}})
    assert params.train.alpha == 0
    assert params.train.lr == 1e-3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("train: [1", ":1: not valid YAML"),
        ("", "holds no parameter groups"),
        ("- 1", "holds no"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(tmp_path, text, told):
    file = tmp_path / "params.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        load(file)
    assert len(str(caught.value).splitlines()) == 1


def test_every_key_has_a_comment():
    for line in Path(ROOT / "params.yaml").read_text().splitlines():
        is_seed = line.strip().startswith("seed:")
        if line.startswith("    ") or (line.startswith("  ") and not line.strip().endswith(":")):
            assert "#" in line or is_seed or "system:" in line or "engine:" in line, line


def test_presets_change_only_keys_that_the_default_preset_gives_back():
    def keys(tree: dict, place: str = "") -> set[str]:
        found = set()
        for key, value in tree.items():
            inner = isinstance(value, dict) and value and f"{place}{key}" not in ("worlds", "detectors")
            found |= keys(value, f"{place}{key}.") if inner else {f"{place}{key}"}
        return found

    base = keys(read_yaml(ROOT / "presets" / "default.yaml"))
    presets = [path for path in (ROOT / "presets").glob("*.yaml") if path.stem != "default"]
    assert presets
    for path in presets:
        assert keys(read_yaml(path)) <= base, path.name


def test_the_default_preset_is_what_is_committed(raw):
    def agrees(part: dict, whole: dict) -> bool:
        return all(agrees(v, whole[k]) if isinstance(v, dict) else whole[k] == v for k, v in part.items())

    assert agrees(read_yaml(ROOT / "presets" / "default.yaml"), raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"listen": {"features": "yamnet_embedding", "weights": "x", "peak": 0.9}, "train": {"audio": "vectors"}},
        {
            "extract": {"seconds": 9.5},
            "listen": {"features": "soundnet", "weights": "x"},
            "train": {"audio": "vectors", "vision": "vgg16", "vision_weights": "y", "freeze_vision": True},
        },
        {"train": {"audio": "resnet18", "vision": "squeezenet", "vision_weights": "y"}},
        {"train": {"rectified": ["cosine", "f_a"], "augment": "as_coded_map_follows"}},
    ],
)
def test_networks_that_go_together(raw, changes):
    for group, values in changes.items():
        raw[group] |= values
    check(raw)


def with_a_detector(raw: dict, **changes: object) -> dict:
    """The committed parameters with the preset's detector, changed."""
    entry = read_yaml(ROOT / "presets/paper_supervised.yaml")["detectors"]["faster_rcnn"]
    raw["detectors"] = {"frcnn": {**entry, **changes}}
    return raw


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"train_list": None}, "frcnn.train_list: got null with epochs 100; accepted: a list in root, or epochs 0"),
        ({"epochs": 0}, "frcnn.epochs: got 0 with weights null; accepted: 1 or more, or weights to take as they are"),
        (
            {"weights": "coco"},
            "frcnn.weights: got 'coco' with network small, of which there are none; accepted: mobilenet_v3_320_fpn, "
            "resnet50_fpn",
        ),
        (
            {"network": "vgg"},
            "frcnn.network: got 'vgg'; accepted: small, mobilenet_v2, mobilenet_v3_320_fpn, resnet50_fpn",
        ),
        ({"tau": 0.5}, "frcnn.tau: unknown key; accepted: "),
        ({"frame_size": 100}, "frcnn.frame_size: got 100; accepted: a whole number, >= 32, a multiple of 16"),
    ],
)
def test_a_detector_that_cannot_be_is_told(raw, changes, line):
    (told,) = mistakes(with_a_detector(raw, **changes))
    assert told.startswith(f"params.yaml: detectors.{line}")


def test_a_detector_may_not_have_a_proposer_s_name(raw):
    raw["detectors"] = {"selective_search": with_a_detector(raw)["detectors"]["frcnn"]}
    (told,) = mistakes(raw)
    assert "a proposer has this name too" in told


def test_a_detector_s_boxes_make_the_map_by_their_scores_or_by_area(raw):
    with_a_detector(raw)
    raw["attend"] |= {"proposer": "frcnn", "weight": "auto"}
    assert check(raw).attend.tau == 0.5
    raw["attend"] |= {"weight": "uniform", "order": "area"}
    check(raw)
    raw["attend"] |= {"order": "opencv"}
    assert "frcnn is no search, whose regions have levels" in mistakes(raw)[0]
    raw["attend"] |= {"proposer": "selective_search", "weight": "score"}
    assert "selective_search is a search, which gives none" in mistakes(raw)[0]


def test_an_entry_of_proposers_is_what_its_engine_says(raw):
    raw["proposers"]["quick"] = {"engine": "fine_grained", "levels": 9}
    check(raw)
    for entry, line in (
        ({"engine": "fine_grained"}, "quick.levels: missing; accepted: a whole number, >= 1"),
        ({"engine": "fine_grained", "levels": 9, "mode": "fast"}, "quick.mode: unknown key; accepted: engine, levels"),
        ({"engine": "native", "levels": 9}, "quick.mode: missing; accepted: single, fast, quality"),
        (
            {"engine": "x", "mode": "fast"},
            "quick.engine: got 'x'; accepted: native, opencv, spectral_residual, fine_gr",
        ),
    ):
        raw["proposers"]["quick"] = entry
        assert any(told.startswith(f"params.yaml: proposers.{line}") for told in mistakes(raw)), mistakes(raw)
