"""Stage `propose@NAME`: frames -> regions. Every region that a search finds is kept; nothing is thresholded here."""

import logging
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.foundation import shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.params import Runtime, SelectiveSearch
from pipeline.foundation.randomness import whole
from pipeline.foundation.stages import stage
from pipeline.proposers import selective_search

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
FRAMES, REGIONS = Path("data/frames"), Path("data/regions")


def main() -> None:
    name = sys.argv[1]
    with stage(f"propose-{name}") as params:
        propose(params.proposers[name], FRAMES, REGIONS / name, params.runtime)


def propose(settings: SelectiveSearch, frames: Path, out: Path, runtime: Runtime) -> None:
    """Search every frame for regions."""
    paths = shards.shard_paths(frames)
    pieces = []
    for path in paths:
        shard = shards.Shard(path)
        mark = shards.fingerprint("propose", VERSION, settings.model_dump(), shard.checksum)
        pieces.append(Piece(path.name, mark, len(shard.clip_ids), propose_shard, (path, settings)))
    selective_search.warm(settings)
    folders = finish("propose", pieces, runtime)
    shards.publish({p.name: f / "regions.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("propose: regions of %d clips -> %s", sum(piece.clips for piece in pieces), out)


def propose_shard(folder: Path, frames: Path, settings: SelectiveSearch) -> int:
    """Write regions.h5 of the frames of one shard."""
    cv2.setNumThreads(1)
    selective_search.keep_memory()
    shard = shards.Shard(frames)
    rows: dict[str, list[NDArray[np.int16]]] = {"box": [], "level": [], "grouping": []}
    for clip_id in shard.clip_ids:
        found = selective_search.regions(shard.read(clip_id, "frame"), settings, whole(0, "selective search", clip_id))
        for name, values in rows.items():
            values.append(getattr(found, name))
    size = shard.read(shard.clip_ids[0], "frame").shape[0] if shard.clip_ids else 0
    shards.write_flat(folder / "regions.h5", "propose", shard.clip_ids, rows, size=size)
    return 0


if __name__ == "__main__":
    main()
