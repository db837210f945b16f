"""Stage `world@NAME`: makes a small world of real video files with known boxes, as a user's folder would be.

Ten kinds of things, each with its look and its sound, among silent ones as salient, on cluttered grounds. Also a set of
other scenes in PASCAL VOC's layout, for a detector. The same seed gives the same bytes.
"""

import io
import logging
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from pipeline.foundation import manifest, shards
from pipeline.foundation.engines import Piece, finish
from pipeline.foundation.manifest import SPLITS, Box
from pipeline.foundation.params import Runtime, World
from pipeline.foundation.randomness import generator
from pipeline.foundation.stages import stage
from pipeline.worlds.scenes import KINDS, Scene, draw_scene
from pipeline.worlds.sounds import RATE, Sound, clip_sound

log = logging.getLogger(__name__)

VERSION = 1  # raise when the results change
WORLDS = Path("data/worlds")
SECONDS = 3
FRAMES_PER_SECOND = 8
PIECE = 20  # clips or photographs that are made at a time
CLIP_COLUMNS = ("clip_id", "media", "split", "mask", "label", "hard")
BOX_COLUMNS = ("clip_id", "annotator", "x0", "y0", "x1", "y1", "label", "sounding")


def main() -> None:
    name = sys.argv[1]
    with stage(f"world-{name}") as params:
        make_world(params.worlds[name], WORLDS / name, params.runtime)


def make_world(settings: World, out: Path, runtime: Runtime) -> None:
    """Write media/, masks/, clips.csv, boxes.csv and voc/ of a world."""
    clips = [(split, f"{split}-{i:04d}", i) for split in SPLITS for i in range(getattr(settings, split))]
    photographs = [f"{i:06d}" for i in range(1, settings.boxed + 1)]
    pieces = [
        *_pieces("clips", make_clips, clips, settings.seed),
        *_pieces("photographs", make_photographs, photographs, settings.seed),
    ]
    folders = finish("world", pieces, runtime)
    files = {
        str(path.relative_to(folder)): path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".csv"
    }
    shards.publish(files, out)
    for name, columns in (("clips.csv", CLIP_COLUMNS), ("boxes.csv", BOX_COLUMNS)):
        tables = [folder / name for folder in folders if (folder / name).exists()]
        rows = [tuple(row.values()) for table in tables for _, row in manifest.read_rows(table, columns)]
        manifest.write_rows(out / name, columns, rows)
    for split, chosen in (("train", photographs[: -settings.boxed // 5]), ("val", photographs[-settings.boxed // 5 :])):
        listing = out / "voc" / "ImageSets" / "Main" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{photograph}\n" for photograph in chosen))
    log.info("world: %d clips, %d boxed photographs -> %s", len(clips), len(photographs), out)


def _pieces(what: str, function: Callable[..., int], items: Sequence[object], seed: int) -> Iterator[Piece]:
    for start in range(0, len(items), PIECE):
        chunk = list(items[start : start + PIECE])
        yield Piece(what, shards.fingerprint(what, VERSION, chunk, seed), len(chunk), function, (chunk, seed))


def make_clips(folder: Path, clips: list[tuple[str, str, int]], seed: int) -> int:
    """Write some clips: a video and a mask each, and their rows of clips.csv and boxes.csv."""
    cv2.setNumThreads(1)
    for name in ("media", "masks"):
        (folder / name).mkdir()
    rows: list[tuple[object, ...]] = []
    boxes: list[tuple[object, ...]] = []
    kinds = list(KINDS)
    for split, clip_id, i in clips:
        rng = generator(seed, "world", clip_id)
        kind = kinds[i % len(kinds)]  # as many of each
        scene = draw_scene(kind, rng)
        sound = clip_sound(KINDS[kind].voice, SECONDS, rng)
        write_video(folder / "media" / f"{clip_id}.mp4", scene, sound)
        Image.fromarray(scene.mask(scene.heard)).save(folder / "masks" / f"{clip_id}.png")
        rows.append((clip_id, f"media/{clip_id}.mp4", split, f"masks/{clip_id}.png", kind, scene.hard))
        boxes.extend(astuple(box) for box in boxes_of(scene, clip_id))
    manifest.write_rows(folder / "clips.csv", CLIP_COLUMNS, rows)
    manifest.write_rows(folder / "boxes.csv", BOX_COLUMNS, boxes)
    return 0


def boxes_of(scene: Scene, clip_id: str) -> list[Box]:
    """The boxes of all things of a scene, in fractions of the frame."""
    height, width = scene.ground.shape[:2]
    return [
        Box(clip_id, "world", x / width, y / height, (x + w) / width, (y + h) / height, thing.kind, i == scene.heard)
        for i, thing in enumerate(scene.things)
        for x, y, w, h in [thing.box]
    ]


def write_video(path: Path, scene: Scene, sound: Sound) -> None:
    """A scene with a sound as H.264 and AAC in MP4, without a trace of when or where it was made."""
    height, width = scene.ground.shape[:2]
    n_frames = SECONDS * FRAMES_PER_SECOND
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        # Slower presets spread bits by macroblock trees, which are not the same bytes every time.
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "superfast", "crf": "28"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=128_000)
        for stream in (video, audio):
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for i in range(n_frames):
            frame = av.VideoFrame.from_ndarray(scene.frame(i / n_frames), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="stereo")
        samples.sample_rate = RATE
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def make_photographs(folder: Path, names: list[str], seed: int) -> int:
    """Write some boxed photographs in PASCAL VOC's layout; every thing in them is boxed."""
    cv2.setNumThreads(1)
    images, annotations = folder / "voc" / "JPEGImages", folder / "voc" / "Annotations"
    images.mkdir(parents=True)
    annotations.mkdir()
    kinds = list(KINDS)
    for name in names:
        rng = generator(seed, "photograph", name)
        scene = draw_scene(kinds[int(name) % len(kinds)], rng)
        Image.fromarray(scene.frame(0.5)).save(images / f"{name}.jpg", quality=92)
        (annotations / f"{name}.xml").write_bytes(voc_annotation(scene, name))
    return 0


def voc_annotation(scene: Scene, name: str) -> bytes:
    """PASCAL VOC's XML of a scene: corners in pixels, counted from 1, inclusive."""
    height, width = scene.ground.shape[:2]
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = f"{name}.jpg"
    _elements(ET.SubElement(root, "size"), width=width, height=height, depth=3)
    for thing in scene.things:
        x, y, w, h = thing.box
        item = ET.SubElement(root, "object")
        _elements(item, name=thing.kind, difficult=0)
        _elements(ET.SubElement(item, "bndbox"), xmin=x + 1, ymin=y + 1, xmax=x + w, ymax=y + h)
    ET.indent(root)
    buffer = io.BytesIO()
    ET.ElementTree(root).write(buffer)
    return buffer.getvalue()


def _elements(parent: ET.Element, **values: object) -> None:
    for tag, value in values.items():
        ET.SubElement(parent, tag).text = str(value)


if __name__ == "__main__":
    main()
