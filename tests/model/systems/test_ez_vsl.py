import math

import pytest
import torch

from model.audio import GivenVector
from model.batch import Batch
from model.systems import ez_vsl
from model.systems.ez_vsl import EzVsl, Settings


def system(freeze_vision: bool) -> EzVsl:
    torch.manual_seed(0)
    return EzVsl(GivenVector(5), GivenVector(4), Settings(freeze_vision, distance_temperature=0.03))


def test_the_contrast_by_hand():
    best = torch.tensor([[0.5, 0.2], [0.4, 0.3]])
    similarity = torch.stack([best, best - 0.3], dim=-1)[:, :, None]  # a second cell that is nowhere the best
    e = {(i, k): math.exp(best[i, k].item() / 0.03) for i in range(2) for k in range(2)}
    among_sounds = -sum(math.log(e[i, i] / (e[i, 0] + e[i, 1])) for i in range(2)) / 2
    among_frames = -sum(math.log(e[k, k] / (e[0, k] + e[1, k])) for k in range(2)) / 2
    assert ez_vsl.contrast(similarity, 0.03).item() == pytest.approx(among_sounds + among_frames, rel=1e-4)


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    similarity = torch.rand(3, 3, 2, 2, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: ez_vsl.contrast(s, 0.03), (similarity,))


@pytest.mark.parametrize("freeze_vision", [True, False])
def test_the_object_prior_has_six_tenths_and_hears_nothing(freeze_vision):
    ours, features, sounds = system(freeze_vision), torch.randn(1, 5, 2, 2), torch.randn(2, 1, 4)
    bottom_up = torch.tensor([[[0.0, 0.1], [0.2, 0.4]]])
    objects = features.abs().mean(dim=1) if freeze_vision else bottom_up
    prior = (objects - objects.min()) / (objects.max() - objects.min())
    for sound in sounds:
        cells = ours.of_cells(features)[0].flatten(1).T
        cosine = torch.nn.functional.cosine_similarity(cells, ours.of_sound(sound)).view(1, 2, 2)
        audiovisual = (cosine - cosine.min()) / (cosine.max() - cosine.min())
        heat = ours.heat(features, sound, bottom_up)
        assert torch.allclose((heat + 1) / 2, 0.4 * audiovisual + 0.6 * prior, atol=1e-5)


def test_the_prior_is_not_trained():
    ours = system(freeze_vision=False)
    frames, sounds = torch.randn(3, 5, 2, 2), torch.randn(3, 4)
    found = [ours.loss(Batch(frames, sounds, maps))["loss"].item() for maps in torch.rand(2, 3, 2, 2)]
    assert found[0] == found[1]
