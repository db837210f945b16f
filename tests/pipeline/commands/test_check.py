import os
from pathlib import Path

import pytest

from tests import voc


def told(project) -> str:
    done = project.run("usol", "check")
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_a_fresh_project_is_fit_to_run(project):
    done = project.run("usol", "check")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["params.yaml", "source.root", "data/"]
    assert "a world that stage world@default makes" in done.stdout


def test_mistakes_in_parameters_are_told_a_line_each(project):
    project.set({"train": {"epochs": "many"}, "attend": {"kk": 3}})
    lines = told(project).splitlines()
    assert [line.split(":")[1] for line in lines] == [" attend.kk", " train.epochs"]


def test_a_missing_root_is_told(project):
    project.set({"worlds": {}, "source": {"root": "nowhere", "watch": "nowhere"}})
    assert told(project) == "params.yaml: source.root: nowhere is no folder; set it to the folder of your clips\n"


def test_a_world_that_nobody_makes_is_told(project):
    project.set({"worlds": {}})
    told_line = "params.yaml: source.root: data/worlds/default is no world of params.yaml; worlds there: none\n"
    assert told(project) == told_line


def test_a_watch_that_is_missing_is_told(project):
    (project.folder / "videos").mkdir()
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "list.csv"}})
    assert told(project).startswith("params.yaml: source.watch: list.csv does not exist")


def test_lists_that_are_not_there_are_told(project):
    (project.folder / "videos").mkdir()
    lists = {"train_list": "t.txt", "silent_list": "/nowhere/s.csv"}
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos", **lists}})
    assert told(project).splitlines() == [
        "params.yaml: source.train_list: videos/t.txt is no file; put it there, name another, or set it to null",
        "params.yaml: source.silent_list: /nowhere/s.csv is no file; put it there, name another, or set it to null",
    ]


def test_a_data_folder_that_is_a_file_is_told(project):
    (project.folder / "data").write_text("")
    assert told(project).startswith("data: cannot be made (File exists)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written_is_told(project):
    (project.folder / "data").mkdir(mode=0o555)
    assert "data: cannot be written; change its rights" in told(project)


def test_weights_that_are_not_there_are_told(project):
    weights = {"vision": "mobilenet_v2", "vision_layer": "features.17", "vision_weights": "w.safetensors"}
    hearing = {"features": "yamnet_scores", "weights": "y.h5"}
    project.set({"train": weights | {"audio": "vectors"}, "listen": hearing})
    assert told(project) == (
        "params.yaml: listen.weights: y.h5 does not exist; put the file there, or name another\n"
        "params.yaml: train.vision_weights: w.safetensors does not exist; put the file there, or name another\n"
    )


def test_a_checkpoint_that_is_not_there_is_told(project):
    project.set({"train": {"init": "weights/world"}})
    assert told(project) == (
        "params.yaml: train.init: weights/world has no model.safetensors and no model.json; name the folder of an "
        "exported checkpoint, such as a copy of data/model\n"
    )
    folder = project.folder / "weights/world"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    assert "weights/world has no model.safetensors; name" in told(project)
    (folder / "model.safetensors").write_text("")
    assert project.run("usol", "check").returncode == 0


def test_a_root_that_holds_the_project_is_told(project):
    project.set({"worlds": {}, "source": {"root": ".", "watch": "."}})
    assert "source.root: . holds, or lies in, what the stages write" in told(project)


def test_a_link_that_leads_nowhere_is_told(project):
    (project.folder / "videos").mkdir()
    (project.folder / "videos/a.mp4").symlink_to("gone.mp4")
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos"}})
    assert told(project) == "videos/a.mp4: a link that leads nowhere; remove it or mend it\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("seeds: 3\ncontrols: {a: {}}", "seeds: got 3; accepted: a list of whole numbers, >= 0"),
        ("seeds: [0]\ncontrols: {}", "controls: got {}; accepted: a mapping of cells"),
        ("seeds: [0]\ncontrols: {a: {train: 3}}", "controls.a: got {'train': 3}; accepted: a mapping of attend"),
        ("seeds: [0]\ncontrols: {a: {train: {alpah: 3}}}", "controls.a: train.alpah: unknown key; did you mean alpha?"),
        ("seeds: [0]\nothers: {a: {}}", "no table 'controls'; accepted: others"),
        ("", "no table 'controls'; accepted: none is there"),
    ],
)
def test_mistakes_in_a_table_are_told_before_anything_is_trained(project, content, line):
    (project.folder / "tables/params.yaml").write_text(content)
    done = project.run("usol", "check", "--table", "controls")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tables/params.yaml: {line}")
    assert len(done.stderr.splitlines()) == 1


def test_a_detector_s_folder_lists_and_weights_that_are_not_there_are_told(project):
    entry = voc.settings(Path("nowhere"), weights="w.safetensors").model_dump()
    (project.folder / "voc").mkdir()
    project.set({"detectors": {"a": entry, "b": {**entry, "root": "voc", "weights": None}}})
    assert told(project).splitlines() == [
        "params.yaml: detectors.a.weights: w.safetensors does not exist; put the file there, or name another",
        "params.yaml: detectors.a.root: nowhere is no folder; set it to the folder of boxed photographs",
        "params.yaml: detectors.b.train_list: voc/ImageSets/Main/train.txt is no file; put it there, name another, or "
        "set it to null",
        "params.yaml: detectors.b.val_list: voc/ImageSets/Main/val.txt is no file; put it there, name another, or set "
        "it to null",
    ]
