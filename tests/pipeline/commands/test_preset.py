import shutil
from pathlib import Path

from pipeline.foundation.params_file import load
from tests.samples import ROOT


def test_a_preset_writes_its_parameters_and_keeps_the_comments(project):
    videos = project.folder / "videos"
    videos.mkdir()
    before = (project.folder / "params.yaml").read_text()
    done = project.run("usol", "preset", "own", "--root", "videos")
    assert done.returncode == 0, done.stderr
    params = load(project.folder / "params.yaml")
    assert params.worlds == {}
    assert (params.source.name, params.source.root, params.source.watch) == ("folder", "videos", "videos")
    assert params.extract.seconds == 10
    after = (project.folder / "params.yaml").read_text()
    assert before.count("#") - 6 <= after.count("#")  # the six comments inside the world go with it
    assert "# of Adam with betas .9 and .999" in after


def test_one_preset_after_another_leaves_nothing_of_the_first(project):
    project.run("usol", "preset", "default")
    first = load(project.folder / "params.yaml")
    assert project.run("usol", "preset", "pairs", "--root", "/x").returncode == 0
    pairs = load(project.folder / "params.yaml")
    assert pairs.train.vision_weights == "/x/../weights/mobilenet_v2_imagenet.safetensors"
    assert (pairs.train.correspondence, pairs.train.alpha, pairs.evaluate.split) == ("as_written", 10, "val")
    project.run("usol", "preset", "default")
    assert load(project.folder / "params.yaml") == first


def test_what_no_preset_touches_stays(project):
    project.set({"evaluate": {"overlays": 3}, "runtime": {"workers": 7}})
    project.run("usol", "preset", "own", "--root", "videos")
    params = load(project.folder / "params.yaml")
    assert (params.evaluate.overlays, params.runtime.workers) == (3, 7)


def test_an_unknown_preset_is_told_with_those_there_are(project):
    done = project.run("usol", "preset", "best")
    assert done.returncode == 1
    known = ", ".join(sorted(path.stem for path in Path("presets").glob("*.yaml")))
    assert done.stderr == f"presets: no preset 'best'; accepted: {known}\n"


def test_a_preset_that_needs_a_root_says_so_and_changes_nothing(project):
    before = (project.folder / "params.yaml").read_text()
    done = project.run("usol", "preset", "own")
    assert done.returncode == 1
    assert done.stderr == "preset own needs a folder of clips: make preset NAME=own ROOT=/path/to/them\n"
    assert (project.folder / "params.yaml").read_text() == before


def test_the_default_preset_is_what_the_project_comes_with(project):
    shutil.copy(ROOT / "params.yaml", project.folder / "params.yaml")
    before = load(project.folder / "params.yaml")
    assert project.run("usol", "preset", "default").returncode == 0
    assert load(project.folder / "params.yaml") == before
