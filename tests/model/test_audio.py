import torch

from model.audio import GivenVector, SmallAudio


def test_the_small_network_hears_any_length():
    network = SmallAudio(mean=-40, deviation=20).eval()
    for columns in (44, 130, 862):
        assert network(torch.full((2, 64, columns), -40.0)).shape == (2, 128)


def test_the_small_network_standardises_its_input():
    torch.manual_seed(0)
    plain, shifted = SmallAudio(), SmallAudio(mean=-40, deviation=20)
    shifted.layers, shifted.head = plain.layers, plain.head
    sound = torch.randn(1, 64, 100)
    assert torch.allclose(plain(sound), shifted(sound * 20 - 40), atol=1e-4)


def test_a_given_vector_is_heard_as_it_is():
    vectors = torch.rand(3, 521)
    assert GivenVector(521)(vectors) is vectors
