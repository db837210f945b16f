"""What the truth of a clip is: boxes or a mask, as g in [0, 1] at the size at which masks are scored.

Boxes are x0, y0, x1, y1 in fractions of the frame. The field's pixel rule (Senocak et al. 2018, as all evaluation code
since has it): a box covers [floor(S x0), floor(S x1)) by [floor(S y0), floor(S y1)), once clipped to the frame.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.upsampling import SIZE, Maps

Corners = tuple[float, float, float, float]
Masks = NDArray[np.bool_]
SLACK = 1e-6  # of a pixel: 224 x 256ths of a frame, computed in floats, may end a hair below a whole number
SIZES = {"small": 32**2, "medium": 96**2, "large": 144**2, "huge": np.inf}  # pixels at 224, below which (SLAVC)


def box_mask(corners: Sequence[Corners], size: int = SIZE) -> Masks:
    """(size, size) the union of boxes.

    A box that is thinner than a pixel keeps one, where the field's code would lose it; one without any area has none.
    """
    mask = np.zeros((size, size), bool)
    for box in corners:
        mask |= _covered(box, size)
    return mask


def _covered(box: Corners, size: int) -> Masks:
    mask = np.zeros((size, size), bool)
    clipped = [min(max(value, 0.0), 1.0) for value in box]
    if clipped[0] < clipped[2] and clipped[1] < clipped[3]:
        x0, y0, x1, y1 = (int(np.floor(value * size + SLACK)) for value in clipped)
        x0, y0 = min(x0, size - 1), min(y0, size - 1)
        mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    return mask


def union_map(annotations: Sequence[Sequence[Corners]], size: int = SIZE) -> Maps:
    """The truth of a clip as 1 wherever anybody drew a box. Returns (size, size) float32."""
    return box_mask([box for boxes in annotations for box in boxes], size).astype(np.float32)


def consensus_map(annotations: Sequence[Sequence[Corners]], size: int = SIZE) -> Maps:
    """The truth of a clip: one annotator's boxes as they are; of several min(votes / 2, 1) (Senocak et al. 2018).

    Boxes are counted, not annotators, as the field's code does: two of one annotator that overlap are two votes.
    annotations: for each annotator his boxes. Returns (size, size) float32 in [0, 1].
    """
    if len(annotations) == 1:
        return union_map(annotations, size)
    votes = np.zeros((size, size), np.float32)
    for boxes in annotations:
        for box in boxes:
            votes += _covered(box, size)
    return np.minimum(votes / 2, 1, dtype=np.float32)


def size_class(area: float) -> str:
    """One of `SIZES`, SLAVC's classes by weighted area. area: sum of g over the pixels, a share of the frame."""
    pixels = round(area * SIZE**2, 3)  # votes are whole halves
    return next(name for name, bound in SIZES.items() if pixels < bound)
