import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.audio import GivenVector
from model.batch import Batch
from model.networks.vgg16 import VGG16
from model.systems.usol import Settings, Usol

SETTINGS = Settings(
    correspondence="as_written",
    loss="negative",
    alpha=0.1,
    t=0.02,
    t_share=None,
    temperature=1,
    distance_temperature=1,
    unit=1 / 200,
)


class Given(nn.Module):
    """A network that passes on what it is given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x


def system(correspondence: str, **changes) -> Usol:
    torch.manual_seed(0)
    return Usol(Given(6), Given(4), dataclasses.replace(SETTINGS, correspondence=correspondence, **changes))


def batch(n: int = 3, negatives: bool = True, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(n, 6, 2, 3, generator=generator)
    sounds, negative = torch.randn(2, n, 4, generator=generator)
    maps = torch.randint(0, 8, (n, 2, 3), generator=generator) / 200
    return Batch(frames, sounds, maps, negative if negatives else None)


def test_sec_3_2_and_3_3_as_written_pair_by_pair():
    usol, b = system("as_written"), batch()
    l_av = l_att = 0
    for i in range(3):
        cells = b.frames[i].flatten(1).T  # (6 cells, 6 channels)
        h = usol.to_h[2](F.relu(usol.to_h[0](b.sounds[i])))
        a = torch.softmax(F.relu(torch.stack([F.cosine_similarity(cell, h, dim=0) for cell in cells])), dim=0)
        z = sum(weight * cell for weight, cell in zip(a, cells, strict=True))
        f_v = usol.to_f_v[2](F.relu(usol.to_f_v[0](z)))
        d = torch.stack([(f_v - b.sounds[i]).norm(), (f_v - b.negative_sounds[i]).norm()])
        big_d = torch.softmax(d, dim=0)
        l_av += (big_d[0].abs() + (1 - big_d[1]).abs()) / 3
        inconspicuous = torch.round(b.bottom_up[i].flatten() * 200) <= 4
        l_att -= torch.log(1 - a[inconspicuous]).sum() / 3
    terms = usol.loss(b)
    assert terms["correspondence"].item() == pytest.approx(l_av.item(), abs=1e-5)
    assert terms["attention"].item() == pytest.approx(l_att.item(), abs=1e-5)
    assert terms["loss"].item() == pytest.approx((l_av + 0.1 * l_att).item(), abs=1e-5)  # Eq. 12


def test_as_coded_rectifies_z_and_what_h_is_given_and_squares():
    usol, b = system("as_coded"), batch(1)
    cells = b.frames[0].flatten(1).T
    h = usol.to_h(F.relu(b.sounds[0]))
    a = torch.softmax(F.relu(F.cosine_similarity(cells, h[None])), dim=0)
    f_v = usol.to_f_v(F.relu(a @ cells))
    big_d = torch.softmax(torch.stack([(f_v - b.sounds[0]).norm(), (f_v - b.negative_sounds[0]).norm()]), dim=0)
    expected = (big_d[0] ** 2 + (big_d[1] - 1) ** 2) / 2
    assert usol.loss(b)["correspondence"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_own_attention_pair_by_pair():
    usol, b = system("own_attention", temperature=0.5, distance_temperature=0.2), batch(negatives=False)

    def distance(i: int, j: int) -> Tensor:
        cells, h = b.frames[i].flatten(1).T, usol.to_h(b.sounds[j])
        a = torch.softmax(F.cosine_similarity(cells, h[None]) / 0.5, dim=0)
        return (F.normalize(a @ cells, dim=0) - F.normalize(h, dim=0)).norm()

    terms = []
    for i in range(3):
        for j in range(3):
            if i != j:
                own = distance(i, i)
                terms.append(2 * torch.softmax(torch.stack([own, distance(i, j)]) / 0.2, dim=0)[0])
                terms.append(2 * torch.softmax(torch.stack([own, distance(j, i)]) / 0.2, dim=0)[0])
    assert usol.loss(b)["correspondence"].item() == pytest.approx(torch.stack(terms).mean().item(), abs=1e-5)
    assert usol.to_f_v is None


@pytest.mark.parametrize("correspondence", ["as_written", "as_coded", "own_attention"])
def test_heat_is_the_cosine_and_the_same_alone_and_in_company(correspondence):
    usol, b = system(correspondence).eval(), batch(4)
    with torch.no_grad():
        together = usol.heat(b.frames, b.sounds, b.bottom_up)
        assert together.shape == (4, 2, 3)
        assert together.abs().max() <= 1 + 1e-6
        for i in range(4):
            alone = usol.heat(b.frames[i : i + 1], b.sounds[i : i + 1], b.bottom_up[i : i + 1])
            assert torch.allclose(alone[0], together[i], atol=1e-6)


def test_features_stand_in_for_frames():
    usol, b = system("own_attention"), batch()
    kept = Batch(None, b.sounds, b.bottom_up, None, features=b.frames)
    assert usol.loss(kept)["loss"] == usol.loss(dataclasses.replace(b, negative_sounds=None))["loss"]
    heat = usol.heat(None, b.sounds, b.bottom_up, features=b.frames)
    assert torch.equal(heat, usol.heat(b.frames, b.sounds, b.bottom_up))


def test_alpha_0_leaves_the_correspondence_alone():
    terms = system("as_written", alpha=0.0).loss(batch())
    assert terms["loss"] == terms["correspondence"]


@pytest.mark.parametrize("loss", ["soft", "hard"])
def test_eq8_and_eq9_take_the_place_of_eq11(loss):
    usol, b = system("as_written", loss=loss), batch()
    expected = 0
    for i in range(3):
        a = torch.softmax(F.relu(F.cosine_similarity(b.frames[i].flatten(1).T, usol.to_h(b.sounds[i])[None])), dim=0)
        counts = torch.round(b.bottom_up[i].flatten() * 200)
        target = b.bottom_up[i].flatten() if loss == "soft" else (counts > 4).float()
        expected -= (target * torch.log(a) + (1 - target) * torch.log(1 - a)).sum() / 3
    terms = usol.loss(b)
    assert terms["attention"].item() == pytest.approx(expected.item(), abs=1e-4)
    assert ("salient" in terms) == (loss == "hard")
    assert (usol.salient(b.bottom_up) is None) == (loss == "soft")


def test_t_share_marks_that_share():
    usol = system("own_attention", t=None, t_share=0.5)
    maps = torch.arange(6.0).view(1, 2, 3)
    assert usol.salient(maps).float().mean() == 0.5


def test_gradients_reach_both_networks_heads():
    for correspondence in ("as_written", "as_coded", "own_attention"):
        usol, b = system(correspondence), batch(negatives=correspondence != "own_attention")
        usol.loss(b)["loss"].backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in usol.parameters())


def test_what_is_rectified_can_be_said_apart_from_the_form_of_l_av():
    """With nothing rectified the squares of as_coded; with all three its distances in the norms of as_written."""
    b = batch(1)
    cells, f_a = b.frames[0].flatten(1).T, b.sounds[0]
    for form, rectified in (("as_coded", []), ("as_written", ["cosine", "z", "f_a"]), ("as_coded", ["f_a"])):
        usol = system(form, rectified=rectified)
        r_cosine, r_z, r_f_a = (F.relu if name in rectified else (lambda x: x) for name in ("cosine", "z", "f_a"))
        a = torch.softmax(r_cosine(F.cosine_similarity(cells, usol.to_h(r_f_a(f_a))[None])), dim=0)
        f_v = usol.to_f_v(r_z(a @ cells))
        big_d = torch.softmax(torch.stack([(f_v - f_a).norm(), (f_v - b.negative_sounds[0]).norm()]), dim=0)
        written, coded = big_d[0].abs() + (1 - big_d[1]).abs(), (big_d[0] ** 2 + (big_d[1] - 1) ** 2) / 2
        expected = coded if form == "as_coded" else written
        assert usol.loss(b)["correspondence"].item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("form", ["own_attention", "as_written", "as_coded"])
def test_null_rectifies_what_the_form_does(form):
    b = batch(negatives=form != "own_attention")
    said = {"own_attention": [], "as_written": ["cosine"], "as_coded": ["cosine", "z", "f_a"]}[form]
    assert system(form).loss(b)["loss"] == system(form, rectified=said).loss(b)["loss"]


def test_the_papers_model_trains_2_289_168_parameters():
    """1000-1000-512 to h, 512-512-1000 to f_v, with biases; VGG16 frozen, SoundNet's vector given."""
    usol = Usol(VGG16().requires_grad_(False), GivenVector(1000), SETTINGS)
    trained = [p for p in usol.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == 1_001_000 + 512_512 + 262_656 + 513_000 == 2_289_168
