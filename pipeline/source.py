"""Stage `source`: a data set's own layout -> one manifest, and the order in which clips lie in shards."""

import logging
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pipeline.foundation import manifest, shards
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Source
from pipeline.foundation.stages import stage
from pipeline.sources import folder, pairs
from pipeline.sources.reading import Reading

log = logging.getLogger(__name__)

READERS = {"folder": folder.read, "pairs": pairs.read}
OUT = Path("data/source")
ORDER = Path("data/order.csv")


def main() -> None:
    with stage("source") as params:
        reading = READERS[params.source.name](params.source)
        if params.train.epochs:  # the stage train would say so too, but hours later; no out of this one follows from it
            refuse_untrainable(reading, params.source)
        write(reading, params.source, OUT, ORDER)


def refuse_untrainable(reading: Reading, source: Source) -> None:
    """Raise UserError where no clip is in train."""
    if not reading.splits["train"].clips:
        n = sum(len(part.clips) for part in reading.splits.values())
        raise UserError(
            f"{source.root}: none of its {n} clips is in train; lower source.val_share and source.test_share, name "
            "train in the column split of its clips.csv, put more clips there, or evaluate a trained checkpoint "
            "(train.init, with epochs 0)"
        )


def write(reading: Reading, source: Source, out: Path, order_file: Path) -> None:
    """Write the manifest of each split, what was rejected, sound vectors where there are any, and the order."""
    counts = {split: len(part.clips) for split, part in reading.splits.items()}
    shutil.rmtree(out, ignore_errors=True)
    for split, part in reading.splits.items():
        manifest.write(out / split, part)
    manifest.write_rejected(out, reading.rejections)
    clip_ids = sorted(clip.clip_id for part in reading.splits.values() for clip in part.clips)
    if reading.vectors is not None:
        vectors = np.stack([reading.vectors[clip_id] for clip_id in clip_ids])
        shards.write(out / "vectors.h5", "source", clip_ids, {"vector": vectors})
    manifest.write_order(order_file, in_order(manifest.read_order(order_file), clip_ids))
    for split in ("val", "test"):
        if not counts[split]:
            log.warning(
                "source: no clip of %s is in %s, and evaluate.split: %s would measure nothing; raise source.%s_share",
                *(source.root, split, split, split),
            )
    words = ", ".join(f"{count} {split}" for split, count in counts.items())
    log.info("source: %s clips, %d rejected -> %s", words, len(reading.rejections), out)


def in_order(before: Sequence[str], clip_ids: Iterable[str]) -> list[str]:
    """Shard order: every id keeps its place, also one that is gone, and new ones are appended.

    So new clips touch no old shard. Where no id is left of the old order, it is another data set: a fresh order.
    """
    present = set(clip_ids)
    kept = list(before) if present.intersection(before) else []
    return kept + sorted(present.difference(kept))


if __name__ == "__main__":
    main()
