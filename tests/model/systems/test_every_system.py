"""What holds for every system of the registry: a new one is tested here without a line."""

import dataclasses

import pytest
import torch

from model.batch import Batch
from model.system import System
from model.systems import SYSTEMS
from pipeline.foundation import checkpoints
from pipeline.foundation.checkpoints import Known
from pipeline.foundation.params import Train
from pipeline.foundation.params_file import load
from tests.samples import ROOT

TOLD = {"boxes", "labels"}
N, SIDE, CLASSES = 6, 64, 3  # clips, pixels, labels


@pytest.fixture(params=SYSTEMS)
def settings(request) -> Train:
    """The settings of params.yaml, on the small networks where the system can hear with one."""
    hears_vectors = checkpoints.system_class(request.param).hears_vectors
    small = {"vision": "small", "vision_layer": None, "vision_weights": None, "freeze_vision": False, "init": None}
    audio = {"system": request.param, "audio": "vectors" if hears_vectors else "small"}
    return load(ROOT / "params.yaml").train.model_copy(update=small | audio)


@pytest.fixture
def system(settings) -> System:
    torch.manual_seed(0)
    uses = checkpoints.system_class(settings.system).uses
    n_labels = CLASSES if "labels" in uses else None
    return checkpoints.new_system(settings, Known(64, (0.0, 1.0), 1 / 400, n_labels))


@pytest.fixture
def batch(system, settings) -> Batch:
    """Six clips, with what the system asks for and no more."""
    generator = torch.Generator().manual_seed(1)
    shape = (N, 64) if settings.audio == "vectors" else (N, 64, 33)
    frames = torch.rand(N, 3, SIDE, SIDE, generator=generator)
    sounds, negatives = torch.rand(2, *shape, generator=generator)
    maps, boxes = torch.rand(2, N, SIDE // 16, SIDE // 16, generator=generator)
    return Batch(
        frames,
        sounds,
        maps,
        negative_sounds=negatives if system.wants_negatives else None,
        boxes=boxes if "boxes" in system.uses else None,
        labels=torch.arange(N) % CLASSES if "labels" in system.uses else None,
    )


def learn(system: System, batch: Batch, steps: int = 1) -> list[float]:
    """Train some steps on one batch, or fit; returns the losses, if there are any."""
    if system.is_fitted:
        with torch.no_grad():
            system.eval().fit(lambda: iter([batch]))
        return []
    optimizer = torch.optim.Adam([p for p in system.parameters() if p.requires_grad], lr=1e-3)
    found = []
    for _ in range(steps):
        loss = system.train().loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_it_is_told_of_boxes_and_labels_what_it_declares_and_looks_at_nothing_else(system, batch):
    read = set()

    class Watched(Batch):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(Batch)}
    learn(system, Watched(**fields))
    assert read & TOLD == system.uses
    assert system.uses <= TOLD


def test_it_learns(system, batch):
    before = {name: tensor.clone() for name, tensor in system.state_dict().items()}
    losses = learn(system, batch, steps=8)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in system.state_dict().items())
    if losses:
        assert losses[-1] < losses[0]


@torch.no_grad()
def test_its_heat_is_one_number_a_cell_and_within_a_cosine_s_bounds_where_it_is_one(system, batch):
    learn_with_grad(system, batch)
    heat = system.eval().heat(batch.frames, batch.sounds, batch.bottom_up)
    assert heat.shape == (N, SIDE // 16, SIDE // 16)
    assert torch.isfinite(heat).all()
    assert system.is_fitted or heat.abs().max() <= 1 + 1e-6
    assert (heat.amax(dim=(1, 2)) > heat.amin(dim=(1, 2))).all()


@torch.no_grad()
def test_a_clip_s_heat_is_the_same_alone_and_in_company(system, batch):
    learn_with_grad(system, batch)
    together = system.eval().heat(batch.frames, batch.sounds, batch.bottom_up)
    for i in range(N):
        one = slice(i, i + 1)
        alone = system.heat(batch.frames[one], batch.sounds[one], batch.bottom_up[one])
        assert torch.allclose(alone[0], together[i], atol=1e-5)


@torch.no_grad()
def test_features_that_were_kept_stand_in_for_frames(system, batch):
    learn_with_grad(system, batch)
    features = system.eval().see(batch.frames, None)
    heat = system.heat(None, batch.sounds, batch.bottom_up, features)
    assert torch.allclose(heat, system.heat(batch.frames, batch.sounds, batch.bottom_up), atol=1e-6)


@torch.no_grad()
def test_another_sound_is_shown_elsewhere(system, batch):
    learn_with_grad(system, batch)
    heat = system.eval().heat(batch.frames, batch.sounds, batch.bottom_up)
    assert not torch.allclose(system.heat(batch.frames, batch.sounds.flip(0), batch.bottom_up), heat, atol=1e-6)


def learn_with_grad(system: System, batch: Batch) -> None:
    with torch.enable_grad():
        learn(system, batch)


def test_its_settings_are_keys_of_train_or_known_of_the_clips(system):
    names = {field.name for field in dataclasses.fields(system.settings_class)}
    assert names <= set(Train.model_fields) | {"unit", "n_labels"}


def test_its_gradients_reach_all_that_it_trains(system, batch):
    if system.is_fitted:
        pytest.skip("solved in closed form")
    system.loss(batch)["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in system.parameters() if p.requires_grad)
