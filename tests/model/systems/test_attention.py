import dataclasses

import pytest
import torch
import torch.nn.functional as F

from model.audio import GivenVector
from model.batch import Batch
from model.systems.attention import Attention, Settings
from model.systems.attention_supervised import AttentionSupervised


def system(kind: type[Attention] = Attention, temperature: float = 1.0) -> Attention:
    torch.manual_seed(0)
    return kind(GivenVector(6), GivenVector(4), Settings(temperature))


def batch(n: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(1)
    sounds, negatives = torch.randn(2, n, 4, generator=generator)
    maps, boxes = torch.rand(2, n, 2, 3, generator=generator)
    return Batch(torch.randn(n, 6, 2, 3, generator=generator), sounds, maps, negatives, boxes=boxes)


def by_hand(attention: Attention, b: Batch, i: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a clip and what its sound attends to, cell by cell."""
    cells = b.frames[i].flatten(1).T  # (6 cells, 6 channels)
    _, w1, _, w2 = attention.to_h
    h = w2(F.relu(w1(F.relu(b.sounds[i]))))
    cosines = torch.stack([F.relu(F.cosine_similarity(cell, h, dim=0)) for cell in cells])
    a = torch.softmax(cosines / temperature, dim=0)
    z = F.relu(sum(weight * cell for weight, cell in zip(a, cells, strict=True)))
    _, w1, _, w2 = attention.to_f_v
    f_v = w2(F.relu(w1(z)))
    d = torch.softmax(torch.stack([(f_v - b.sounds[i]).norm(), (f_v - b.negative_sounds[i]).norm()]), dim=0)
    return (d - torch.tensor([0.0, 1.0])).square().mean(), a


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_the_triplet_clip_by_clip(temperature):
    attention, b = system(temperature=temperature), batch()
    expected = sum(by_hand(attention, b, i, temperature)[0] for i in range(3)) / 3
    assert attention.loss(b)["loss"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_bottom_up_map_and_the_boxes_change_nothing():
    attention, b = system(), batch()
    other = dataclasses.replace(b, bottom_up=1 - b.bottom_up, boxes=None)
    assert attention.loss(other)["loss"] == attention.loss(b)["loss"]


def test_the_supervised_loss_adds_the_cross_entropy_with_the_boxes():
    attention, b = system(AttentionSupervised), batch()
    expected = 0
    for i in range(3):
        correspondence, a = by_hand(attention, b, i, 1.0)
        expected += (correspondence - (b.boxes[i].flatten() * a.log()).sum()) / 3
    assert attention.loss(b)["loss"].item() == pytest.approx(expected.item(), abs=1e-4)


def test_the_supervised_system_learns_to_attend_to_the_boxes():
    attention, b = system(AttentionSupervised), batch(1)
    before = attention.heat(b.frames, b.sounds, b.bottom_up).flatten()
    wanted = before.argsort(descending=True)[1]
    assert before[wanted] > 0  # else it would learn nothing
    box = torch.zeros(6)
    box[wanted] = 1
    b = dataclasses.replace(b, boxes=box.view(1, 2, 3))
    optimizer = torch.optim.Adam(attention.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        attention.loss(b)["loss"].backward()
        optimizer.step()
    assert attention.heat(b.frames, b.sounds, b.bottom_up).argmax() == wanted
