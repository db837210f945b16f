"""Stage `source`: a data set's own layout -> one manifest, and the order in which clips lie in shards."""

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.upsampling import SIZE
from pipeline.foundation import manifest, shards
from pipeline.foundation.errors import UserError
from pipeline.foundation.leaks import settle
from pipeline.foundation.manifest import Manifest, Rejection
from pipeline.foundation.params import Source
from pipeline.foundation.stages import stage
from pipeline.sources import ave, avsbench, flickr_soundnet, folder, is3, leaks, music, pairs, vggss
from pipeline.sources.reading import Reading
from pipeline.sources.selection import select

log = logging.getLogger(__name__)

READERS = {
    "ave": ave.read,
    "avsbench": avsbench.read,
    "flickr_soundnet": flickr_soundnet.read,
    "folder": folder.read,
    "is3": is3.read,
    "music": music.read,
    "pairs": pairs.read,
    "vggss": vggss.read,
}
OUT = Path("data/source")
ORDER = Path("data/order.csv")


def main() -> None:
    with stage("source") as params:
        reading = select(READERS[params.source.name](params.source), params.source)
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
    """Write the manifest of each split, what was rejected, sound vectors where there are any, and the order.

    Raises UserError where the splits share a clip or a group, unless that is accepted.
    """
    counts = {split: len(part.clips) for split, part in reading.splits.items()}
    shutil.rmtree(out, ignore_errors=True)
    settle(leaks.of_reading(reading), out, source.root, source.accept_leaks)
    rejections = list(reading.rejections)
    for split, part in reading.splits.items():
        manifest.write(out / split, part)
        rejections += part.missing
        rejections += _write_masks(Path(source.root), part, out / split / "masks.h5")
    manifest.write_rejected(out, rejections)
    clip_ids = sorted(clip.clip_id for part in reading.splits.values() for clip in part.clips)
    if reading.vectors is not None:
        vectors = np.stack([reading.vectors[clip_id] for clip_id in clip_ids])
        shards.write(out / "vectors.h5", "source", clip_ids, {"vector": vectors})
    manifest.write_order(order_file, in_order(manifest.read_order(order_file), clip_ids))
    for split in ("val", "test"):
        if not counts[split]:
            is_listed = split == "test" and source.train_list is not None
            log.warning(
                "source: no clip of %s is in %s, and evaluate.split: %s would measure nothing; %s",
                *(source.root, split, split, "name source.test_list" if is_listed else f"raise source.{split}_share"),
            )
    words = ", ".join(f"{count} {split}" for split, count in counts.items())
    log.info("source: %s clips, %d rejected -> %s", words, len(rejections), out)


def _write_masks(root: Path, part: Manifest, path: Path) -> Iterator[Rejection]:
    """Write the masks of the clips that have one, on the grid on which scores are computed: evaluate sees no root.

    Gives the masks that cannot be read; their clips are kept without.
    """
    masks: dict[str, NDArray[np.uint8]] = {}
    for clip in part.clips:
        if clip.mask:
            try:
                masks[clip.clip_id] = _mask(root / clip.mask)
            except (OSError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
                yield Rejection(
                    clip.clip_id, clip.mask, f"the clip is kept without its mask, which cannot be read: {error}"
                )
    if masks:
        shards.write(path, "source", list(masks), {"mask": np.stack(list(masks.values()))})


def _mask(path: Path) -> NDArray[np.uint8]:
    """(SIZE, SIZE) 1 where an image file is not black, at the nearest pixel."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.NEAREST))
    return np.any(pixels, axis=2).astype(np.uint8)


def in_order(before: Sequence[str], clip_ids: Iterable[str]) -> list[str]:
    """Shard order: every id keeps its place, also one that is gone, and new ones are appended.

    So new clips touch no old shard. Where no id is left of the old order, it is another data set: a fresh order.
    """
    present = set(clip_ids)
    kept = list(before) if present.intersection(before) else []
    return kept + sorted(present.difference(kept))


if __name__ == "__main__":
    main()
