"""Videos to measure with: H.264 640 x 360 at 30 frames a second, AAC stereo at 44.1 kHz, made from nothing.

A clip slides over one picture of the small world's kind, or over a photograph of the user's, under a voice of the small
world. Same name, same clip.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.foundation.randomness import generator
from pipeline.worlds.scenes import KINDS, draw_scene
from pipeline.worlds.sounds import RATE, Sound, clip_sound

WIDTH, HEIGHT = 640, 360
FRAMES_PER_SECOND = 30
SLACK = 32  # pixels by which a picture is larger than the frame that slides over it
DIGITS = 9  # of a frame's number, in binary
DIGIT = WIDTH // 16  # pixels: side of a digit that is drawn into a frame

Image = NDArray[np.uint8]


def need_ffmpeg() -> None:
    """Stop in one line where the program that the other side calls is not there."""
    if shutil.which("ffmpeg") is None:
        sys.exit(
            "ffmpeg: no such program here, and this compares with it; install it (Debian, Ubuntu: apt install ffmpeg)"
        )


def scene(name: str) -> Image:
    """(H, W, 3) uint8 RGB: things on a cluttered ground."""
    kinds = list(KINDS)
    rng = generator(0, "benchmark", name)
    return draw_scene(kinds[rng.integers(len(kinds))], rng).frame(0)


def square(image: Image, side: int = 320) -> Image:
    """A picture as the frame of a clip."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def photographs(folder: Path, most: int) -> list[Image]:
    """Up to so many pictures of a folder, in the order of their names; other files are passed over."""
    found = (cv2.imread(str(path)) for path in sorted(folder.iterdir()))
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in found if image is not None][:most]
    if not images:
        sys.exit(f"{folder}: no picture that OpenCV can read; name another folder")
    return images


def voice(name: str, seconds: float) -> Sound:
    """(T, 2) float32 at 44.1 kHz."""
    rng = generator(0, "benchmark sound", name)
    kinds = list(KINDS.values())
    return clip_sound(kinds[rng.integers(len(kinds))].voice, seconds, rng)


def write_clip(path: Path, picture: Image, sound: Sound, *, gop: int, numbered: bool = False) -> None:
    """An mp4 as long as its sound; `gop` frames from one key frame to the next, each told its number if wanted."""
    large = cv2.resize(picture, (WIDTH + SLACK, HEIGHT + SLACK), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "superfast", "crf": "23"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = gop
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=128_000)
        n = round(len(sound) / RATE * FRAMES_PER_SECOND)
        for i in range(n):
            turn = 2 * np.pi * i / n
            x, y = round(SLACK / 2 * (1 + np.sin(turn))), round(SLACK / 2 * (1 + np.cos(turn)))
            pixels = np.ascontiguousarray(large[y : y + HEIGHT, x : x + WIDTH])
            if numbered:
                _draw_number(pixels, i)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="stereo")
        samples.sample_rate = RATE
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def _draw_number(pixels: Image, number: int) -> None:
    for digit in range(DIGITS):
        pixels[:DIGIT, digit * DIGIT : (digit + 1) * DIGIT] = 255 * (number >> digit & 1)


def number_in(frame: Image) -> int:
    """The number that `write_clip` drew into a frame, which may have another size since."""
    height, width = frame.shape[:2]
    y = round(height * DIGIT / 2 / HEIGHT)
    digits = [frame[y, round(width * (digit + 0.5) * DIGIT / WIDTH)].mean() > 127 for digit in range(DIGITS)]
    return sum(1 << digit for digit, is_set in enumerate(digits) if is_set)


def make_clips(folder: Path, n: int, seconds: float, pictures: Sequence[Image] = ()) -> None:
    """Write n clips as videos come from the net (one key frame in 250 frames), of scenes unless pictures are given."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        name = f"clip-{i:05d}"
        picture = pictures[i % len(pictures)] if pictures else scene(name)
        write_clip(folder / f"{name}.mp4", picture, voice(name, seconds), gop=250)
