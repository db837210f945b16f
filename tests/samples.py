"""Tiny real files, and where larger ones lie."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.foundation.params import Source

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"


def real(folder: str) -> Path:
    """A folder of real data that lies beside the project; skips where it is absent."""
    path = REAL / folder
    if not path.is_dir():
        pytest.skip(f"no real data at ../shared/real/{folder}")
    return path


def source_of(root: Path, name: str = "folder", **changes: object) -> Source:
    """The parameters of a source: no list, no count, a tenth of the groups in val and two in test."""
    lists = dict.fromkeys(("train_list", "test_list", "silent_list", "train_clips", "test_clips"))
    values = {
        "root": str(root),
        "watch": str(root),
        "val_share": 0.1,
        "test_share": 0.2,
        "accept_leaks": False,
        "seed": 0,
        **lists,
    }
    return Source(name=name, **{**values, **changes})


def tone(seconds: float, rate: int = 44_100, hz: float = 440, level: float = 0.5) -> np.ndarray:
    """(T,) float32 of a sine."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def greys(n: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """n frames, each of one grey that tells its number: 10, 20, 30 ... 240, 10 ..."""
    return [np.full((height, width, 3), 10 * (i % 24 + 1), np.uint8) for i in range(n)]


def write_media(
    path: Path,
    frames: list[np.ndarray] | None = None,
    sound: np.ndarray | None = None,
    *,
    fps: int = 10,
    times_ms: list[int] | None = None,
    rate: int = 44_100,
    rotation: int = 0,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A real media file: `frames` (H, W, 3) uint8 at `fps` or at the given times; `sound` (T,) or (T, 2) float32."""
    with av.open(str(path), "w", options=options or {}) as container:
        video = audio = None
        if frames is not None:
            video = container.add_stream("libx264", rate=fps, options={"crf": "1", "preset": "ultrafast"})
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = "yuv420p"
            video.codec_context.gop_size = 5
            if aspect is not None:
                video.codec_context.sample_aspect_ratio = aspect
            if times_ms is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                video.set_display_rotation(rotation)
        if sound is not None:
            layout = "stereo" if sound.ndim == 2 else "mono"
            audio = container.add_stream("aac", rate=rate, layout=layout)
        for i, pixels in enumerate(frames or []):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[i], Fraction(1, 1000)
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        if audio is not None:
            samples = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(np.atleast_2d(sound.T)), format="fltp", layout=layout
            )
            samples.sample_rate = rate
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path
