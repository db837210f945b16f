"""Regions by selective search (Uijlings et al., IJCV 2013): the product's own, or OpenCV's.

OpenCV ranks regions by `rand() / RAND_MAX * level`, ascending, with C's own generator: one state per process, which
`cv2.setRNGSeed` does not reach. Seeding it for each clip makes a clip's boxes the same in any company, in any order and
on any number of workers. (opencv_contrib, modules/ximgproc/src/selectivesearchsegmentation.cpp)
"""

import ctypes

import cv2
import numpy as np
from numpy.typing import NDArray

from model import selective_search as native
from model.regions import UNKNOWN, Regions
from pipeline.foundation.params import SelectiveSearch

_C = ctypes.CDLL(None)  # the C library of this process, which OpenCV's rand() comes from

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h

SWITCHES = {
    "single": "switchToSingleStrategy",
    "fast": "switchToSelectiveSearchFast",
    "quality": "switchToSelectiveSearchQuality",
}


def regions(frame: NDArray[np.uint8], settings: SelectiveSearch, seed: int) -> Regions:
    """The regions of an (S, S, 3) uint8 RGB frame.

    native: all of them, with level and grouping; nothing random. opencv: each box once, in OpenCV's order, whose random
    part follows from the seed, in [0, 2^31).
    """
    if settings.engine == "native":
        return native.search(frame, settings.mode)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(frame[..., ::-1]))  # BGR
    getattr(search, SWITCHES[settings.mode])()
    _C.srand(ctypes.c_uint(seed))
    boxes = np.asarray(search.process(), np.int16).reshape(-1, 4)
    unknown = np.full(len(boxes), UNKNOWN, np.int16)
    return Regions(boxes, unknown, unknown)


def keep_memory() -> None:
    """Let this process keep the memory that it frees, where its C library can.

    A search takes and frees tens of megabytes a frame; handed back each time, their pages are cleared each time, which
    costs a tenth of all (benchmarks/search.py).
    """
    if mallopt := getattr(_C, "mallopt", None):  # glibc's
        for option, value in ((M_MMAP_THRESHOLD, 1 << 25), (M_TRIM_THRESHOLD, 1 << 28)):
            mallopt(option, value)


def warm(settings: SelectiveSearch) -> None:
    """Compile what is to be compiled, once for all workers: numba keeps it beside the code."""
    regions(np.zeros((32, 32, 3), np.uint8), settings, 0)
