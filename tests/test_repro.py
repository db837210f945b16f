"""`dvc repro` as a user runs it: in a fresh clone, after an edit, after a kill, on their own videos."""

import fcntl
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.project import Project
from tests.samples import real, tone, write_media

pytestmark = pytest.mark.slow


STAGES = ["world@default", "source", "extract", "propose@selective_search", "attend", "listen", "train", "evaluate"]


def repro(project: Project, *arguments: str, **kwargs) -> list[str]:
    """The stages that ran."""
    done = project.run("dvc", "repro", *arguments, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("reproduced") / "project")
    done = repro(project)
    assert sorted(done, key=STAGES.index) == STAGES
    assert (done[:3], done[-2:]) == (STAGES[:3], STAGES[-2:])  # between them two branches, in either order
    project.git("add", ".")
    project.git("commit", "-qm", "reproduced")
    return project


def test_what_is_committed_is_the_lock_the_order_and_the_metrics(reproduced):
    tracked = reproduced.git("ls-files", "dvc.lock", "data").split()
    assert tracked == [
        "data/metrics/clips.csv",
        "data/metrics/eval.json",
        "data/metrics/missing.csv",
        "data/metrics/parts.csv",
        "data/metrics/success.csv",
        "data/metrics/train.csv",
        "data/order.csv",
        "dvc.lock",
    ]
    assert reproduced.git("status", "--porcelain") == ""


def test_a_second_run_has_nothing_to_do(reproduced):
    assert repro(reproduced) == []


def test_a_parameter_reruns_its_stage_and_what_follows_only(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    done = project.run("dvc", "exp", "run", "-S", "train.alpha=0")
    assert done.returncode == 0, done.stderr
    ran = [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]
    assert ran == ["train", "evaluate"]
    difference = project.run("dvc", "metrics", "diff")
    assert "data/metrics/eval.json" in difference.stdout
    project.git("checkout", "params.yaml")
    trained = project.folder / ".scratch/train"
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert repro(project) == ["train", "evaluate"]  # the first training is found again
    assert {path: path.stat().st_mtime_ns for path in trained.iterdir()} == before
    assert project.bytes_of("data/metrics") == reproduced.bytes_of("data/metrics")
    project.set({"evaluate": {"bootstrap": 30}})
    assert repro(project) == ["evaluate"]
    project.set({"attend": {"k": 30}})
    assert repro(project) == ["attend", "train", "evaluate"]
    project.set({"runtime": {"workers": 2}})
    assert repro(project) == []


def test_a_change_of_sound_alone_searches_no_frame_again(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    project.set({"extract": {"seconds": 2}})
    assert repro(project) == ["extract", "listen", "train", "evaluate"]


def test_a_corrected_test_box_retrains_nothing(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    boxes = project.folder / "data/worlds/default/boxes.csv"
    lines = boxes.read_text().splitlines()
    (line,) = [i for i, text in enumerate(lines) if text.startswith("test-0000") and text.endswith(",1")]
    cells = lines[line].split(",")
    lines[line] = ",".join([*cells[:2], "0", "0", "0.5", "0.5", *cells[6:]])
    boxes.chmod(0o644)
    boxes.unlink()
    boxes.write_text("\n".join(lines) + "\n")
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos"}})
    shutil.move(project.folder / "data/worlds/default", project.folder / "videos")
    assert repro(project) == ["source", "extract", "listen", "evaluate"]


def test_a_clone_that_reruns_everything_changes_nothing_in_git(reproduced, tmp_path):
    subprocess.run(["git", "clone", "-q", reproduced.folder, tmp_path / "clone"], check=True)
    clone = Project(tmp_path / "clone")
    (clone.folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    bare = {"PATH": "/usr/bin:/bin"}  # not activated: dvc finds the project's own Python
    assert len(repro(clone, env=bare)) == 8
    assert clone.git("status", "--porcelain", "--untracked-files=no") == ""


def test_a_cosmetic_edit_of_code_computes_nothing_again(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    with (project.folder / "pipeline/propose.py").open("a") as file:
        file.write("# a remark\n")
    scratch = project.folder / ".scratch/propose"
    before = {path.name: path.stat().st_mtime_ns for path in scratch.iterdir()}
    assert repro(project) == ["propose@selective_search"]
    assert {path.name: path.stat().st_mtime_ns for path in scratch.iterdir()} == before


def test_a_run_killed_in_the_middle_of_propose_keeps_finished_shards(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    expected = project.bytes_of("data/regions")
    shutil.rmtree(project.folder / ".scratch/propose")
    project.set({"proposers": {"selective_search": {"engine": "opencv", "mode": "quality"}}})
    process = subprocess.Popen([sys.executable, "-m", "pipeline.propose", "selective_search"], cwd=project.folder)
    scratch = project.folder / ".scratch/propose"

    def finished() -> dict[str, int]:
        return {p.name: p.stat().st_mtime_ns for p in scratch.glob("*") if "." not in p.name}

    while not finished():
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = finished()
    assert 1 <= len(kept) < len(expected)
    project.stage("propose", "selective_search")
    assert {name: finished()[name] for name in kept} == kept
    assert len(finished()) == len(expected)
    assert not list(scratch.glob("*.*"))


def test_new_clips_touch_no_old_shard(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    before = {folder: project.bytes_of(f"data/{folder}") for folder in ("frames", "regions/selective_search", "sounds")}
    project.set({"worlds": {"default": {"train": 16, "val": 4, "test": 6, "boxed": 2, "seed": 0}}})
    assert repro(project)[:3] == ["world@default", "source", "extract"]
    for folder, shards in before.items():
        after = project.bytes_of(f"data/{folder}")
        assert len(after) == len(shards) + 1
        for name in sorted(shards)[:-1]:  # the last one was not full, and is filled up
            assert after[name] == shards[name], f"{folder}/{name}"


def test_own_videos_without_boxes_or_labels_go_through_to_the_overlays(project):
    videos = project.folder / "my videos"
    (videos / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        frames = [rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)] * 10
        write_media(videos / ("sub" if i % 2 else ".") / f"clip {i}.mp4", frames, tone(1, hz=200 + 100 * i))
    write_media(videos / "mute.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    for i in range(8):  # two whole shards of nothing
        write_media(videos / f"aa {i}.mp4", [np.zeros((48, 64, 3), np.uint8)] * 3)
    (videos / "broken.mov").write_text("no video")
    assert project.run("usol", "preset", "own", "--root", "my videos").returncode == 0
    project.set({"extract": {"seconds": 1, "frame_size": 64}, "source": {"test_share": 0.4}, "train": {"epochs": 1}})
    project.set({"extract": {"shard_clips": 4}})
    assert repro(project)[0] == "source"
    rejected = (project.folder / "data/rejected/rejected.csv").read_text()
    assert "mute.mp4,no audio track" in rejected
    assert "broken.mov,cannot open" in rejected
    assert list((project.folder / "data/overlays").glob("*.png"))
    assert "a wrong sound moves" in project.run("usol", "tables").stdout


def test_switching_the_source_and_back(reproduced, tmp_path):
    project = reproduced.copy(tmp_path / "project")
    before = project.bytes_of("data/metrics") | {"order": (project.folder / "data/order.csv").read_bytes()}
    videos = project.folder / "videos"
    videos.mkdir()
    for i in range(12):
        frames = [np.full((48, 64, 3), 20 * i, np.uint8)] * 4
        write_media(videos / f"{i}.mp4", frames, tone(0.5, hz=200 + 100 * i))
    params = (project.folder / "params.yaml").read_text()
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos", "test_share": 0.4}})
    assert repro(project)
    (project.folder / "params.yaml").write_text(params)
    repro(project)
    after = project.bytes_of("data/metrics") | {"order": (project.folder / "data/order.csv").read_bytes()}
    assert after == before


@pytest.mark.real
def test_the_real_videos_go_through_to_the_overlays(project):
    videos = real("videos")
    assert project.run("usol", "preset", "own", "--root", str(videos)).returncode == 0
    project.set({"extract": {"seconds": 1, "frame_size": 64, "shard_clips": 16}, "train": {"epochs": 1}})
    project.stage("source")
    refused = project.run("python", "-m", "pipeline.extract")  # the folder holds one film in many containers
    assert refused.returncode == 1
    assert "6 clips in two splits at once, 6 by frame, 6 by sound" in refused.stderr
    project.set({"source": {"accept_leaks": True}})
    for name in ("source", "extract"):
        done = project.stage(name)
    assert f"{videos / 'boxes.csv'}: ignored, its header has no clip_id" in project.stage("source").stderr
    kept, rejected = (int(word) for word in done.stderr.split("extract: ")[1].split() if word.isdigit())
    assert kept + rejected == 152
    for name, *arguments in (("propose", "selective_search"), ("attend",), ("listen",), ("train",), ("evaluate",)):
        project.stage(name, *arguments)
    assert list((project.folder / "data/overlays").glob("*.png"))


def test_a_second_run_of_a_stage_waits_for_the_first(project):
    (project.folder / ".scratch").mkdir()
    with (project.folder / ".scratch/source.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "pipeline.source"]
        second = subprocess.Popen(command, cwd=project.folder, stderr=subprocess.PIPE, text=True)
        told = second.stderr.readline()
        assert told == "source: another run is still at this work here; waiting for it to end\n"
        assert second.poll() is None
    assert "data/worlds/default does not exist" in second.communicate(timeout=60)[1]
