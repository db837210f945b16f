"""torchvision, also where its compiled operators do not load: nms and roi_align in their place.

PyPI's torchvision is built for CUDA; beside a CPU build of torch its library lacks libtorch_cuda, and `import
torchvision` ends with "operator torchvision::nms does not exist". `load` then defines the two operators that detection
needs and imports again. Where the library loads it defines nothing.

Conventions: boxes are (N, 4) float x0, y0, x1, y1 in pixels.
"""

import importlib
from typing import Any

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 256  # boxes pooled at a time: 50 MB at 256 channels, 7 x 7 bins and 2 x 2 samples
_defined: list[Any] = []  # a torch library lives as long as somebody holds it


def load() -> bool:
    """Import torchvision; returns whether operators had to be defined for that."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _define()
        importlib.import_module("torchvision")
        for name in ("boxes", "roi_align"):  # modules that asked once whether there are compiled operators
            module: Any = importlib.import_module(f"torchvision.ops.{name}")
            module._assert_has_ops = lambda: None
            module._has_ops = lambda: True
    return bool(_defined)


def _define() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # named at import, never called
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    library.impl("nms", nms, "CompositeExplicitAutograd")
    library.impl("roi_align", roi_align, "CompositeImplicitAutograd")
    _defined.append(library)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that no better kept box overlaps by an IoU above the threshold, best first.

    boxes: (N, 4). scores: (N,); among equal ones the first stands first. Returns (M,) int64.
    """
    order = scores.detach().argsort(descending=True, stable=True)
    sorted_boxes = boxes.detach()[order].to("cpu", torch.float32).numpy()
    kept = _kept(np.ascontiguousarray(sorted_boxes), np.float32(iou_threshold))
    return order[torch.from_numpy(kept).to(order.device)]


@numba.njit(cache=True)
def _kept(boxes, threshold):
    n = len(boxes)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    is_alive = np.ones(n, np.bool_)
    for i in range(n):
        if not is_alive[i]:
            continue
        for j in range(i + 1, n):
            if not is_alive[j]:
                continue
            w = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            h = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if w > 0 and h > 0 and w * h > threshold * (area[i] + area[j] - w * h):
                is_alive[j] = False
    return np.flatnonzero(is_alive)


def roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Means of bilinear samples of a feature map in the bins of each box (He et al. 2017).

    features: (B, C, h, w). rois: (K, 5), the number of a frame and a box. sampling_ratio: samples a bin and side, >= 1
    (torchvision's detection models take 2). A sample more than a cell outside is 0, one nearer takes the edge's value.
    Returns (K, C, pooled_height, pooled_width). Raises ValueError for torchvision's adaptive number of samples.
    """
    if sampling_ratio < 1:
        raise ValueError(f"sampling_ratio {sampling_ratio}; accepted here: 1 or more")
    n, (height, width) = sampling_ratio, features.shape[-2:]
    pooled, places = [features.new_zeros(0, features.shape[1], pooled_height, pooled_width)], []
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0)
    for image in range(len(features)):
        of_image = torch.nonzero(rois[:, 0] == image).flatten()
        places.append(of_image)
        for chunk in of_image.split(CHUNK) if len(of_image) else ():
            x0, y0, x1, y1 = corners[chunk].unbind(1)
            grid_y, is_in_y = _samples(y0, y1, pooled_height * n, height, aligned)
            grid_x, is_in_x = _samples(x0, x1, pooled_width * n, width, aligned)
            shape = len(chunk), pooled_height * n, pooled_width * n
            grid = torch.stack([grid_x[:, None, :].expand(shape), grid_y[:, :, None].expand(shape)], dim=-1)
            grid = grid.reshape(1, -1, shape[2], 2).to(features.dtype)
            sampled = F.grid_sample(features[image : image + 1], grid, padding_mode="border", align_corners=False)
            is_in = (is_in_y[:, :, None] & is_in_x[:, None, :]).reshape(-1, shape[2])
            if not bool(is_in.all()):
                sampled = sampled * is_in
            bins = F.avg_pool2d(sampled, n) if n > 1 else sampled  # (1, C, k * pooled_height, pooled_width)
            pooled.append(bins[0].unflatten(1, (len(chunk), pooled_height)).transpose(0, 1))
    return torch.cat(pooled)[torch.cat(places).argsort()]


def _samples(low: Tensor, high: Tensor, n: int, extent: int, aligned: bool) -> tuple[Tensor, Tensor]:
    """(K, n) places along one axis in grid_sample's units, -1 to 1 from edge to edge, and which are not outside."""
    span = high - low if aligned else (high - low).clamp(min=1)
    steps = (torch.arange(n, device=low.device, dtype=low.dtype) + 0.5) / n
    place = low[:, None] + span[:, None] * steps
    return (2 * place + 1) / extent - 1, (place >= -1) & (place <= extent)
