"""Stage `attend`: regions -> bottom-up maps (Eq. 1, 2), one grid a clip."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from model import bottom_up, regions
from model.regions import UNKNOWN, Regions
from pipeline.foundation import shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Attend, Runtime
from pipeline.foundation.randomness import generator
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

VERSION = 2  # raise when the results change
Weight: TypeAlias = Literal["uniform", "rank", "score"]  # attend.weight, where `auto` is told
REGIONS, OUT = Path("data/regions"), Path("data/bottom_up")


def main() -> None:
    with stage("attend") as params:
        settings = params.attend
        attend(settings, REGIONS / settings.proposer, OUT, params.runtime)


def attend(settings: Attend, found: Path, out: Path, runtime: Runtime) -> None:
    """Make the map of every clip whose regions are known."""
    pieces = []
    for path in shards.shard_paths(found):
        shard = shards.Shard(path)
        unused = {"proposer"} if _weight(settings, shard) == "score" else {"proposer", "tau"}
        mark = shards.fingerprint("attend", VERSION, settings.model_dump(exclude=unused), shard.checksum)
        pieces.append(Piece(path.name, mark, len(shard.clip_ids), attend_shard, (path, settings)))
    folders = finish("attend", pieces, runtime)
    shards.publish({p.name: f / "bottom_up.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    log.info("attend: maps of %d clips -> %s", sum(piece.clips for piece in pieces), out)


def attend_shard(folder: Path, found: Path, settings: Attend) -> int:
    """Write bottom_up.h5 of the regions of one shard."""
    shard = shards.Shard(found)
    size = int(shard.attributes["size"])
    side = size // bottom_up.STRIDE
    regions_of = {clip_id: _read(shard, clip_id) for clip_id in shard.clip_ids}
    weight = _weight(settings, shard)
    maps = maps_of(regions_of, settings, weight, size) if regions_of else np.zeros((0, side, side), np.float32)
    counts = settings.order != "expected"
    unit = bottom_up.count_unit(settings.k, weight, settings.resize) if counts else 0.0
    shards.write(folder / "bottom_up.h5", "attend", shard.clip_ids, {"map": maps}, unit=unit)
    return 0


def _weight(settings: Attend, found: shards.Shard) -> Weight:
    """The weight of the regions of a shard; raises UserError where it is their score and they have none."""
    is_scored = bool(found.attributes.get("is_scored", False))
    if settings.weight == "score" and not is_scored:
        raise UserError(
            f"attend.weight: got 'score', and the regions of {settings.proposer} have none; accepted: uniform, rank, "
            "auto, or a proposer that scores its regions"
        )
    if settings.weight == "auto":
        return "score" if is_scored else "uniform"
    return settings.weight


def _read(found: shards.Shard, clip_id: str) -> Regions:
    """The regions of a clip; of a proposer that is no search with a score, and without a level that is known."""
    box = found.read(clip_id, "box")
    if "level" in found.names:
        return Regions(box, found.read(clip_id, "level"), found.read(clip_id, "grouping"))
    return Regions(
        box, np.full(len(box), UNKNOWN, np.int16), np.zeros(len(box), np.int16), found.read(clip_id, "score")
    )


def maps_of(regions_of: Mapping[str, Regions], settings: Attend, weight: Weight, size: int) -> NDArray[np.float32]:
    """(n, S / 16, S / 16) A_bottom of some clips, or what a control puts in its place."""
    chosen = [_chosen(clip_id, regions, settings, weight, size) for clip_id, regions in regions_of.items()]
    if weight == "score":
        made = np.stack([bottom_up.clipped_map(*of_clip, size, settings.resize) for of_clip in chosen])
    elif settings.mask_t is not None:
        count = round(settings.mask_t * settings.k)
        masks = (bottom_up.expected_mask(*of_clip, count, size, settings.resize) for of_clip in chosen)
        made = np.stack(list(masks))
    else:
        scale = 1 / settings.k if settings.order == "expected" else 1
        boxes, weights = zip(*chosen, strict=True)
        made = bottom_up.grid_maps(boxes, [scale * of_clip for of_clip in weights], size, settings.resize)
    if settings.control == "cells":
        rngs = (generator(settings.seed, "cells", clip_id) for clip_id in regions_of)
        return np.stack([bottom_up.with_cells_permuted(*pair) for pair in zip(made, rngs, strict=True)])
    if settings.control == "constant":
        return np.zeros_like(made)  # the same for all clips: no cell is salient
    return made


def _chosen(
    clip_id: str, found: Regions, settings: Attend, weight: Weight, size: int
) -> tuple[NDArray[np.int16], NDArray[Any]]:
    """The boxes of a clip that make its map, and their weights; under `expected` how likely each is among K."""
    boxes: NDArray[np.int16]
    weights: NDArray[Any]
    if weight == "score":
        assert found.score is not None  # _weight has seen to it
        boxes, weights = regions.surer(found.box, found.score, settings.tau)
    elif settings.order == "expected":
        boxes, weights = regions.inclusion(found, settings.k)
    else:
        boxes = regions.first(found, settings.k, settings.order, generator(settings.seed, "order", clip_id))
        weights = bottom_up.region_weights(len(boxes), settings.k, weight)
    if settings.control == "places":
        boxes = bottom_up.at_random_places(boxes, size, generator(settings.seed, "places", clip_id))
    return boxes, weights


if __name__ == "__main__":
    main()
