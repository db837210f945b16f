import os

import pytest


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


def test_a_data_folder_that_is_a_file_is_told(project):
    (project.folder / "data").write_text("")
    assert told(project).startswith("data: cannot be made (File exists)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written_is_told(project):
    (project.folder / "data").mkdir(mode=0o555)
    assert "data: cannot be written; change its rights" in told(project)
