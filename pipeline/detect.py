"""Stage `detect@NAME`: frames -> regions, by a detector. Every box is kept with its score; `attend.tau` chooses."""

import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.foundation import detectors, shards
from pipeline.foundation.devices import cpu_threads, device_of
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.files import digest
from pipeline.foundation.params import Runtime
from pipeline.foundation.stages import stage
from pipeline.proposers import faster_rcnn

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
FRAMES, DETECTORS, REGIONS = Path("data/frames"), Path("data/detectors"), Path("data/regions")


def main() -> None:
    name = sys.argv[1]
    with stage(f"detect-{name}") as params:
        detect(DETECTORS / name, FRAMES, REGIONS / name, params.runtime)


def detect(detector: Path, frames: Path, out: Path, runtime: Runtime) -> None:
    """Find the boxes of every frame."""
    device = device_of(runtime.device)
    detectors.load(detector)  # says now what is wrong with it
    numbers = [digest(detector / name) for name in detectors.FILES]
    pieces = []
    for path in shards.shard_paths(frames):
        shard = shards.Shard(path)
        mark = shards.fingerprint("detect", VERSION, numbers, device.type, shard.checksum)
        pieces.append(Piece(path.name, mark, len(shard.clip_ids), detect_shard, (path, detector, device)))
    alone = runtime if device.type == "cpu" else runtime.model_copy(update={"workers": 1})
    folders = finish("detect", pieces, alone)
    shards.publish({p.name: f / "regions.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("detect: regions of %d clips -> %s", sum(piece.clips for piece in pieces), out)


def detect_shard(folder: Path, frames: Path, detector: Path, device: torch.device) -> int:
    """Write regions.h5 of the frames of one shard."""
    cv2.setNumThreads(1)
    shard = shards.Shard(frames)
    rows: dict[str, list[NDArray[np.generic]]] = {"box": [], "score": [], "label": []}
    model = faster_rcnn.load(detector, device)
    with cpu_threads(1):
        for found in faster_rcnn.regions(shard.read_all("frame"), model, device):
            for name, values in rows.items():
                values.append(getattr(found, name))
    size = shard.read(shard.clip_ids[0], "frame").shape[0] if shard.clip_ids else 0
    shards.write_flat(folder / "regions.h5", "detect", shard.clip_ids, rows, size=size, is_scored=1)
    return 0


if __name__ == "__main__":
    main()
