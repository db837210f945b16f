"""Average precision of boxes at one IoU, by pycocotools: interpolated at 101 recalls, as COCO has it."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MOST = 100  # detections of a photograph and class that count


@dataclass(frozen=True)
class Boxes:
    """Boxes of one photograph: box (n, 4) x0, y0, x1, y1 in pixels, label (n,) int, 1 to C.

    score: (n,) of detections. difficult: (n,) bool of the truth; to find such a one neither counts nor costs.
    """

    box: NDArray[np.floating]
    label: NDArray[np.integer]
    score: NDArray[np.floating] | None = None
    difficult: NDArray[np.bool_] | None = None


def average_precision(
    truth: Sequence[Boxes], found: Sequence[Boxes], n_classes: int, iou: float = 0.5
) -> NDArray[np.float64]:
    """(C,) average precision of each class over the photographs; NaN where the truth has none of it."""
    data = COCO()
    data.dataset = {
        "images": [{"id": i} for i in range(len(truth))],
        "categories": [{"id": label} for label in range(1, n_classes + 1)],
        "annotations": _rows(truth),
    }
    with redirect_stdout(None):  # pycocotools prints its progress
        data.createIndex()
        results = COCO()
        results.dataset = {**data.dataset, "annotations": _rows(found)}
        results.createIndex()
        evaluation = COCOeval(data, results, "bbox")
        evaluation.params.iouThrs = np.array([iou])
        evaluation.params.maxDets = [MOST]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, 0]  # (101, C)
    return np.where((precision < 0).all(axis=0), np.nan, precision.mean(axis=0))


def _rows(photographs: Sequence[Boxes]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for image, boxes in enumerate(photographs):
        for i, (x0, y0, x1, y1) in enumerate(boxes.box.tolist()):
            # What lies outside every range of areas is matched, but neither counts nor costs.
            difficult = boxes.difficult is not None and bool(boxes.difficult[i])
            area = -1 if difficult else (x1 - x0) * (y1 - y0)
            row = {
                "id": len(rows) + 1,
                "image_id": image,
                "category_id": int(boxes.label[i]),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": area,
                "iscrowd": 0,
            }
            rows.append(row if boxes.score is None else {**row, "score": float(boxes.score[i])})
    return rows
