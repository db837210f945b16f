"""Regions by what stands out in a frame: no search, no training, no weights.

OpenCV's saliency map (spectral residual, Hou & Zhang 2007, or fine-grained, Montabone & Soto 2010), brought to a
highest value of 1, is cut at evenly spaced levels; the boxes round the connected parts of each cut are the regions. It
knows no class and no edge: a prior for who has neither the time for a search nor photographs for a detector.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from model.regions import UNKNOWN, Regions
from pipeline.foundation.params import Saliency

LEAST_SHARE = 1e-3  # of the frame: smaller parts are specks
MAPS = {
    "spectral_residual": "StaticSaliencySpectralResidual_create",
    "fine_grained": "StaticSaliencyFineGrained_create",
}


def saliency_map(frame: NDArray[np.uint8], engine: str) -> NDArray[np.float32]:
    """(S, S) float32 in [0, 1], 1 at its highest, of an (S, S, 3) uint8 RGB frame; all 0 where nothing stands out."""
    _, found = getattr(cv2.saliency, MAPS[engine])().computeSaliency(np.ascontiguousarray(frame[..., ::-1]))  # BGR
    made = np.nan_to_num(np.asarray(found, np.float32))
    highest = float(made.max())
    return made / np.float32(highest) if highest > 0 else made


def regions(frame: NDArray[np.uint8], settings: Saliency) -> Regions:
    """The regions of a frame, best first; score: the mean of the saliency map in the box.

    Level n of N cuts at n / (N + 1). A box that several levels give stands once.
    """
    made = saliency_map(frame, settings.engine)
    boxes: dict[tuple[int, ...], float] = {}
    for level in range(1, settings.levels + 1):
        above = (made > level / (settings.levels + 1)).astype(np.uint8)
        n, _, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
        for x, y, w, h, area in stats[1:n].tolist():
            if area >= LEAST_SHARE * made.size:
                boxes[x, y, w, h] = float(made[y : y + h, x : x + w].mean(dtype=np.float64))
    best_first = sorted(boxes.items(), key=lambda item: (-item[1], item[0]))
    box = np.array([of_box for of_box, _ in best_first], np.int16).reshape(-1, 4)
    score = np.array([value for _, value in best_first], np.float32)
    return Regions(box, np.full(len(box), UNKNOWN, np.int16), np.zeros(len(box), np.int16), score)
