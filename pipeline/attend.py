"""Stage `attend`: regions -> bottom-up maps (Eq. 1, 2), one grid a clip."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import bottom_up
from pipeline.foundation import shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.params import Attend, Runtime
from pipeline.foundation.randomness import generator
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
REGIONS, OUT = Path("data/regions"), Path("data/bottom_up")


def main() -> None:
    with stage("attend") as params:
        settings = params.attend
        attend(settings, REGIONS / settings.proposer, OUT, params.runtime)


def attend(settings: Attend, regions: Path, out: Path, runtime: Runtime) -> None:
    """Make the map of every clip whose regions are known."""
    needed = settings.model_dump(exclude={"proposer"})
    pieces = []
    for path in shards.shard_paths(regions):
        shard = shards.Shard(path)
        mark = shards.fingerprint("attend", VERSION, needed, shard.checksum)
        pieces.append(Piece(path.name, mark, len(shard.clip_ids), attend_shard, (path, settings)))
    folders = finish("attend", pieces, runtime)
    shards.publish({p.name: f / "bottom_up.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("attend: maps of %d clips -> %s", sum(piece.clips for piece in pieces), out)


def attend_shard(folder: Path, regions: Path, settings: Attend) -> int:
    """Write bottom_up.h5 of the regions of one shard."""
    shard = shards.Shard(regions)
    size = int(shard.attributes["size"])
    side = size // bottom_up.STRIDE
    maps = [map_of(shard.read(clip_id, "box"), clip_id, settings, size) for clip_id in shard.clip_ids]
    arrays = {"map": np.array(maps, np.float32).reshape(len(maps), side, side)}
    unit = bottom_up.count_unit(settings.k, settings.weight, settings.resize)
    shards.write(folder / "bottom_up.h5", "attend", shard.clip_ids, arrays, unit=unit)
    return 0


def map_of(boxes: NDArray[np.int16], clip_id: str, settings: Attend, size: int) -> NDArray[np.float32]:
    """A_bottom of one clip, or what a control puts in its place."""
    chosen = bottom_up.top_regions(boxes, settings.k, settings.order, generator(settings.seed, "order", clip_id))
    if settings.control == "places":
        chosen = bottom_up.at_random_places(chosen, size, generator(settings.seed, "places", clip_id))
    weights = bottom_up.region_weights(len(chosen), settings.k, settings.weight)
    made = bottom_up.grid_map(chosen, weights, size, settings.resize)
    if settings.control == "cells":
        return bottom_up.with_cells_permuted(made, generator(settings.seed, "cells", clip_id))
    if settings.control == "constant":
        return np.zeros_like(made)  # the same for all clips: no cell is salient
    return made


if __name__ == "__main__":
    main()
