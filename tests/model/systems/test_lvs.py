import math

import pytest
import torch

from model.audio import GivenVector
from model.batch import Batch
from model.systems import lvs
from model.systems.lvs import Lvs, Settings


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_tri_map_by_hand():
    cells = torch.tensor([0.65, 0.4, 0.53])
    assert lvs.sounding(cells, 0.03).tolist() == pytest.approx([0.5, sigmoid(-0.25 / 0.03), sigmoid(-4)], rel=1e-4)
    assert lvs.silent(cells, 0.03).tolist() == pytest.approx(
        [1 - sigmoid(0.25 / 0.03), 0.5, 1 - sigmoid(0.13 / 0.03)], rel=1e-3
    )


def test_the_contrast_by_hand():
    similarity = torch.tensor([[[0.9, 0.1], [0.7, -0.2]], [[0.3, 0.2], [0.8, 0.5]]])[:, :, None]  # (2, 2, 1, 2)

    def mean(cells, mask):
        weights = [mask(s) for s in cells]
        return sum(w * s for w, s in zip(weights, cells, strict=True)) / sum(weights)

    def sounding(s):
        return sigmoid((s - 0.65) / 0.03)

    def silent(s):
        return 1 - sigmoid((s - 0.4) / 0.03)

    expected = 0
    for own, other in (((0.9, 0.1), (0.7, -0.2)), ((0.8, 0.5), (0.3, 0.2))):
        p, easy, hard = mean(own, sounding), mean(other, sounding), mean(own, silent)
        total = sum(math.exp(x / 0.07) for x in (p, easy, hard))  # a frame's own entry is not among the easy ones
        expected -= math.log(math.exp(p / 0.07) / total) / 2
    assert lvs.contrast(similarity, 0.03, 0.07).item() == pytest.approx(expected, rel=1e-4)


def test_a_frame_s_own_entry_is_masked_also_where_it_is_negative():
    apart = torch.tensor([[-0.5, -0.9], [-0.9, -0.5]])[:, :, None, None]  # multiplied by -99, own entries would win
    p, easy, hard = -0.5, -0.9, -0.5
    expected = -math.log(math.exp(p / 0.07) / sum(math.exp(x / 0.07) for x in (p, easy, hard)))
    assert lvs.contrast(apart, 0.03, 0.07).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_the_contrast_and_its_gradient_are_finite_at_the_ends(value):
    similarity = torch.full((3, 3, 2, 2), value, requires_grad=True)
    loss = lvs.contrast(similarity, 0.03, 0.07)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(similarity.grad).all()


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    similarity = (2 * torch.rand(3, 3, 2, 2, dtype=torch.float64, generator=generator) - 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: lvs.contrast(s, 0.03, 0.07), (similarity,))


def test_the_system_contrasts_all_frames_with_all_sounds():
    torch.manual_seed(0)
    system = Lvs(GivenVector(5), GivenVector(4), Settings(0.03, 0.07))
    frames, sounds = torch.randn(3, 5, 2, 2), torch.randn(3, 4)
    every = torch.stack(
        [torch.cat([system.heat(frames[i : i + 1], sounds[k : k + 1], frames) for k in range(3)]) for i in range(3)]
    )
    found = system.loss(Batch(frames, sounds, torch.zeros(3, 2, 2)))["loss"]
    assert found.item() == pytest.approx(lvs.contrast(every, 0.03, 0.07).item(), abs=1e-5)
