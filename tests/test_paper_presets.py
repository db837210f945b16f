"""The paper's presets as a user runs them, on a few clips of the small world and with weights of random numbers."""

import json

import numpy as np
import pytest
import torch

from model.networks.soundnet import SoundNet
from model.networks.vgg16 import VGG16
from pipeline.foundation.params_file import load
from tests.project import TINY, Project
from tests.weights import random_weights, soundnet_npy

FEW = {
    "worlds": {"default": TINY["worlds"]["default"]},
    "source": {"name": "folder", "root": "data/worlds/default", "watch": "data/worlds/default", "train_clips": None},
    "extract": {"shard_clips": 4, "seconds": 10, "frame_size": 64},
    "train": {"epochs": 1, "batch": 6},
    "evaluate": {"bootstrap": 20, "overlays": 1},
}


def write_weights(project: Project) -> None:
    """Weights of both networks under the names that the presets give, whole files of their public layouts."""
    folder = project.folder / "weights"
    folder.mkdir()
    classes = {"classifier.0.weight": torch.zeros(2, 2), "classifier.6.bias": torch.zeros(1000)}
    torch.save(random_weights(VGG16()) | classes, folder / "vgg16-397923af.pth")
    nested = np.array(soundnet_npy(random_weights(SoundNet())), dtype=object)
    np.save(folder / "sound8.npy", nested, allow_pickle=True)


def preset(project: Project, name: str) -> None:
    done = project.run("usol", "preset", name, "--root", "flickr")
    assert done.returncode == 0, done.stderr
    project.set({"worlds": {}} | FEW)


@pytest.mark.slow
def test_the_papers_presets_run_to_metrics(prepared):
    write_weights(prepared)
    preset(prepared, "paper_as_written")
    written = load(prepared.folder / "params.yaml")
    assert (written.train.alpha, written.train.t, written.train.lr) == (0.1, 0.02, 1e-4)
    for stage in ("extract", "propose selective_search", "attend", "listen", "train", "evaluate"):
        prepared.stage(*stage.split())
    figures = {"as_written": metrics(prepared)}
    preset(prepared, "paper_as_coded")
    assert load(prepared.folder / "params.yaml").train.alpha == 10
    for stage in ("listen", "train", "evaluate"):
        prepared.stage(stage)
    figures["as_coded"] = metrics(prepared)
    assert all(0 <= value <= 1 for of in figures.values() for value in of.values())


def metrics(project: Project) -> dict[str, float]:
    """The first figures of eval.json, once the checkpoint says what it should."""
    card = json.loads((project.folder / "data/model/model.json").read_text())
    assert (card["train"]["vision"], card["sound_size"]) == ("vgg16", 1000)
    assert card["front_end"]["features"] == "soundnet"
    assert len(card["front_end"]["weights"]) == 128
    found = json.loads((project.folder / "data/metrics/eval.json").read_text())
    assert found["n"] == found["n_annotated"] == 6
    assert found["probes"]["silence"] is not None
    method = found["method"]["adaptive"]
    return {"auc": method["auc"], "mean_ciou": method["mean_ciou"], "moved": found["wrong_sound"]["adaptive"]["moved"]}
