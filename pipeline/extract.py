"""Stage `extract`: media -> frames, waveforms.

A clip gives one frame, S x S RGB, and the first seconds of its sound, mono 16 bit; or a line in rejected.csv. Then the
frames and sounds of different splits are compared by content.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.foundation import duplicates, listing, manifest, media, shards
from pipeline.foundation.engines import SCRATCH, Piece, finish
from pipeline.foundation.errors import UserError
from pipeline.foundation.leaks import settle
from pipeline.foundation.manifest import SPLITS, Clip, Rejection
from pipeline.foundation.params import Extract, Runtime, Source
from pipeline.foundation.stages import stage

log = logging.getLogger(__name__)

VERSION = 4  # raise when the results change
SOURCE, ORDER = Path("data/source"), Path("data/order.csv")
FRAMES, WAVEFORMS, REJECTED = Path("data/frames"), Path("data/waveforms"), Path("data/rejected")
MARKS = SCRATCH / "fingerprints"


def main() -> None:
    with stage("extract") as params:
        extract(params.source, params.extract, params.runtime)


def extract(source: Source, settings: Extract, runtime: Runtime) -> None:
    """Take a frame and a waveform from every clip of the manifest, in shards of the order that it fixes.

    Where source.watch is a list of the root's files, what DVC knows of them is that list: it must be true. Raises
    UserError where it is not, where no clip can be used, or where splits share content, unless that is accepted.
    """
    root, watch = Path(source.root), Path(source.watch)
    splits = {split: manifest.read(SOURCE / split).clips for split in SPLITS}
    clips = {clip.clip_id: clip for part in splits.values() for clip in part}
    if watch.is_file():
        listing.check(root, watch, (file for clip in clips.values() for file in _files(clip)))
    order = manifest.read_order(ORDER)
    pieces = []
    for start in range(0, len(order), settings.shard_clips):
        chunk = [clips[clip_id] for clip_id in order[start : start + settings.shard_clips] if clip_id in clips]
        if chunk:
            name = shards.shard_name(start // settings.shard_clips)
            pieces.append(_piece(name, root, chunk, settings))
    folders = finish("extract", pieces, runtime)
    rejections = [rejection for folder in folders for rejection in manifest.read_rejected(folder)]
    if len(rejections) == len(clips):
        raise UserError(
            f"{root}: none of its {len(clips)} clips can be used; {rejections[0].path}: {rejections[0].reason}; "
            "put other files there, or name another source.root"
        )
    for out in (FRAMES, WAVEFORMS, MARKS):
        shards.publish({p.name: f / f"{out.name}.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    manifest.write_rejected(REJECTED, rejections)
    leaks = duplicates.leaks(MARKS, WAVEFORMS, {clip.clip_id: split for split in SPLITS for clip in splits[split]})
    settle(leaks, REJECTED, source.root, source.accept_leaks)
    kept = len(clips) - len(rejections)
    log.info("extract: %d clips, %d rejected -> %s, %s, %s", kept, len(rejections), FRAMES, WAVEFORMS, REJECTED)


def _piece(name: str, root: Path, clips: list[Clip], settings: Extract) -> Piece:
    files = sorted({path for clip in clips for path in _files(clip)})
    identity = [(path, *_state(root / path)) for path in files]
    needed = settings.model_dump(exclude={"shard_clips"})
    work = [(clip.clip_id, clip.media, clip.frame, clip.sound, clip.frame_s, clip.sound_s) for clip in clips]
    mark = shards.fingerprint("extract", VERSION, needed, str(root), work, identity)
    return Piece(name, mark, len(clips), extract_shard, (root, clips, settings))


def _files(clip: Clip) -> list[str]:
    return [path for path in (clip.media, clip.frame, clip.sound) if path]


def _state(path: Path) -> tuple[int, int]:
    """What tells that a file is still the same without reading it, as DVC tells it: size and time of change."""
    try:
        status = path.stat()
    except OSError:
        return -1, -1  # told apart when it is opened, and rejected there
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Sample:
    """What is kept of a clip."""

    frame: NDArray[np.uint8]
    size_hw: tuple[int, int]
    waveform: NDArray[np.int16]


def extract_shard(folder: Path, root: Path, clips: list[Clip], settings: Extract) -> int:
    """Write frames.h5, waveforms.h5, fingerprints.h5 and rejected.csv of some clips; returns how many were rejected."""
    cv2.setNumThreads(1)
    samples: dict[str, Sample] = {}
    rejections: list[Rejection] = []
    for clip in clips:
        try:
            samples[clip.clip_id] = sample_of(clip, root, settings)
        except media.Unusable as error:
            rejections.append(Rejection(clip.clip_id, clip.path, str(error)))
    kept = list(samples.values())
    side = settings.frame_size
    frames = np.array([sample.frame for sample in kept], np.uint8).reshape(-1, side, side, 3)
    sizes = np.array([sample.size_hw for sample in kept], np.int32).reshape(-1, 2)
    shards.write(folder / "frames.h5", "extract", list(samples), {"frame": frames, "size": sizes})
    waveforms = [sample.waveform for sample in kept]
    shards.write_flat(
        folder / "waveforms.h5",
        "extract",
        list(samples),
        {"waveform": waveforms},
        sample_rate=settings.sample_rate,
        seconds=settings.seconds,
    )
    of_sound = settings.sample_rate, settings.seconds
    duplicates.write(folder / "fingerprints.h5", list(samples), frames, waveforms, *of_sound)
    manifest.write_rejected(folder, rejections)
    return len(rejections)


def sample_of(clip: Clip, root: Path, settings: Extract) -> Sample:
    """The frame and waveform of one clip; raises media.Unusable with the reason why not."""
    for name in _files(clip):
        if not (root / name).is_file():
            raise media.Unusable(f"cannot open: {name} is not there")
    limits = media.Limits(media.Budget(settings.cpu_limit), settings.max_megapixels * 1e6)
    of_sound = settings.sample_rate, settings.seconds, limits, clip.sound_s or 0
    if clip.media:
        still = media.video_frame(root / clip.media, settings.frame_position, limits, clip.frame_s)
    else:
        still = media.still_frame(root / clip.frame, limits)
    if clip.sound:
        sound = media.sound_file_waveform(root / clip.sound, *of_sound)
    elif clip.media:
        sound = media.media_waveform(root / clip.media, *of_sound)
    else:
        sound = np.zeros(0, np.float32)  # a clip without a sound file has a vector instead, which the source brought
    side = settings.frame_size
    shrinks = min(still.frame.shape[:2]) >= side
    frame = cv2.resize(still.frame, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return Sample(frame, still.size_hw, np.rint(sound * 32767).astype(np.int16))


if __name__ == "__main__":
    main()
