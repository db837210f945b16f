"""The truth of a clip from its annotated boxes."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from model.truth import Corners, consensus_map
from model.upsampling import SIZE
from pipeline.foundation.manifest import Box

Map = NDArray[np.float32]


def truth_of(boxes: Iterable[Box], size: int = SIZE) -> Map | None:
    """The consensus map (size, size) of what sounds in a clip; None where nothing that sounds is boxed."""
    annotators: dict[str, list[Corners]] = {}
    for box in boxes:
        if box.sounding:
            annotators.setdefault(box.annotator, []).append((box.x0, box.y0, box.x1, box.y1))
    return consensus_map(list(annotators.values()), size) if annotators else None


def cells_of(truth: Map, side: int) -> Map:
    """(side, side) the mean of a truth over each cell of a grid, which must divide it."""
    step = len(truth) // side
    return truth.reshape(side, step, side, step).mean(axis=(1, 3))
