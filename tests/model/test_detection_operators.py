import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.detection_operators import nms, roi_align
from tests.samples import ROOT


def boxes_in(n: int, size: float, rng: np.random.Generator) -> np.ndarray:
    start = rng.uniform(-2, size, (n, 2))
    return np.concatenate([start, start + rng.uniform(0, size / 2, (n, 2))], axis=1).astype(np.float32)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    w, h = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = max(w, 0) * max(h, 0)
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return common / max(sum(area) - common, 1e-12)


@settings(deadline=None)  # the first one compiles
@given(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from([0.3, 0.5, 0.7]))
def test_nms_keeps_each_box_that_no_better_kept_one_overlaps_too_much(seed, n, threshold):
    rng = np.random.default_rng(seed)
    boxes, scores = boxes_in(n, 10, rng), rng.integers(0, 8, n) / 8
    expected: list[int] = []
    for i in sorted(range(n), key=lambda i: -scores[i]):  # stable: among equal ones the first stands first
        if all(iou(boxes[i], boxes[j]) <= threshold for j in expected):
            expected.append(i)
    assert nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).tolist() == expected


def test_nms_of_three_boxes_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5]])  # IoU with the first: .8 and .5
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]
    assert nms(boxes, torch.tensor([0.7, 0.8, 0.9]), 0.4).tolist() == [2]


def bilinear(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """(C,) of a (C, h, w) map, the edge's value up to a cell outside and 0 beyond."""
    h, w = image.shape[1:]
    if not (-1 <= y <= h and -1 <= x <= w):
        return np.zeros(len(image))
    y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
    top, left = min(int(y), h - 1), min(int(x), w - 1)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    upper = (1 - (x - left)) * image[:, top, left] + (x - left) * image[:, top, right]
    lower = (1 - (x - left)) * image[:, bottom, left] + (x - left) * image[:, bottom, right]
    return (1 - (y - top)) * upper + (y - top) * lower


def pooled_by_loops(features, rois, scale, bins, n, aligned) -> np.ndarray:
    out = np.zeros((len(rois), features.shape[1], bins, bins))
    for k, (image, *corners) in enumerate(rois):
        x0, y0, x1, y1 = np.array(corners) * scale - (0.5 if aligned else 0)
        width, height = (x1 - x0, y1 - y0) if aligned else (max(x1 - x0, 1), max(y1 - y0, 1))
        for i in range(bins):
            for j in range(bins):
                samples = [
                    bilinear(
                        features[int(image)],
                        y0 + height * (i + (a + 0.5) / n) / bins,
                        x0 + width * (j + (b + 0.5) / n) / bins,
                    )
                    for a in range(n)
                    for b in range(n)
                ]
                out[k, :, i, j] = np.mean(samples, axis=0)
    return out


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("n", [1, 2])
def test_roi_align_is_the_mean_of_bilinear_samples_in_each_bin(n, aligned):
    rng = np.random.default_rng(n)
    features = rng.normal(size=(2, 3, 6, 8))
    rois = np.concatenate([rng.integers(0, 2, (9, 1)), 4 * boxes_in(9, 8, rng)], axis=1)
    made = roi_align(torch.from_numpy(features), torch.from_numpy(rois), 0.25, 3, 3, n, aligned)
    assert made.numpy() == pytest.approx(pooled_by_loops(features, rois, 0.25, 3, n, aligned), abs=1e-9)


def test_roi_align_has_the_gradient_of_its_samples():
    features = torch.rand(2, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 1.3, 2.1, 9.2, 8.4], [1, 0, 0, 4.9, 6.2]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda maps: roi_align(maps, rois, 0.5, 2, 2, 2, False), features)


def test_roi_align_keeps_the_order_of_boxes_of_many_images_and_takes_none():
    features = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    rois = torch.tensor([[2.0, 0, 0, 4, 4], [0, 0, 0, 4, 4], [1, 0, 0, 4, 4], [0, 0, 0, 2, 2]])
    assert roi_align(features, rois, 1.0, 1, 1, 2, False).flatten().tolist() == [2, 0, 1, 0]
    assert roi_align(features, rois[:0], 1.0, 7, 7, 2, False).shape == (0, 1, 7, 7)


def test_torchvision_s_adaptive_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="sampling_ratio 0; accepted here: 1 or more"):
        roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 1.0, 7, 7, 0, False)


def in_a_new_process(code: str, *path: Path) -> str:
    command = f"import sys; sys.path[:0] = {[str(p) for p in (*path, ROOT)]}\n{code}"
    return subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True).stdout


def test_torchvision_detects_with_or_without_its_own_operators():
    code = """
import torch
from model import detection_operators
assert detection_operators.load() == detection_operators.load()
from torchvision.ops import nms, roi_align
boxes = torch.tensor([[0., 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5]])
print(nms(boxes, torch.tensor([.9, .8, .7]), .5).tolist())
print(roi_align(torch.arange(16.).view(1, 1, 4, 4), [torch.tensor([[0., 0, 4, 4]])], (1, 1), 1., 2).tolist())
"""
    assert in_a_new_process(code) == "[0, 2]\n[[[[10.0]]]]\n"


FAKE = {
    "loads": """
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.impl("nms", lambda boxes, scores, threshold: torch.tensor([7]), "CompositeExplicitAutograd")
""",
    "is broken otherwise": "raise RuntimeError('libjpeg.so.8: cannot open shared object file')",
}


def fake(tmp_path: Path, what: str) -> Path:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision/__init__.py").write_text(FAKE[what])
    return tmp_path


def test_where_torchvision_s_operators_load_nothing_is_defined(tmp_path):
    code = """
import torch
from model import detection_operators
print(detection_operators.load(), detection_operators._defined)
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), .5).tolist())
"""
    assert in_a_new_process(code, fake(tmp_path, "loads")) == "False []\n[7]\n"


def test_another_fault_of_torchvision_is_told_as_it_is(tmp_path):
    code = """
from model import detection_operators
try:
    detection_operators.load()
except RuntimeError as error:
    print(error)
"""
    assert in_a_new_process(code, fake(tmp_path, "is broken otherwise")).startswith("libjpeg.so.8: cannot open")
