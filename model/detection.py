"""Faster R-CNN (Ren et al. 2015) of torchvision, with the product's networks too: boxes for Sec. 3.1.

Conventions: frames are (B, 3, S, S) float RGB in [0, 1]; boxes are (n, 4) float x0, y0, x1, y1 in pixels, end
exclusive; label 0 is the background, the classes are 1 to C.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import detection_operators
from model.vision import MobileNetV2, Padding, SmallVision

detection_operators.load()

from torchvision.models import detection as zoo  # noqa: E402  the operators must be there first
from torchvision.models.detection import FasterRCNN  # noqa: E402
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead  # noqa: E402
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, clip_boxes_to_image  # noqa: E402

Model: TypeAlias = FasterRCNN
Network = Literal["small", "mobilenet_v2", "mobilenet_v3_320_fpn", "resnet50_fpn"]
PROPOSALS = 6000  # of a frame, before and after their suppression (Sec. 4.3)
PROPOSALS_TO_MEASURE = 300  # of a frame, after their suppression, where average precision is measured (Ren et al. 2015)
ANCHORS = (0.1, 0.2, 0.4, 0.8)  # sides of squares of their area, in frames
BOX_HEAD = 256  # numbers between pooled features and scores, of the product's own networks
FINE_TUNED_FROM = 7  # first block of a pretrained MobileNetV2 that learns: what stands before it sees edges
COCO_WEIGHTS = {
    "mobilenet_v3_320_fpn": zoo.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1,
    "resnet50_fpn": zoo.FasterRCNN_ResNet50_FPN_Weights.COCO_V1,
}


class SmallBackbone(nn.Module):
    """The default's small network and one step of a feature pyramid (Lin et al. 2017): a map at stride 8.

    A box of a tenth of a frame is six cells wide at stride 8 and three at 16, too few to tell a leaf from an ellipse.
    """

    out_channels = 64

    def __init__(self) -> None:
        super().__init__()
        self.vision = SmallVision()
        self.reduce = nn.Conv2d(self.vision.channels, self.out_channels, 1)
        self.lateral = nn.Conv2d(64, self.out_channels, 1)

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) -> {"0": (B, 64, S / 8, S / 8)}."""
        fine = self.vision.layers[:2](frames * 2 - 1)
        coarse = self.reduce(self.vision.layers[2:](fine))
        up = F.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        return {"0": torch.relu(up + self.lateral(fine))}


class MobileBackbone(nn.Module):
    """MobileNetV2 at stride 16."""

    out_channels = 128

    def __init__(self, padding: Padding) -> None:
        super().__init__()
        self.vision = MobileNetV2("features.17", padding)
        self.reduce = nn.Conv2d(self.vision.channels, self.out_channels, 1)

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) -> {"0": (B, 128, S / 16, S / 16)}."""
        return {"0": torch.relu(self.reduce(self.vision(frames)))}


def build(network: Network, n_classes: int, frame_size: int, padding: Padding = "same") -> Model:
    """An untrained detector of so many classes; padding is that of a MobileNetV2's weights (model/vision.py).

    mobilenet_v3_320_fpn and resnet50_fpn are torchvision's, which bring frames to their own size.
    """
    limits = {"rpn_pre_nms_top_n_test": PROPOSALS, "rpn_post_nms_top_n_test": PROPOSALS}
    if network in ("mobilenet_v3_320_fpn", "resnet50_fpn"):
        make = zoo.fasterrcnn_resnet50_fpn if network == "resnet50_fpn" else zoo.fasterrcnn_mobilenet_v3_large_320_fpn
        return make(weights=None, weights_backbone=None, num_classes=n_classes + 1, **limits)
    is_small = network == "small"
    backbone = SmallBackbone() if is_small else MobileBackbone(padding)
    sizes = tuple(round(share * frame_size) for share in ANCHORS)
    return FasterRCNN(
        backbone,
        min_size=frame_size,
        max_size=frame_size,
        image_mean=(0.0, 0.0, 0.0),  # the networks normalise their input themselves
        image_std=(1.0, 1.0, 1.0),
        rpn_anchor_generator=AnchorGenerator((sizes,), ((0.5, 1.0, 2.0),)),
        # A bin of most boxes is no larger than one of the small network's cells.
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=1 if is_small else 2),
        box_head=TwoMLPHead(backbone.out_channels * 7 * 7, BOX_HEAD),
        box_predictor=FastRCNNPredictor(BOX_HEAD, n_classes + 1),
        rpn_pre_nms_top_n_train=500 if is_small else 2000,
        rpn_post_nms_top_n_train=200 if is_small else 1000,
        rpn_batch_size_per_image=128,
        box_batch_size_per_image=32 if is_small else 128,
        **limits,
    )


def replace_classes(detector: Model, n_classes: int) -> None:
    """Give a trained detector a new last layer for other classes."""
    n_in = detector.roi_heads.box_predictor.cls_score.in_features
    detector.roi_heads.box_predictor = FastRCNNPredictor(n_in, n_classes + 1)


def freeze_norms(module: nn.Module, eps: float) -> None:
    """Put a fixed scale and shift in the place of every batch norm: batches of a detector are too small for statistics.

    eps: 0 for torchvision's resnet50_fpn, which was trained without one.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, eps)
            frozen.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, frozen)
        else:
            freeze_norms(child, eps)


@contextmanager
def half_backbone(model: Model, is_half: bool) -> Iterator[None]:
    """Compute the visual network in bfloat16 for a while, the rest in float32: in 8 bits a corner is pixels off."""
    full = model.backbone.forward

    def half(frames: Tensor) -> dict[str, Tensor]:
        with torch.autocast(frames.device.type, torch.bfloat16):
            return {name: features.float() for name, features in full(frames).items()}

    if is_half:
        model.backbone.forward = half
    try:
        yield
    finally:
        model.backbone.__dict__.pop("forward", None)


@dataclass(frozen=True)
class Found:
    """What a detector finds in one frame, best first: box (n, 4) float32, score (n,) float32, label (n,) int64."""

    box: Tensor
    score: Tensor
    label: Tensor


def detections(detector: Model, frames: Tensor) -> list[Found]:
    """What torchvision's own last steps leave: scores above .05, at most 100 a frame, none beside a better one of its
    class by an IoU above .5. These are what average precision is measured on.
    """
    limits = detector.rpn._post_nms_top_n
    detector.rpn._post_nms_top_n = {**limits, "testing": PROPOSALS_TO_MEASURE}
    try:
        found = detector.eval()(list(frames))
    finally:
        detector.rpn._post_nms_top_n = limits
    return [Found(of_frame["boxes"], of_frame["scores"], of_frame["labels"]) for of_frame in found]


def every_proposal(detector: Model, frames: Tensor) -> list[Found]:
    """Every proposal of each frame, at most PROPOSALS, once: the box of its best class and that class's score.

    Nothing is thresholded and no proposal suppresses another after the first stage's suppression.
    """
    detector.eval()
    side = frames.shape[-1]
    images, _ = detector.transform(list(frames))
    features = detector.backbone(images.tensors)
    proposals, _ = detector.rpn(images, features)
    heads = detector.roi_heads
    pooled = heads.box_roi_pool(features, proposals, images.image_sizes)
    logits, moves = heads.box_predictor(heads.box_head(pooled))
    decoded = heads.box_coder.decode(moves, proposals)  # (all proposals, 1 + C, 4)
    scores, labels = logits.float().softmax(dim=1)[:, 1:].max(dim=1)
    labels = labels + 1
    boxes = decoded[torch.arange(len(decoded), device=decoded.device), labels]
    found = []
    n_each = [len(of_frame) for of_frame in proposals]
    for box, score, label, size in zip(
        boxes.split(n_each), scores.split(n_each), labels.split(n_each), images.image_sizes, strict=True
    ):
        order = score.argsort(descending=True, stable=True)
        in_frame = clip_boxes_to_image(box.float(), size) * (side / size[0])
        found.append(Found(in_frame[order], score[order], label[order]))
    return found
