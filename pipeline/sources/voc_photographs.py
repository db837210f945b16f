"""Boxed photographs in PASCAL VOC's layout, read piece by piece and brought to the frame's size as `extract` does."""

import math
from pathlib import Path

import cv2
import numpy as np

from pipeline.foundation import manifest, media, shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.manifest import Rejection
from pipeline.foundation.params import Runtime
from pipeline.foundation.photographs import BOXES, PHOTOGRAPHS
from pipeline.sources import voc
from pipeline.sources.reading import Unusable

VERSION = 1  # raise when the results change
PIECE = 64  # photographs that are read at a time
MOST_PIXELS = 64e6  # of one photograph


def pieces(root: Path, names: list[str], labels: dict[str, int], side: int, runtime: Runtime) -> list[Path]:
    """The finished pieces of some photographs, read where that was not done yet."""
    found = []
    for start in range(0, len(names), PIECE):
        chunk = names[start : start + PIECE]
        files = [path for name in chunk for path in (voc.picture_of(name), voc.annotation_of(name))]
        states = [(path, *_state(root / path)) for path in files]
        mark = shards.fingerprint("photographs", VERSION, side, labels, str(root), states)
        work = (root, chunk, labels, side)
        found.append(Piece(f"photographs {start}", mark, len(chunk), read_photographs, work))
    return finish("photographs", found, runtime)


def _state(path: Path) -> tuple[int, int]:
    """What tells that a file is still the same without reading it: size and time of change."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1  # told apart when it is opened, and rejected there
    return status.st_size, status.st_mtime_ns


def read_photographs(folder: Path, root: Path, names: list[str], labels: dict[str, int], side: int) -> int:
    """Write photographs.h5, boxes.h5 and rejected.csv of some photographs; returns how many were rejected."""
    cv2.setNumThreads(1)
    frames, rejections = {}, []
    rows: dict[str, list[np.ndarray]] = {"corners": [], "label": [], "difficult": []}
    limits = media.Limits(media.Budget(math.inf), MOST_PIXELS)
    for name in names:
        try:
            picture = media.still_frame(root / voc.picture_of(name), limits).frame
            found = voc.read(root, name, labels, (picture.shape[1], picture.shape[0]))
        except (Unusable, media.Unusable) as error:
            rejections.append(Rejection(name, voc.picture_of(name), str(error)))
            continue
        rejections += found.rejections
        shrinks = min(picture.shape[:2]) >= side
        frames[name] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        rows["corners"].append(np.array([item.box for item in found.items], np.float32).reshape(-1, 4))
        rows["label"].append(np.array([labels[item.label] for item in found.items], np.int16))
        rows["difficult"].append(np.array([item.difficult for item in found.items], np.int16))
    stacked = np.array(list(frames.values()), np.uint8).reshape(-1, side, side, 3)
    shards.write(folder / PHOTOGRAPHS, "detector", list(frames), {"frame": stacked})
    shards.write_flat(folder / BOXES, "detector", list(frames), rows)
    manifest.write_rejected(folder, rejections)
    return len(names) - len(frames)
