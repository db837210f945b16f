import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline import detector
from pipeline.foundation import detectors
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Runtime
from pipeline.sources import voc_photographs
from tests import voc
from tests.samples import real

RUNTIME = Runtime(engine="joblib", workers=1, scheduler=None, device="cpu")


def make(root: Path, **changes: object) -> Path:
    return detector.make_detector("d", voc.settings(root, **changes), RUNTIME)


def metrics(finished: Path) -> dict:
    return json.loads((finished / "metrics.json").read_text())


def rejected(finished: Path) -> dict[str, str]:
    with (finished / "rejected.csv").open() as file:
        return {row["clip_id"]: f"{row['path']}: {row['reason']}" for row in csv.DictReader(file)}


def bytes_of(finished: Path) -> list[bytes]:
    return [(finished / name).read_bytes() for name in (*detectors.FILES, "rejected.csv", "metrics.json")]


@pytest.mark.slow
def test_it_learns_to_find_boxes_on_photographs_that_it_was_not_shown(in_tmp):
    root = voc.write(in_tmp / "voc", 24, 8)
    finished = make(root, epochs=30, batch=6)
    told = metrics(finished)
    assert told["map_50"] > 0.8
    assert set(told["by_class"]) == {"blue", "red"}
    assert (told["n"], told["n_train"], told["n_rejected"], told["epochs"]) == (8, 24, 0, 30)
    assert "seconds" not in str(told)


def test_it_goes_on_after_the_last_finished_epoch_and_ends_with_the_same_bytes(in_tmp, monkeypatch):
    root = voc.write(in_tmp / "voc")
    monkeypatch.setattr(detector, "SCRATCH", in_tmp / "whole")
    whole = bytes_of(make(root, epochs=3))
    save = detector._save

    def killed(content: dict, path: Path) -> None:
        save(content, path)
        if content["epochs"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(detector, "SCRATCH", in_tmp / "parts")
    monkeypatch.setattr(detector, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
        make(root, epochs=3)
    trained = []
    losses = detector._losses
    monkeypatch.setattr(detector, "_losses", lambda run, data, epoch: trained.append(epoch) or losses(run, data, epoch))
    monkeypatch.setattr(detector, "_save", save)
    assert bytes_of(make(root, epochs=3)) == whole
    assert trained == [2]
    make(root, epochs=3)
    assert trained == [2]  # what is finished is found


def test_what_cannot_be_used_is_rejected_by_name_and_the_rest_is_trained_on(in_tmp):
    root = voc.write(in_tmp / "voc")
    annotations = {
        "p02": voc.annotation([("red", (1, 1, 30, 30))]).replace("<name>red</name>", ""),
        "p03": voc.annotation([("red", (1, 1, 30, 30)), ("red", (10, 10, 90, 40))]),
        "p08": voc.annotation([("unicorn", (1, 1, 30, 30))]),
    }
    for name, content in annotations.items():
        (root / f"Annotations/{name}.xml").write_text(content)
    (root / "JPEGImages/p04.jpg").write_bytes((root / "JPEGImages/p04.jpg").read_bytes()[:200])
    (root / "Annotations/p05.xml").unlink()
    finished = make(root)
    told = rejected(finished)
    assert set(told) == {"p02", "p03", "p04", "p05", "p08"}
    assert "object 1: has no name" in told["p02"]
    assert "object 2: box 10 10 90 40 leaves the picture of 64 x 64" in told["p03"]
    assert told["p04"].startswith("JPEGImages/p04.jpg: ")
    assert "Annotations/p05.xml: cannot be read" in told["p05"]
    assert "its class is 'unicorn', which is none of those that are trained" in told["p08"]
    assert (metrics(finished)["n_train"], metrics(finished)["n"], metrics(finished)["n_rejected"]) == (5, 3, 5)


def test_photographs_without_objects_and_with_one_huge_one_are_enough(in_tmp):
    finished = make(voc.write(in_tmp / "voc", 2, 2))
    assert metrics(finished)["n_train"] == 2
    assert set(rejected(finished)) == {"p02"}  # a blue box to be measured on, and none to learn from


def test_photographs_are_read_once_and_again_where_one_changed(in_tmp, monkeypatch):
    root = voc.write(in_tmp / "voc")
    read = []
    function = voc_photographs.read_photographs
    monkeypatch.setattr(voc_photographs, "read_photographs", lambda *of: read.append(of[2]) or function(*of))
    first = make(root)
    assert make(root, seed=1) != first
    assert len(read) == 2  # train's and val's
    voc.write_picture(root, "p03", np.full((64, 64, 3), 90, np.uint8))
    assert make(root) != first
    assert len(read) == 3


def test_a_trained_detector_is_taken_as_it_is_or_trained_on(in_tmp):
    root = voc.write(in_tmp / "voc")
    first = make(root)
    file = str(first / "model.safetensors")
    taken = make(root, weights=file, epochs=0)
    assert (taken / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    assert metrics(taken)["map_50"] == metrics(first)["map_50"]
    alone = make(root, weights=file, epochs=0, train_list=None, val_list=None)
    assert (metrics(alone)["map_50"], metrics(alone)["n"]) == (None, 0)
    on = make(root, weights=file, epochs=1)
    assert (on / "model.safetensors").read_bytes() != (first / "model.safetensors").read_bytes()
    fewer = make(root, weights=file, epochs=1, classes=["red"])
    assert json.loads((fewer / "model.json").read_text())["classes"] == ["red"]
    assert "its class is 'blue'" in str(rejected(fewer))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"val_list": "ImageSets/Main/train.txt"}, r"detectors\.d: 8 photographs are in both lists, p00 first"),
        ({"train_list": "nowhere.txt"}, r"nowhere\.txt: cannot be read"),
        (
            {"classes": ["unicorn"], "val_list": None, "train_list": "one.txt"},
            "none of the 1 photographs .*unicorn|'red'",
        ),
        ({"train_list": "none.txt"}, "no photograph of .*has a box that can be used"),
        ({"weights": "nowhere.safetensors"}, r"detectors\.d\.weights: nowhere\.safetensors does not exist"),
        ({"lr": 1e30, "epochs": 2}, "the loss is nan|the loss is inf"),
    ],
)
def test_what_cannot_be_trained_is_told(in_tmp, changes, why):
    root = voc.write(in_tmp / "voc")
    (root / "one.txt").write_text("p03")
    (root / "none.txt").write_text("p00")
    with pytest.raises(UserError, match=why):
        make(root, **changes)


@pytest.mark.slow
def test_the_world_s_own_scenes_are_trained_on_and_their_boxes_become_the_map(prepared):
    entry = voc.settings(Path("data/worlds/default/voc"), val_list=None).model_dump()
    (prepared.folder / "data/worlds/default/voc/ImageSets/Main/all.txt").write_text("000001\n000002\n")
    prepared.set({"detectors": {"frcnn": {**entry, "train_list": "ImageSets/Main/all.txt"}}})
    prepared.set({"attend": {"proposer": "frcnn", "weight": "auto", "tau": 0.0}})
    before = prepared.bytes_of("data/bottom_up")
    for name, *arguments in (("detector", "frcnn"), ("detect", "frcnn"), ("attend",)):
        prepared.stage(name, *arguments)
    assert set(prepared.bytes_of("data/detectors/frcnn")) == {"model.safetensors", "model.json", "rejected.csv"}
    assert prepared.bytes_of("data/bottom_up") != before
    regions = prepared.bytes_of("data/regions/selective_search")
    prepared.set({"attend": {"proposer": "selective_search"}})
    prepared.stage("attend")
    assert prepared.bytes_of("data/bottom_up") == before
    assert prepared.bytes_of("data/regions/selective_search") == regions


@pytest.mark.slow
def test_real_photographs_are_read_whole():
    root = real("voc")
    names, rejections = detector.voc.read_list(root, "ImageSets/Main/val.txt")
    found = [detector.voc.read(root, name, None) for name in names]
    assert (len(names), rejections) == (150, [])
    assert not [rejection for of_one in found for rejection in of_one.rejections]
    assert len({item.label for of_one in found for item in of_one.items}) == 20
