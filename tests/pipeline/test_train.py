import csv
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.vision import MobileNetV2
from pipeline import train
from pipeline.foundation import shards
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import load


def model_bytes(project) -> dict[str, bytes]:
    return project.bytes_of("data/model") | {"curve": (project.folder / "data/metrics/train.csv").read_bytes()}


def run(**overrides) -> Path:
    params = load(overrides={"train": overrides})
    return train.train(params.train, train.FRAMES, train.SOUNDS, train.BOTTOM_UP, params.runtime)


def curve(finished: Path) -> list[dict[str, float]]:
    with (finished / "train.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_training_gives_the_same_bytes_every_time(prepared):
    prepared.stage("train")
    first = model_bytes(prepared)
    prepared.run("python", "-c", "import shutil; shutil.rmtree('.scratch/train')")
    prepared.stage("train")
    assert model_bytes(prepared) == first
    card = json.loads(first["model.json"])
    assert (card["n_clips"], card["device"], card["precision"]) == (12, "cpu", "float32")
    rows = list(csv.DictReader(first["curve"].decode().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row[name]) > 0 for row in rows for name in ("loss", "correspondence", "val_loss"))


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_bytes(prepared):
    prepared.set({"train": {"epochs": 30}})
    process = subprocess.Popen([sys.executable, "-m", "pipeline.train"], cwd=prepared.folder)
    while not (states := list((prepared.folder / ".scratch/train").glob("*.unfinished/epoch.pt"))):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(torch.load(states[0], weights_only=True)["rows"])
    assert 1 <= done < 30
    prepared.stage("train")
    resumed = model_bytes(prepared)
    prepared.run("python", "-c", "import shutil; shutil.rmtree('.scratch/train')")
    prepared.stage("train")
    assert model_bytes(prepared) == resumed


def test_a_finished_run_is_reused_and_another_setting_is_another_run(prepared):
    first = run(epochs=1)
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert run(epochs=1) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert run(epochs=1, seed=1) != first


@pytest.mark.parametrize("correspondence", ["as_written", "as_coded", "own_attention"])
def test_every_form_of_the_loss_learns_where_to_look(prepared, correspondence):
    rows = curve(run(correspondence=correspondence, alpha=1, temperature=0.1, epochs=8, augment="none", lr=1e-3))
    assert rows[-1]["attention"] < 0.7 * rows[0]["attention"]


def test_own_attention_tells_a_dozen_sounds_apart(prepared):
    rows = curve(run(correspondence="own_attention", alpha=0, epochs=8, augment="none", lr=1e-3))
    assert rows[-1]["correspondence"] < 0.2 * rows[0]["correspondence"]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_clips(prepared):
    with pytest.raises(UserError, match=r"the loss is nan in epoch \d+ with the clips train-\d+, .*lower train.lr"):
        run(lr=1e30, epochs=5)


@pytest.mark.parametrize(("t", "share"), [(0.0, 100), (0.9, 0)])
def test_a_threshold_that_marks_nearly_all_or_nothing_is_warned_of(prepared, caplog, t, share):
    run(t=t, epochs=1)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(f"train: at train.t = {t:g}, ")
    assert abs(int(warning.split(" %")[0].split()[-1]) - share) < 15


def test_no_warning_where_the_map_guides_or_is_not_used(prepared, caplog):
    run(t=None, t_share=0.4, epochs=1)
    run(t=0.9, alpha=0, epochs=1)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_bfloat16_trains_too(prepared):
    finished = run(precision="bfloat16", epochs=1)
    assert json.loads((finished / "model.json").read_text())["precision"] == "bfloat16"


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """MobileNetV2's weights, random, as a file with folded batch norms."""
    torch.manual_seed(0)
    save_file(MobileNetV2("features.13", "same").state_dict(), tmp_path / "weights.safetensors")
    return str(tmp_path / "weights.safetensors")


@pytest.mark.slow
def test_features_of_a_frozen_network_are_kept_and_change_nothing(prepared, weights, monkeypatch):
    network = {
        "vision": "mobilenet_v2",
        "vision_layer": "features.13",
        "vision_weights": weights,
        "freeze_vision": True,
    }
    kept = run(**network, augment="none", epochs=1)
    folders = list(Path(".scratch/features").iterdir())
    assert len(folders) == len(shards.shard_paths(train.FRAMES))
    monkeypatch.setattr(train, "are_kept", lambda _: False)
    monkeypatch.setattr(train, "VERSION", -1)
    seen_anew = run(**network, augment="none", epochs=1)
    assert curve(kept)[0]["loss"] == pytest.approx(curve(seen_anew)[0]["loss"], abs=1e-3)


def test_a_frozen_network_that_is_augmented_is_not_kept(prepared, weights):
    network = {
        "vision": "mobilenet_v2",
        "vision_layer": "features.13",
        "vision_weights": weights,
        "freeze_vision": True,
    }
    run(**network, augment="flips", epochs=1)
    assert not Path(".scratch/features").exists()


def test_fewer_than_two_clips_are_told(prepared, monkeypatch):
    listing = prepared.folder / "data/source/train/clips.csv"
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match="1 usable clips to train on, and a system needs 2"):
        run(epochs=1)


def test_without_val_the_curve_has_no_val(prepared):
    listing = prepared.folder / "data/source/val/clips.csv"
    listing.write_text(listing.read_text().splitlines(keepends=True)[0])
    finished = run(epochs=1)
    (row,) = curve(finished)
    assert math.isnan(row["val_loss"])
