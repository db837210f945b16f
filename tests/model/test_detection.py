import pytest
import torch
from torch import nn

from model import detection
from model.detection import PROPOSALS, build, detections, every_proposal

N_CLASSES = 3


@pytest.fixture(scope="module")
def small() -> detection.Model:
    torch.manual_seed(0)
    return build("small", N_CLASSES, 64).eval()


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_every_proposal_is_kept_once_with_its_best_class_best_first(small, frames):
    for found in every_proposal(small, frames):
        n = len(found.box)
        assert 50 < n <= PROPOSALS
        assert found.score.min() < 0.5  # an untrained detector is sure of nothing, and all of it is kept
        assert (found.score.diff() <= 0).all()
        assert set(found.label.tolist()) <= {1, 2, 3}
        assert (found.box >= 0).all()
        assert (found.box <= 64).all()
        assert found.box.shape == (n, 4)
        assert found.label.shape == found.score.shape == (n,)


@torch.inference_mode()
def test_a_box_is_its_proposal_moved_as_its_best_class_says(small, frames):
    images, _ = small.transform(list(frames[:1]))
    features = small.backbone(images.tensors)
    (proposals,), _ = small.rpn(images, features)
    heads = small.roi_heads
    logits, moves = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, [proposals], images.image_sizes)))
    expected = []
    for proposal, logit, move in zip(proposals, logits, moves, strict=True):
        scores = logit.softmax(0)
        label = int(scores[1:].argmax()) + 1
        dx, dy, dw, dh = (move[4 * label : 4 * label + 4] / torch.tensor([10, 10, 5, 5])).tolist()
        x0, y0, x1, y1 = proposal.tolist()
        x, y = (x0 + x1) / 2 + dx * (x1 - x0), (y0 + y1) / 2 + dy * (y1 - y0)
        w, h = (x1 - x0) * torch.tensor(dw).exp().item(), (y1 - y0) * torch.tensor(dh).exp().item()
        box = torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).clamp(0, 64)
        expected.append((scores[label].item(), label, *box.tolist()))
    expected.sort(key=lambda row: -row[0])
    (found,) = every_proposal(small, frames[:1])
    assert found.score.tolist() == pytest.approx([row[0] for row in expected], abs=1e-6)
    rows = sorted((round(score, 4), *[round(v, 1) for v in box]) for score, _, *box in expected)
    made = zip(found.score.tolist(), found.box.tolist(), strict=True)
    near = sorted((round(score, 4), *[round(v, 1) for v in box]) for score, box in made)
    assert torch.tensor(near).numpy() == pytest.approx(torch.tensor(rows).numpy(), abs=0.11)


@torch.inference_mode()
def test_a_frame_s_boxes_are_the_same_alone_and_in_a_batch(small, frames):
    (alone,) = every_proposal(small, frames[1:])
    together = every_proposal(small, frames)[1]
    assert together.score.numpy() == pytest.approx(alone.score.numpy(), abs=1e-5)
    assert len(together.box) == len(alone.box)


@torch.inference_mode()
def test_what_precision_is_measured_on_is_apart_and_sure(small, frames):
    found = detections(small, frames)[0]
    assert len(found.box) <= 100
    assert (found.score > 0.05).all()
    from torchvision.ops import box_iou  # noqa: PLC0415  model.detection has brought its operators

    for label in found.label.unique():
        of_class = found.box[found.label == label]
        assert (box_iou(of_class, of_class) - torch.eye(len(of_class))).max() <= 0.5
    assert len(every_proposal(small, frames)[0].box) > detection.PROPOSALS_TO_MEASURE  # its limit was given back


@pytest.mark.parametrize(("network", "side"), [("small", 8), ("mobilenet_v2", 4)])
def test_the_product_s_networks_keep_the_frame_s_size_and_stay_small(network, side):
    made = build(network, 20, 64)
    (features,) = made.backbone(torch.rand(1, 3, 64, 64)).values()
    assert features.shape[-2:] == (side, side)
    assert made.transform([torch.rand(3, 64, 64)])[0].tensors.shape == (1, 3, 64, 64)
    assert sum(p.numel() for p in made.parameters()) < {"small": 1.3e6, "mobilenet_v2": 4e6}[network]


@pytest.mark.parametrize("network", ["mobilenet_v3_320_fpn", "resnet50_fpn"])
def test_torchvision_s_own_networks_take_its_own_weights_by_name(network):
    with torch.device("meta"):
        made = build(network, 90, 320)
    assert made.roi_heads.box_predictor.cls_score.out_features == 91
    assert made.rpn._pre_nms_top_n["testing"] == made.rpn._post_nms_top_n["testing"] == 6000
    assert len(detection.COCO_WEIGHTS[network].meta["categories"]) == 91


def test_images_without_objects_and_with_one_huge_one_are_learned_from():
    torch.manual_seed(0)
    model = build("small", N_CLASSES, 64).train()
    truths = [
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
        {"boxes": torch.tensor([[0.0, 0, 64, 64]]), "labels": torch.tensor([2])},
    ]
    for of_both in (truths, truths[:1] * 2):
        loss = sum(model(list(torch.rand(2, 3, 64, 64)), of_both).values())
        assert torch.isfinite(loss)
        loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.backbone.parameters())


def test_fixed_norms_do_what_the_norms_did():
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean, norm.running_var = torch.rand(3), torch.rand(3) + 0.5
    model, x = nn.Sequential(nn.Conv2d(3, 3, 1), norm), torch.rand(2, 3, 4, 4)
    before = model(x)
    detection.freeze_norms(model, 1e-5)
    assert torch.allclose(model.train()(x), before, atol=1e-6)
    assert not list(model[1].parameters())


def test_half_precision_is_the_backbone_s_alone_and_ends():
    model = build("small", N_CLASSES, 64)
    full = model.backbone(torch.ones(1, 3, 64, 64))["0"]
    with detection.half_backbone(model, True):
        half = model.backbone(torch.ones(1, 3, 64, 64))["0"]
    assert half.dtype == torch.float32
    assert 0 < (half - full).abs().max() < 0.1 * full.abs().max()
    assert torch.equal(model.backbone(torch.ones(1, 3, 64, 64))["0"], full)


def test_other_classes_get_a_new_last_layer_alone():
    model = build("small", N_CLASSES, 64)
    kept = model.roi_heads.box_head.fc6.weight
    detection.replace_classes(model, 7)
    assert model.roi_heads.box_predictor.cls_score.out_features == 8
    assert model.roi_heads.box_predictor.bbox_pred.out_features == 32
    assert model.roi_heads.box_head.fc6.weight is kept
