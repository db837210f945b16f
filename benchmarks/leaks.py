"""What the fingerprints of frames and sounds find: how many re-encodings of the same thing, and how many pairs of
different things they take for the same.

    python -m benchmarks.leaks --pairs /path/to/pairs    # photographs and recordings; without it, those of a world

Prints two tables and writes benchmarks/results/leaks.json.
"""

import argparse
import io
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.results import Row, told
from model import fingerprints as f
from pipeline.foundation.randomness import generator
from pipeline.worlds.scenes import KINDS, draw_scene
from pipeline.worlds.sounds import RATE, clip_sound

SIDE, SECONDS, SAMPLE_RATE = 320, 5, 22_050
Image = NDArray[np.uint8]
Sound = NDArray[np.float32]
T = TypeVar("T")


def through_jpeg(image: Image, quality: int) -> Image:
    """An image (H, W, 3) RGB as JPEG gives it back."""
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


def through_h264(image: Image, crf: int) -> Image:
    """An image as H.264 gives it back; its sides become even."""
    height, width = (side // 2 * 2 for side in image.shape[:2])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": str(crf)})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def through_codec(sound: Sound, codec: str, kbps: int, rate: int) -> Sound:
    """A sound at 22 050 Hz, resampled to `rate`, encoded, decoded and resampled back."""
    samples = soxr.resample(sound, SAMPLE_RATE, rate)
    file = io.BytesIO()
    container_format = {"aac": "mp4", "libmp3lame": "mp3"}[codec]
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 1000 * kbps
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        back = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    return soxr.resample(back, rate, SAMPLE_RATE)


def through_vorbis(sound: Sound, quality: float) -> Sound:
    """A sound at 22 050 Hz as Ogg Vorbis gives it back."""
    file = io.BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE, format="OGG", subtype="VORBIS", compression_level=1 - quality)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def scaled(image: Image, factor: float) -> Image:
    """An image of another size."""
    return cv2.resize(
        image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    )


def coloured(image: Image, gains: tuple[float, float, float], offset: float = 0) -> Image:
    """An image with each of its colours stronger or weaker."""
    return np.clip(image * np.array(gains) + offset, 0, 255).astype(np.uint8)


def moved(sound: Sound, seconds: float) -> Sound:
    """A sound that begins later, or earlier where seconds are negative."""
    n = round(abs(seconds) * SAMPLE_RATE)
    return np.concatenate([np.zeros(n, np.float32), sound[:-n]]) if seconds > 0 else sound[n:]


FRAMES: dict[str, Callable[[Image], Image]] = {
    "JPEG, quality 50": partial(through_jpeg, quality=50),
    "H.264, crf 30": partial(through_h264, crf=30),
    "half the size": partial(scaled, factor=0.5),
    "twice the size": partial(scaled, factor=2),
    "a third, then JPEG 50": lambda image: through_jpeg(scaled(image, 1 / 3), 50),
    "15 % darker": partial(coloured, gains=(0.85, 0.85, 0.85)),
    "10 % brighter": partial(coloured, gains=(1.1, 1.1, 1.1)),
    "less contrast": partial(coloured, gains=(0.85, 0.85, 0.85), offset=19),
    "warmer": partial(coloured, gains=(1.08, 1, 0.92)),
    "mirrored: another frame": lambda image: image[:, ::-1],
}
SOUNDS: dict[str, Callable[[Sound], Sound]] = {
    "AAC, 64 kb/s, 44.1 kHz": partial(through_codec, codec="aac", kbps=64, rate=44_100),
    "AAC, 128 kb/s, 44.1 kHz": partial(through_codec, codec="aac", kbps=128, rate=44_100),
    "MP3, 64 kb/s, 44.1 kHz": partial(through_codec, codec="libmp3lame", kbps=64, rate=44_100),
    "MP3, 64 kb/s, 22.05 kHz": partial(through_codec, codec="libmp3lame", kbps=64, rate=22_050),
    "Vorbis, quality 5 of 10": partial(through_vorbis, quality=0.5),
    "10 dB softer": lambda sound: np.float32(10 ** (-10 / 20)) * sound,
    "44.1 kHz and back": lambda sound: soxr.resample(soxr.resample(sound, SAMPLE_RATE, 44_100), 44_100, SAMPLE_RATE),
    "50 ms later": partial(moved, seconds=0.05),
    "50 ms earlier": partial(moved, seconds=-0.05),
}


def frame_mark(image: Image) -> tuple[NDArray[np.int8], Image]:
    """The fingerprint of a frame as stage `extract` makes it."""
    return f.frame_hash(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def same_frames(one: Image, other: Image) -> bool:
    """Whether two frames are taken for the same."""
    (a, small), (b, other_small) = frame_mark(one), frame_mark(other)
    near = len(f.similar(a[None], b[None], f.PHASH_COSINE)) > 0
    return near and bool(f.correlations(small, other_small[None])[0] >= f.THUMBNAIL_CORRELATION)


def same_sounds(one: Sound, other: Sound, seconds: float = SECONDS) -> bool:
    """Whether two sounds are taken for the same, as 16 bit samples of at most so many seconds."""
    one, other = (_stored(sound, seconds) for sound in (one, other))
    steps = f.n_steps(seconds)
    bits, counts, outline = f.sound_hash(one, SAMPLE_RATE, steps)
    others = f.sound_hash(other, SAMPLE_RATE, steps)
    near = len(f.similar(outline[None], others[2][None], f.OUTLINE_COSINE)) > 0
    errors = f.error_rates(bits, counts, others[0][None], others[1][None])[0]
    alike = f.waveform_correlation(one, other, SAMPLE_RATE) >= f.WAVEFORM_CORRELATION
    return bool(near and errors <= f.BIT_ERRORS and alike)


def _stored(sound: Sound, seconds: float) -> Sound:
    whole = np.rint(np.clip(sound[: math.floor(seconds * SAMPLE_RATE)], -1, 1) * 32767)
    return (whole / 32767).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="a folder with frames/ and sounds/")
    parser.add_argument("--most", type=int, default=80, help="how many of them are re-encoded in each way")
    chosen = parser.parse_args()
    frames = list(_photographs(chosen.pairs / "frames") if chosen.pairs else _drawn())
    sounds = dict(_recordings(chosen.pairs / "sounds") if chosen.pairs else _synthesised())
    rows = [_hits("frame", name, frames, change, same_frames, chosen.most) for name, change in FRAMES.items()]
    rows += [
        _hits("sound", name, list(sounds.values()), change, same_sounds, chosen.most) for name, change in SOUNDS.items()
    ]
    rows += [_different_frames(frames), _different_sounds(sounds)]
    print(told("leaks", rows))


def _hits(
    what: str, name: str, things: list[T], change: Callable[[T], T], same: Callable[[T, T], bool], most: int
) -> Row:
    some = things[:: max(1, len(things) // most)]
    found = sum(same(thing, change(thing)) for thing in some)
    return Row({"what": what, "against": name, "pairs": len(some), "taken for the same": found})


def _different_frames(frames: list[Image]) -> Row:
    marks = [frame_mark(frame) for frame in frames]
    vectors = np.array([mark for mark, _ in marks])
    small = np.array([thumbnail for _, thumbnail in marks])
    near = [(i, j) for i, j in f.similar(vectors, vectors, f.PHASH_COSINE).tolist() if i < j]
    same = [(i, j) for i, j in near if f.correlations(small[i], small[j : j + 1])[0] >= f.THUMBNAIL_CORRELATION]
    return _of_all("frame", len(frames), len(same), "")


def _different_sounds(sounds: dict[str, Sound]) -> Row:
    names, steps = list(sounds), f.n_steps(SECONDS)
    stored = [_stored(sound, SECONDS) for sound in sounds.values()]
    bits, counts, outlines = map(
        np.array, zip(*(f.sound_hash(sound, SAMPLE_RATE, steps) for sound in stored), strict=True)
    )
    same = []
    for i, j in f.similar(outlines, outlines, f.OUTLINE_COSINE).tolist():
        if i < j and f.error_rates(bits[i], counts[i], bits[j : j + 1], counts[j : j + 1])[0] <= f.BIT_ERRORS:
            alike = f.waveform_correlation(stored[i], stored[j], SAMPLE_RATE)
            if alike >= f.WAVEFORM_CORRELATION:
                same.append(f"{names[i]} = {names[j]} ({alike:.2f})")
    return _of_all("sound", len(names), len(same), "; ".join(same))


def _of_all(what: str, n: int, same: int, names: str) -> Row:
    against = "all others" + (f": {names}" if names else "")
    return Row({"what": what, "against": against, "pairs": n * (n - 1) // 2, "taken for the same": same})


def _photographs(folder: Path) -> Iterator[Image]:
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path))
        if image is not None:
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _recordings(folder: Path) -> Iterator[tuple[str, Sound]]:
    for path in sorted(folder.iterdir()):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        yield path.stem, soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE)


def _drawn(n: int = 200) -> Iterator[Image]:
    for i in range(n):
        yield draw_scene("bell", generator(0, "benchmark", str(i))).frame(0)


def _synthesised(n: int = 200) -> Iterator[tuple[str, Sound]]:
    for i in range(n):
        name = list(KINDS)[i % len(KINDS)]
        sound = clip_sound(KINDS[name].voice, SECONDS, generator(0, "benchmark", str(i)))
        yield f"{name} {i}", soxr.resample(sound.mean(axis=1), RATE, SAMPLE_RATE)


if __name__ == "__main__":
    main()
