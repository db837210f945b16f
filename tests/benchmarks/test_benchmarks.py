"""Each benchmark on tiny sizes: what it tells, and that both sides agree. How fast is not a matter of a test."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import clips, costs, detector, extract, grid, plain, results, scaling, systems, usage
from benchmarks import pipeline as whole
from benchmarks import shards as stored
from benchmarks.project import Project
from benchmarks.usage import Usage
from pipeline.commands.cell import Table
from pipeline.foundation.params import Runtime
from pipeline.foundation.params_file import load
from tests import voc

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the program ffmpeg is not installed")


def test_what_is_told_is_kept(tmp_path):
    rows = [{"what": "a", "ms": 1.5}, {"what": "b"}]
    text = results.told("name", rows, tmp_path / "new")
    assert text.splitlines()[0].split() == ["what", "ms"]
    assert results.kept("name", tmp_path / "new") == rows
    assert set(json.loads((tmp_path / "new/name.json").read_text())) == {"machine", "python", "system", "rows"}


def test_the_time_of_processes_that_were_started_counts():
    burn = [sys.executable, "-c", "import time\nwhile time.process_time() < .3: pass"]
    _, spent_s = usage.timed(lambda: subprocess.run(burn, check=True))
    assert spent_s >= 0.29


def test_what_a_process_and_its_workers_held_is_told(tmp_path):
    worker = "import time; held = b'x' * 80_000_000; time.sleep(1)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}]); print('done')"
    found = usage.run([sys.executable, "-c", code], tmp_path, {})
    assert found.output == "done\n"
    assert found.wall_s >= 1
    if sys.platform == "linux":
        assert found.worker_peak_mb > 80 > found.peak_mb > 1


def test_a_process_that_fails_is_told_with_what_it_said(tmp_path):
    with pytest.raises(SystemExit, match=r"ended with status 3\nalas"):
        usage.run([sys.executable, "-c", "import sys; print('alas', file=sys.stderr); sys.exit(3)"], tmp_path, {})


def test_the_grid_s_two_sides_make_the_same_map():
    rng = np.random.default_rng(0)
    xy = rng.integers(0, 160, (6, 50, 2))
    boxes = list(np.concatenate([xy, rng.integers(1, 161, (6, 50, 2))], axis=2).astype(np.int16))
    row = grid.measured(boxes, batch=4, rounds=1)
    assert row["largest difference"] < 1e-6
    assert row["maps"] == 6
    assert row["ratio"] > 0


def test_a_number_that_is_drawn_into_a_clip_can_be_read(tmp_path):
    path = tmp_path / "a.mp4"
    clips.write_clip(path, clips.scene("a"), clips.voice("a", 1), gop=250, numbered=True)
    assert clips.number_in(plain.frame_of(path)) == 15


@needs_ffmpeg
def test_both_sides_take_the_same_frame_and_sound(tmp_path):
    row = extract.measured(tmp_path, gop=30, n=2, seconds=2)
    assert row["same frame"] == 1
    assert row["least correlation of sounds"] > 0.99
    assert row["files"] == 2


def test_a_sound_is_not_like_another():
    assert extract.likeness(clips.voice("a", 1)[:, 0], clips.voice("b", 1)[:, 0]) < 0.5


def test_without_ffmpeg_it_stops_in_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="^ffmpeg: no such program here") as stopped:
        clips.need_ffmpeg()
    assert "\n" not in str(stopped.value)


def test_shards_and_files_are_written_and_read(tmp_path):
    for what, made in stored.made_of([clips.square(clips.scene("a"), 64)]).items():
        (tmp_path / what).mkdir()
        row = stored.measured(tmp_path / what, made, n=5, shard_clips=2)
        assert row["clips"] == 5
        assert min(row["bytes"], row["files bytes"]) > 0
        assert len(list((tmp_path / what / "shards").iterdir())) == 3


@pytest.mark.slow
def test_the_memory_of_a_worker_is_told(tmp_path):
    row = scaling.memory_of(tmp_path, [clips.square(clips.scene("a"), 64)], n=130, engine="joblib")
    assert (row["clips"], row["shards"]) == (130, 3)
    if sys.platform == "linux":
        assert row["largest worker MB"] > 50


def test_two_workers_stand_beside_one_of_their_engine():
    took = {
        setting: [Usage(cpu_s=10 + setting[1], wall_s=10 / setting[1], peak_mb=1, worker_peak_mb=1, output="")]
        for setting in scaling.SETTINGS
    }
    made = dict.fromkeys(scaling.SETTINGS, "same") | {("dask", 2): "other"}
    rows = {(row["engine"], row["workers"]): row for row in scaling.compared(took, made, 4)}
    assert list(rows) == scaling.SETTINGS
    assert rows["dask", 2]["times as fast as one"] == 2
    assert rows["dask", 2]["CPU over one"] == pytest.approx(12 / 11)
    assert rows["joblib", 1]["CPU ms a clip"] == pytest.approx(2750)
    assert [row["same bytes"] for row in rows.values()] == [True, True, True, False]


def test_a_stage_s_start_and_its_clips_are_told_apart():
    found = whole.taken({"a": 3.0, "b": 1.0}, {"a": 12.0, "b": 0.9}, 10)
    assert found["a"] == pytest.approx((2, 1))
    assert found["b"] == pytest.approx((0.9, 0))


@needs_ffmpeg
@pytest.mark.slow
def test_the_way_from_videos_to_sounds_is_the_same_on_both_sides(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "plain"
    clips.make_clips(videos, 2, seconds=1)
    source = {"root": str(videos), "watch": str(videos), "val_share": 0, "test_share": 0}
    project = Project(tmp_path / "project", {"source": source})
    assert list(whole.ours_s(project)) == ["source", "extract", "propose", "attend", "listen"]
    parts = whole.theirs_s(project, videos, out)
    assert set(parts) == {"extract", "propose", "attend", "listen", "rest"}
    assert min(parts.values()) > 0
    folders = {row["folder"]: row["bytes a clip"] for row in whole.disk_of(project, videos, out)}
    assert folders["frames"] > 320 * 320 * 3
    agreement = {row["what"].split(":")[0]: row for row in whole.same(project, out)}
    assert agreement["frames"]["most"] < 2
    assert agreement["boxes"]["least"] > 0.8
    assert agreement["sounds"]["least"] > 0.98


def test_costs_are_starts_and_clips_added_up():
    stages = [
        {
            "stage": name,
            "start CPU s": 36.0,
            "CPU ms a clip": 360.0,
            "plain start CPU s": 0.0,
            "plain CPU ms a clip": 3600.0,
        }
        for name in ("extract", "rest", "all")
    ]
    rows = costs.core_hours(stages, [10_000])
    assert [row["core-hours"] for row in rows][:3] == ["extract", "all", "the plain script"]
    assert rows[1]["10,000 clips"] == pytest.approx(0.01 + 1)
    assert rows[2]["10,000 clips"] == pytest.approx(10)
    sizes = dict.fromkeys(costs.HANDS, 1e5)
    assert costs.disk(sizes, [10_000])[-2] == {"GB on disk": "all that is made", "10,000 clips": pytest.approx(5)}
    assert costs.network(sizes, [10_000])[0]["10,000 clips"] == pytest.approx(14)


def test_a_system_is_trained_on_the_project_s_data_and_nothing_is_left_there(prepared):
    params = load(overrides={"train": {"system": "lvs", "epochs": 1}})
    before = prepared.bytes_of(".")
    row = systems.measured(prepared.folder, params)
    assert (row["system"], row["epochs"]) == ("lvs", 1)
    assert row["CPU s"] > 0
    assert row["wall s"] > 0
    assert prepared.bytes_of(".") == before


def test_cells_that_are_trained_alike_are_measured_once(prepared):
    cells = {"usol": {}, "scored": {"evaluate": {"split": "val"}}, "lvs": {"train": {"system": "lvs"}}}
    found = systems.trainings(Table("systems", [0, 1], cells), seed=3)
    assert list(found) == ["usol", "lvs"]
    assert [params.train.seed for params in found.values()] == [3, 3]


def test_a_detector_is_trained_and_its_boxes_are_counted(in_tmp):
    settings = voc.settings(voc.write(in_tmp / "voc"))
    row = detector.measured(settings, Runtime(engine="joblib", workers=1, scheduler=None, device="cpu"))
    assert (row["device"], row["epochs"], row["n"]) == ("cpu", 1, 4)
    assert row["boxes a frame"] > 50 > row["above .5"]
    assert min(row["CPU s"], row["wall s"], row["frames a s"]) > 0
    assert not (in_tmp / ".scratch").exists()
