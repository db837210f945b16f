import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import top_down


def test_eq3_is_the_cosine_of_each_cell_with_the_sound():
    features = torch.tensor([[[[3.0, 0.0]], [[4.0, 2.0]]]])  # (1, 2, 1, 2): cells (3, 4) and (0, 2)
    sound = torch.tensor([[0.0, 7.0]])
    assert top_down.similarity(features, sound)[0, 0].tolist() == pytest.approx([0.8, 1.0])


def test_eq3_of_all_pairs_equals_each_pair_alone():
    torch.manual_seed(0)
    features, sounds = torch.randn(3, 5, 2, 4), torch.randn(4, 5)
    together = top_down.similarity_of_all(features, sounds)
    assert together.shape == (3, 4, 2, 4)
    for i in range(3):
        for j in range(4):
            alone = top_down.similarity(features[i : i + 1], sounds[j : j + 1])[0]
            assert together[i, j].flatten().tolist() == pytest.approx(alone.flatten().tolist(), abs=1e-6)


def test_the_softmax_by_hand():
    cells = torch.tensor([[[0.0, torch.log(torch.tensor(3.0))]]])
    assert top_down.attention(cells)[0, 0].tolist() == pytest.approx([0.25, 0.75])
    assert top_down.attention(cells, temperature=0.5)[0, 0].tolist() == pytest.approx([0.1, 0.9])


@given(st.integers(0, 1000), st.floats(0.02, 2))
def test_attention_sums_to_one_and_moves_with_its_cells(seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    cells = torch.rand(2, 3, 4, generator=generator) * 2 - 1
    attention = top_down.attention(cells, temperature)
    assert attention.sum(dim=(1, 2)).tolist() == pytest.approx([1, 1], abs=1e-5)
    order = torch.randperm(12, generator=generator)
    moved = top_down.attention(cells.flatten(1)[:, order].view_as(cells), temperature)
    assert torch.allclose(moved.flatten(1), attention.flatten(1)[:, order], atol=1e-6)


def test_eq4_sums_features_under_the_attention():
    features = torch.tensor([[[[1.0, 3.0]], [[10.0, 20.0]]]])
    attention = torch.tensor([[[0.25, 0.75]]])
    assert top_down.attended(features, attention).tolist() == [[2.5, 17.5]]
    both = torch.stack([attention, attention.flip(-1)], dim=1)  # (1, 2 sounds, 1, 2)
    assert top_down.attended(features, both).tolist() == [[[2.5, 17.5], [1.5, 12.5]]]


def test_maps_are_scaled_one_by_one_and_a_constant_one_says_nothing():
    maps = torch.tensor([[[1.0, 2.0, 3.0]], [[-4.0, 0.0, 4.0]], [[7.0, 7.0, 7.0]]])
    assert top_down.scaled(maps).tolist() == [[[0, 0.5, 1]], [[0, 0.5, 1]], [[0, 0, 0]]]
