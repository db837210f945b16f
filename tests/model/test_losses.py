import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import losses


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_eq5_is_the_euclidean_distance():
    assert losses.distance(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])).item() == pytest.approx(5)


def test_eq5_has_a_finite_gradient_where_features_meet():
    a = torch.ones(1, 2, requires_grad=True)
    losses.distance(a, torch.ones(1, 2)).sum().backward()
    assert torch.isfinite(a.grad).all()


def test_eq6_by_hand():
    d_pos, d_neg = torch.tensor([1.0]), torch.tensor([3.0])
    big_d_pos = math.exp(1) / (math.exp(1) + math.exp(3))
    expected = abs(big_d_pos) + abs(1 - (1 - big_d_pos))
    assert losses.correspondence(d_pos, d_neg).item() == pytest.approx(expected)


def test_eq6_as_coded_is_the_mean_square():
    d_pos, d_neg = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])
    shares = [sigmoid(-2), 0.5]
    expected = sum(((s - 0) ** 2 + ((1 - s) - 1) ** 2) / 2 for s in shares) / 2
    assert losses.correspondence_as_coded(d_pos, d_neg).item() == pytest.approx(expected)


def test_eq6_of_all_pairs_by_hand():
    distances = torch.tensor([[1.0, 4.0], [2.0, 3.0]])  # [frame, sound]
    tau = 0.5
    triplets = [(1, 4), (3, 2), (1, 2), (3, 4)]  # other sound on frame 0 and 1; other frame with sound 0 and 1
    expected = 2 * sum(sigmoid((pos - neg) / tau) for pos, neg in triplets) / 4
    assert losses.correspondence_of_all(distances, tau).item() == pytest.approx(expected)


def test_eq10_compares_counts_where_a_map_counts():
    k = 50
    one_box_summed_otherwise = torch.tensor([[[0.02 + 1e-8, 0.04]]])
    marked = losses.salient(one_box_summed_otherwise, t=0.02, unit=1 / (4 * k))
    assert marked.tolist() == [[[False, True]]]  # one box of K is not more than t = 1 / K; two are


def test_eq10_compares_values_where_a_map_counts_none():
    assert losses.salient(torch.tensor([[[0.02, 0.0201]]]), t=0.02, unit=0).tolist() == [[[False, True]]]


def test_eq10_by_share_marks_the_highest_cells_and_no_tie():
    cells = torch.tensor([[[4.0, 3.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]])
    assert losses.salient_share(cells, 0.5).tolist() == [[[True, True], [False, False]], [[False] * 2] * 2]


def test_eq11_penalises_only_inconspicuous_cells():
    attention = torch.tensor([[[0.5, 0.2], [0.2, 0.1]]])
    salient = torch.tensor([[[True, False], [True, False]]])
    expected = -(math.log(0.8) + math.log(0.9))
    assert losses.inconspicuous(attention, salient).item() == pytest.approx(expected)


def test_eq11_is_the_mean_over_the_batch():
    attention = torch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]])
    salient = torch.tensor([[[True, True]], [[False, True]]])
    assert losses.inconspicuous(attention, salient).item() == pytest.approx(-math.log(0.5) / 2)


@given(st.integers(0, 99), st.booleans())
def test_eq11_is_finite_for_one_hot_and_uniform_attention(cell, is_salient):
    one_hot = torch.zeros(1, 10, 10, requires_grad=True)
    with torch.no_grad():
        one_hot.view(-1)[cell] = 1
    for attention in (one_hot, torch.full((1, 10, 10), 0.01)):
        loss = losses.inconspicuous(attention, torch.full((1, 10, 10), is_salient))
        assert torch.isfinite(loss)
        assert loss >= 0
    losses.inconspicuous(one_hot, torch.full((1, 10, 10), is_salient)).backward()
    assert torch.isfinite(one_hot.grad).all()


def test_eq8_by_hand():
    attention = torch.tensor([[[0.7, 0.2, 0.1]]])
    bottom_up = torch.tensor([[[1.0, 0.25, 0.0]]])
    expected = -(math.log(0.7) + 0.25 * math.log(0.2) + 0.75 * math.log(0.8) + math.log(0.9))
    assert losses.soft_label(attention, bottom_up).item() == pytest.approx(expected)


def test_eq9_by_hand():
    attention = torch.tensor([[[0.7, 0.2, 0.1]], [[0.5, 0.25, 0.25]]])
    salient = torch.tensor([[[True, False, False]], [[True, True, False]]])
    first = -(math.log(0.7) + math.log(0.8) + math.log(0.9))
    second = -(math.log(0.5) + math.log(0.25) + math.log(0.75))
    assert losses.hard_label(attention, salient).item() == pytest.approx((first + second) / 2)


def test_the_target_s_cross_entropy_by_hand():
    attention = torch.tensor([[[0.7, 0.2, 0.1]]])
    assert losses.cross_entropy(attention, torch.tensor([[[1.0, 0.5, 0.0]]])).item() == pytest.approx(
        -(math.log(0.7) + 0.5 * math.log(0.2))
    )


@given(st.integers(0, 8), st.integers(0, 8))
def test_eq8_and_its_gradient_are_finite_where_attention_is_one_hot(cell, thing):
    attention = torch.zeros(1, 3, 3)
    attention.view(-1)[cell] = 1
    target = torch.zeros(1, 3, 3)
    target.view(-1)[thing] = 1
    loss = losses.soft_label(attention.requires_grad_(), target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(attention.grad).all()


def test_gradients():
    generator = torch.Generator().manual_seed(0)

    def randoms(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    salient = torch.rand(2, 3, 3, generator=generator) > 0.5
    assert torch.autograd.gradcheck(losses.distance, (randoms(4, 5), randoms(4, 5)))
    assert torch.autograd.gradcheck(lambda a, b: losses.correspondence(a, b, 0.3), (randoms(4), randoms(4)))
    assert torch.autograd.gradcheck(losses.correspondence_as_coded, (randoms(4), randoms(4)))
    assert torch.autograd.gradcheck(lambda d: losses.correspondence_of_all(d, 0.3), (randoms(4, 4),))
    assert torch.autograd.gradcheck(lambda a: losses.inconspicuous(a * 0.9, salient), (randoms(2, 3, 3),))
    assert torch.autograd.gradcheck(lambda a: losses.hard_label(0.05 + a * 0.9, salient), (randoms(2, 3, 3),))
    target = randoms(2, 3, 3)
    assert torch.autograd.gradcheck(lambda a: losses.cross_entropy(0.05 + a * 0.9, target), (randoms(2, 3, 3),))
    assert torch.autograd.gradcheck(lambda a, b: losses.soft_label(0.05 + a * 0.9, b), (randoms(2, 3, 3), target))
