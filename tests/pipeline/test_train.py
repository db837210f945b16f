import csv
import json
import logging
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.networks.squeezenet import SqueezeNet
from model.systems import SYSTEMS
from model.vision import MobileNetV2
from pipeline import evaluate, train
from pipeline.foundation import checkpoints, manifest, shards
from pipeline.foundation.batches import Clips, Folders
from pipeline.foundation.errors import UserError
from pipeline.foundation.features import kept_features
from pipeline.foundation.params_file import load
from pipeline.foundation.shards import Shards
from tests.weights import random_weights


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


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_trains_from_shards_and_is_read_again(prepared, name):
    if checkpoints.system_class(name).hears_vectors:
        with pytest.raises(UserError, match=f"train.audio: {name} takes its classes from vectors"):
            run(system=name, epochs=1)
        return
    system, card = checkpoints.load(run(system=name, epochs=1))
    assert card.train["system"] == name
    split = manifest.read(train.SOURCE / "test")
    clips = Clips(
        [c.clip_id for c in split.clips], Folders(train.FRAMES, train.SOUNDS, train.BOTTOM_UP), torch.device("cpu")
    )
    batch = clips.batch(clips.clip_ids)
    with torch.no_grad():
        assert system.heat(batch.frames, batch.sounds, batch.bottom_up).shape == batch.bottom_up.shape


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


def test_features_of_one_depth_are_not_taken_for_those_of_two(prepared):
    deep = MobileNetV2("features.17", "same")
    both = MobileNetV2("features.13+features.17", "same")
    both.load_state_dict(deep.state_dict())  # the same numbers
    runtime = load().runtime
    folders = [kept_features(network, train.FRAMES, runtime, torch.device("cpu")) for network in (deep, both)]
    shapes = [shards.Shards(folder).read("train-0000", "features").shape for folder in folders]
    assert shapes == [(320, 4, 4), (416, 4, 4)]


def test_a_system_that_is_solved_begins_with_a_trained_one_and_leaves_no_curve(prepared, caplog):
    caplog.set_level(logging.INFO)
    first = run(epochs=1)
    made = run(epochs=1, system="guided")
    assert [record.getMessage() for record in caplog.records] == ["train: guided begins with the networks of usol"]
    assert curve(made) == []
    assert "guided on 12 clips, solved" in train.summary(made, load().train)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (made, first))
    networks = [name for name in theirs if name.startswith(("vision.", "audio."))]
    assert all(torch.equal(ours[name], theirs[name]) for name in networks)
    assert ours["filters"].shape == (96, 128)
    assert ours["filters"].any()
    content = (made / "model.safetensors").read_bytes()
    shutil.rmtree(".scratch/train")
    assert (run(epochs=1, system="guided") / "model.safetensors").read_bytes() == content


def test_networks_that_are_given_need_no_other_system():
    given = {"vision": "mobilenet_v2", "vision_layer": "features.13", "vision_weights": "x"}
    settings = load().train.model_copy(update={"system": "guided", **given})
    assert train._begins_with(settings) == "usol"  # the sound network is not given
    assert train._begins_with(settings.model_copy(update={"audio": "vectors"})) is None
    assert train._begins_with(settings.model_copy(update={"system": "usol"})) is None


def test_sounds_that_are_all_the_same_are_told(prepared):
    listing = shards.Shards(train.SOUNDS)
    for path in shards.shard_paths(train.SOUNDS):
        clip_ids = shards.Shard(path).clip_ids
        one = np.repeat(listing.read("train-0000", "logmel")[None], len(clip_ids), axis=0)
        path.unlink()
        shards.write(path, "listen", clip_ids, {"logmel": one})
    with pytest.raises(UserError, match="data/source/train: to the networks all sounds are the same; train on other"):
        run(epochs=1, system="guided")


@pytest.fixture
def exported(prepared) -> str:
    """A checkpoint that was trained here, as an exported folder."""
    shutil.copytree(run(epochs=1, seed=5), "weights/here")
    return "weights/here"


def without_clips(project, *splits: str) -> None:
    for split in splits:
        listing = project.folder / f"data/source/{split}/clips.csv"
        listing.write_text(listing.read_text().splitlines(keepends=True)[0])


def test_no_epoch_gives_the_checkpoint_on_as_it_is(prepared, exported):
    before = run(init=exported, epochs=0)
    for name in checkpoints.FILES:
        assert (before / name).read_bytes() == Path(exported, name).read_bytes()
    assert (before / "train.csv").read_text() == "epoch,loss,val_loss\n"
    assert "as it is: usol on 12 clips, 1 epochs" in train.summary(
        before, load(overrides={"train": {"init": exported, "epochs": 0}}).train
    )


@pytest.mark.slow
def test_no_epoch_needs_nothing_to_train_on_and_is_evaluated_with_equal_heat(prepared, exported):
    params = load()
    folders = Folders(evaluate.FRAMES, evaluate.SOUNDS, evaluate.BOTTOM_UP)
    theirs = evaluate.look(params.evaluate, Path(exported), folders, params.runtime)
    without_clips(prepared, "train", "val")
    (prepared.folder / "data/source/train/boxes.csv").write_text("clip_id,annotator,x0,y0,x1,y1,label,sounding\n")
    prepared.set({"train": {"init": exported, "epochs": 0}})
    done = prepared.stage("train")
    assert f"train: {exported} as it is: usol on 12 clips, 1 epochs -> data/model" in done.stderr
    prepared.stage("evaluate")
    ours = Shards(prepared.folder / "data/heat")
    for i, clip in enumerate(theirs.shown.clips):
        assert np.array_equal(ours.read(clip.clip_id, "right"), theirs.shown.maps["right"][i])
    figures = json.loads((prepared.folder / "data/metrics/eval.json").read_text())
    assert figures["seed"] == 5
    assert "prior" not in figures["baselines"]


def test_training_from_a_checkpoint_begins_with_its_weights(prepared, exported):
    barely = run(init=exported, epochs=1, lr=1e-9)
    begun, ours = (load_file(folder / "model.safetensors") for folder in (Path(exported), barely))
    for name, tensor in begun.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=0)
    assert any(not torch.equal(ours[name], tensor) for name, tensor in begun.items())
    further = curve(run(init=exported, epochs=3, seed=6))
    anew = curve(run(epochs=3, seed=6))
    assert further[0]["loss"] < anew[0]["loss"]
    card = json.loads((barely / "model.json").read_text())
    assert len(card["train"]["init"]) == 32  # what it began with, by content
    assert checkpoints.load(barely)[1].n_clips == 12


def test_another_checkpoint_to_begin_with_is_another_run(prepared, exported):
    first = run(init=exported, epochs=1)
    shutil.copytree(exported, "weights/copy")
    assert run(init="weights/copy", epochs=1) == first
    shutil.copytree(run(epochs=1, seed=8), "weights/other")
    assert run(init="weights/other", epochs=1) != first != run(epochs=1)


def test_a_run_from_a_checkpoint_goes_on_where_it_was(prepared, exported, monkeypatch):
    whole = run(init=exported, epochs=3)
    expected = (whole / "model.safetensors").read_bytes(), (whole / "train.csv").read_bytes()
    shutil.rmtree(whole)
    done = []
    real_epoch = train._train_epoch

    def dies_in_the_third(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real_epoch(*arguments)

    monkeypatch.setattr(train, "_train_epoch", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(init=exported, epochs=3)
    monkeypatch.setattr(train, "_train_epoch", real_epoch)
    resumed = run(init=exported, epochs=3)
    assert ((resumed / "model.safetensors").read_bytes(), (resumed / "train.csv").read_bytes()) == expected


def test_a_checkpoint_that_does_not_fit_is_told_before_it_is_given_on(prepared, exported):
    with pytest.raises(UserError, match=r"train.correspondence: got as_coded, but the checkpoint of train.init"):
        run(init=exported, epochs=0, correspondence="as_coded")
    with pytest.raises(UserError, match=r"train.init: nowhere has no model.safetensors and no model.json"):
        run(init="nowhere", epochs=0)


def test_training_from_a_checkpoint_needs_clips_to_train_on(prepared, exported):
    without_clips(prepared, "train")
    with pytest.raises(UserError, match="0 usable clips to train on, and a system needs 2"):
        run(init=exported, epochs=1)


@pytest.mark.slow
def test_a_frozen_network_of_a_checkpoint_is_kept_and_needs_no_weights_file(prepared, weights):
    network = {"vision": "mobilenet_v2", "vision_layer": "features.13", "freeze_vision": True, "augment": "none"}
    shutil.copytree(run(**network, vision_weights=weights, epochs=1), "weights/frozen")
    features = set(Path(".scratch/features").iterdir())
    finished = run(**network, init="weights/frozen", epochs=1)
    assert set(Path(".scratch/features").iterdir()) == features  # the same network sees the same
    begun, ours = (load_file(Path(folder, "model.safetensors")) for folder in ("weights/frozen", finished))
    seen = [name for name in begun if name.startswith("vision.")]
    assert seen
    assert all(torch.equal(begun[name], ours[name]) for name in seen)


def test_fewer_than_two_clips_are_told(prepared, monkeypatch):
    listing = prepared.folder / "data/source/train/clips.csv"
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match="1 usable clips to train on, and a system needs 2"):
        run(epochs=1)


def test_clips_without_what_a_system_is_told_are_not_trained_on(prepared):
    boxes = prepared.folder / "data/source/train/boxes.csv"
    header, *lines = boxes.read_text().splitlines(keepends=True)
    first = lines[0].partition(",")[0]
    boxes.write_text(header + "".join(line for line in lines if line.startswith(f"{first},")))
    with pytest.raises(UserError, match="1 usable clips to train on with boxes, which attention_supervised is told"):
        run(system="attention_supervised", epochs=1)


def test_without_val_the_curve_has_no_val(prepared):
    listing = prepared.folder / "data/source/val/clips.csv"
    listing.write_text(listing.read_text().splitlines(keepends=True)[0])
    finished = run(epochs=1)
    (row,) = curve(finished)
    assert math.isnan(row["val_loss"])


@pytest.mark.slow
def test_a_network_with_batch_norms_hears_and_gives_the_same_bytes_every_time(prepared, tmp_path):
    save_file(random_weights(SqueezeNet()), tmp_path / "squeezenet.safetensors")
    networks = {"vision": "squeezenet", "vision_weights": str(tmp_path / "squeezenet.safetensors"), "audio": "resnet18"}
    finished = run(**networks, epochs=1)
    numbers = load_file(finished / "model.safetensors")
    assert numbers["audio.bn1.running_mean"].abs().max() > 0
    assert numbers["audio.bn1.num_batches_tracked"] == 2  # 12 clips, 6 a batch
    first = (finished / "model.safetensors").read_bytes()
    shutil.rmtree(finished)
    assert (run(**networks, epochs=1) / "model.safetensors").read_bytes() == first
    system, card = checkpoints.load(finished)
    assert card.front_end == {"features": "logmel", "sample_rate": 22_050, "seconds": 1, "peak": None, "weights": None}
    assert not system.audio.bn1.training
