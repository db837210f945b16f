"""Stage `propose@NAME`: frames -> regions, without any training. Every region is kept; nothing is thresholded here."""

import logging
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model.regions import Regions
from pipeline.foundation import shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.params import Proposer, Runtime, Saliency
from pipeline.foundation.randomness import whole
from pipeline.foundation.stages import stage
from pipeline.proposers import saliency, selective_search

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
FRAMES, REGIONS = Path("data/frames"), Path("data/regions")


def main() -> None:
    name = sys.argv[1]
    with stage(f"propose-{name}") as params:
        propose(params.proposers[name], FRAMES, REGIONS / name, params.runtime)


def propose(settings: Proposer, frames: Path, out: Path, runtime: Runtime) -> None:
    """Search every frame for regions."""
    paths = shards.shard_paths(frames)
    pieces = []
    for path in paths:
        shard = shards.Shard(path)
        mark = shards.fingerprint("propose", VERSION, settings.model_dump(), shard.checksum)
        pieces.append(Piece(path.name, mark, len(shard.clip_ids), propose_shard, (path, settings)))
    if not isinstance(settings, Saliency):
        selective_search.warm(settings)
    folders = finish("propose", pieces, runtime)
    shards.publish({p.name: f / "regions.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("propose: regions of %d clips -> %s", sum(piece.clips for piece in pieces), out)


def propose_shard(folder: Path, frames: Path, settings: Proposer) -> int:
    """Write regions.h5 of the frames of one shard."""
    cv2.setNumThreads(1)
    shard = shards.Shard(frames)
    is_search = not isinstance(settings, Saliency)
    if is_search:
        selective_search.keep_memory()
    names = ("box", "level", "grouping") if is_search else ("box", "score")
    rows: dict[str, list[NDArray[np.generic]]] = {name: [] for name in names}
    for clip_id in shard.clip_ids:
        found = _regions(shard.read(clip_id, "frame"), settings, clip_id)
        for name, values in rows.items():
            values.append(getattr(found, name))
    size = shard.read(shard.clip_ids[0], "frame").shape[0] if shard.clip_ids else 0
    told = {} if is_search else {"is_scored": 1}
    shards.write_flat(folder / "regions.h5", "propose", shard.clip_ids, rows, size=size, **told)
    return 0


def _regions(frame: NDArray[np.uint8], settings: Proposer, clip_id: str) -> Regions:
    if isinstance(settings, Saliency):
        return saliency.regions(frame, settings)
    return selective_search.regions(frame, settings, whole(0, "selective search", clip_id))


if __name__ == "__main__":
    main()
