"""Regions by selective search (Uijlings et al., IJCV 2013), as OpenCV has it.

OpenCV ranks regions by `rand() / RAND_MAX * level`, ascending, with C's own generator: one state per process, which
`cv2.setRNGSeed` does not reach. Seeding it for each clip makes a clip's boxes the same in any company, in any order and
on any number of workers. (opencv_contrib, modules/ximgproc/src/selectivesearchsegmentation.cpp)
"""

import ctypes

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.foundation.params import SelectiveSearch

_C = ctypes.CDLL(None)  # the C library of this process, which OpenCV's rand() comes from

SWITCHES = {
    "single": "switchToSingleStrategy",
    "fast": "switchToSelectiveSearchFast",
    "quality": "switchToSelectiveSearchQuality",
}
NO_LEVEL = -1  # OpenCV tells neither level nor grouping


def regions(frame: NDArray[np.uint8], settings: SelectiveSearch, seed: int) -> dict[str, NDArray[np.int16]]:
    """Every distinct region of a frame, in OpenCV's order.

    frame: (S, S, 3) uint8 RGB.
    seed:  in [0, 2^31), for the random part of the order.
    Returns `box` (r, 4) int16 x, y, w, h in pixels, and `level`, `grouping` (r,) int16.
    """
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(frame[..., ::-1]))  # BGR
    getattr(search, SWITCHES[settings.mode])()
    _C.srand(ctypes.c_uint(seed))
    boxes = np.asarray(search.process(), np.int16).reshape(-1, 4)
    unknown = np.full(len(boxes), NO_LEVEL, np.int16)
    return {"box": boxes, "level": unknown, "grouping": unknown}
