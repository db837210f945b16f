import pytest
import torch
import torch.nn.functional as F

from model import losses
from model.audio import GivenVector
from model.batch import Batch
from model.systems import cam
from model.systems.cam import Cam, Settings
from model.systems.cam_pseudo import CamPseudo


def batch(n: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)
    frames, sounds = torch.randn(n, 5, 2, 2, generator=generator), torch.rand(n, 3, generator=generator)
    return Batch(frames, sounds, torch.zeros(n, 2, 2), labels=torch.tensor([0, 1, 1, 0])[:n])


def test_the_contrast_by_hand():
    distances = torch.tensor([[0.5, 1.0, 0.2], [1.9, 0.1, 0.4], [0.3, 0.6, 0.7]])
    classes = torch.tensor([0, 1, 0])  # 0 and 2 are of one class: not each other's negatives
    own = (0.5**2 + 0.1**2 + 0.7**2) / 3
    others = (0.4**2 + 0 + 1.0**2 + 0.8**2) / 4  # 1.4 less each of (0, 1), (1, 0), (1, 2), (2, 1), but never below 0
    assert cam.contrast(distances, classes).item() == pytest.approx(own + others)


def test_a_batch_of_one_class_has_no_negatives():
    distances = torch.full((2, 2), 0.5, requires_grad=True)
    loss = cam.contrast(distances, torch.tensor([3, 3]))
    loss.backward()
    assert loss.item() == pytest.approx(0.25)
    assert torch.isfinite(distances.grad).all()


def test_the_mean_feature_counts_only_where_the_map_is_positive():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    maps = torch.tensor([[[1.0, -5.0], [0.0, 3.0]]])
    assert cam.mean_feature(features, maps).item() == pytest.approx((1 * 1 + 3 * 4) / 4)
    assert cam.mean_feature(features, -torch.ones(1, 2, 2)).item() == 0


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    distances = 1.3 * torch.rand(4, 4, dtype=torch.float64, generator=generator)
    classes = torch.tensor([0, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda d: cam.contrast(d, classes), (distances.requires_grad_(),))
    features, maps = torch.randn(2, 2, 3, 2, 2, dtype=torch.float64, generator=generator)
    both = features.requires_grad_(), maps[:, 0].requires_grad_()
    assert torch.autograd.gradcheck(cam.mean_feature, both)


def test_the_terms_clip_by_clip():
    torch.manual_seed(0)
    system, b = Cam(GivenVector(5), GivenVector(3), Settings(2)), batch()
    w, bias = system.class_of_cells.weight[:, :, 0, 0], system.class_of_cells.bias
    of_frames, seen, heard = [], 0, 0
    for i, label in enumerate(b.labels):
        cells = b.frames[i].flatten(1).T  # (4 cells, 5 channels)
        seen -= torch.log_softmax((cells @ w.T + bias).mean(dim=0), dim=0)[label] / 4
        heard -= torch.log_softmax(system.class_of_sound(b.sounds[i]), dim=0)[label] / 4
        weights = F.relu(cells @ w[label])
        of_frames.append(F.normalize(system.of_frame((weights[:, None] * cells).sum(dim=0) / weights.sum()), dim=0))
    of_sounds = F.normalize(system.of_sound(b.sounds), dim=1)
    distances = torch.stack([torch.stack([(v - a).norm() for a in of_sounds]) for v in of_frames])
    found = system.loss(b)
    assert found["seen"].item() == pytest.approx(seen.item(), abs=1e-5)
    assert found["heard"].item() == pytest.approx(heard.item(), abs=1e-5)
    assert found["aligned"].item() == pytest.approx(cam.contrast(distances, b.labels).item(), abs=1e-5)
    assert found["loss"].item() == pytest.approx(sum(found[term].item() for term in ("seen", "heard", "aligned")))


def test_a_sound_is_shown_where_the_maps_of_its_probable_classes_are():
    torch.manual_seed(0)
    system, b = Cam(GivenVector(5), GivenVector(3), Settings(2)), batch(1)
    p = system.class_of_sound(b.sounds[0]).softmax(dim=0)
    maps = torch.einsum("nc,chw->nhw", system.class_of_cells.weight[:, :, 0, 0], b.frames[0])
    x = p[0] * maps[0] + p[1] * maps[1]
    assert torch.allclose(system.heat(b.frames, b.sounds, b.bottom_up)[0], x / (1 + x.abs()), atol=1e-6)


def test_without_labels_the_class_of_the_highest_score_is_taken():
    system = CamPseudo(GivenVector(5), GivenVector(3), Settings(None))
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.2, 0.4]])
    b = Batch(torch.randn(2, 5, 2, 2), scores, torch.zeros(2, 2, 2))
    assert system.classes(b, scores).tolist() == [1, 0]
    expected = F.cross_entropy(system.class_of_sound(scores), torch.tensor([1, 0]))
    assert system.loss(b)["heard"].item() == pytest.approx(expected.item())


def test_unit_vectors_are_at_most_two_apart():
    one = torch.tensor([[1.0, 0.0]])
    assert losses.distance(one, -one).item() == pytest.approx(2)
    assert cam.MARGIN < 2
