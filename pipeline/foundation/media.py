"""Media files: the frame at a time, the sound as one waveform, or the reason why not.

Conventions: frames are (H, W, 3) uint8 RGB, upright; waveforms are mono float32 in [-1, 1]. Everything is decoded by
PyAV (FFmpeg's libraries), stills by Pillow, sound files by libsndfile. Whatever cannot be used raises Unusable.
"""

import itertools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import av
import av.container
import av.stream
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Frame = NDArray[np.uint8]
Waveform = NDArray[np.float32]

# FFmpeg gives their streams the duration of the whole file.
WITHOUT_STREAM_DURATIONS = frozenset({"matroska", "webm", "flv", "live_flv", "asf"})


class Unusable(Exception):  # noqa: N818  (a finding about a file, not an error of ours)
    """A file that yields no frame or no sound, with the reason in words."""


class Budget:
    """CPU seconds that a clip may take, from now on."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._end = time.process_time() + limit_s

    def check(self) -> None:
        """Raise Unusable where they are spent."""
        if time.process_time() > self._end:
            raise Unusable(f"too slow: not decoded within {self._limit_s:g} CPU seconds (extract.cpu_limit)")


@dataclass(frozen=True)
class Limits:
    """What a clip may cost."""

    budget: Budget
    max_pixels: float


@dataclass(frozen=True)
class Still:
    """A frame, and its size (height, width) in square pixels: what it would measure on a screen."""

    frame: Frame
    size_hw: tuple[int, int]


def video_frame(path: Path, position: float, limits: Limits, at_s: float | None = None) -> Still:
    """The frame shown at `position` of the video's duration, or `at_s` into it: the last one that starts no later.

    Found by time, so exact where the frame rate varies; upright, whatever the camera's rotation. A video that ends
    before `at_s` gives its last frame.
    """
    with _opened(path) as container:
        stream = _video_stream(container)
        _check_size(stream.width, stream.height, limits)
        aspect = float(stream.sample_aspect_ratio or 1)
        told = None if at_s is None else _Target.at(stream, at_s)
        target = told or _Target.of(container, stream, position, limits.budget)
        frame = _frame_by_seeking(container, stream, target, limits.budget) if target else None
    if frame is None:
        frame = _frame_by_decoding_all(path, position, target, limits.budget)
    _check_size(frame.width, frame.height, limits)
    return _upright(frame, aspect)


@dataclass(frozen=True)
class _Target:
    """When the wanted frame is shown, and whether the file itself says how long its video is."""

    time_s: float
    tick_s: float
    is_told: bool

    @staticmethod
    def of(
        container: av.container.InputContainer, stream: av.VideoStream, position: float, budget: Budget
    ) -> "_Target | None":
        """None where nothing but decoding all of it tells how long the video is."""
        tick_s = float(stream.time_base or 0)
        start_s = (stream.start_time or 0) * tick_s
        tells = WITHOUT_STREAM_DURATIONS.isdisjoint(container.format.name.split(","))
        if tells and stream.duration and tick_s:
            return _Target(start_s + position * stream.duration * tick_s, tick_s, is_told=True)
        span = _span_by_seeking(container, stream, budget)
        return None if span is None else _Target(span[0] + position * (span[1] - span[0]), tick_s, is_told=False)

    @staticmethod
    def at(stream: av.VideoStream, at_s: float) -> "_Target | None":
        """Seconds into the stream; None where it does not count time."""
        tick_s = float(stream.time_base or 0)
        return _Target((stream.start_time or 0) * tick_s + at_s, tick_s, is_told=False) if tick_s else None

    def is_before(self, time_s: float) -> bool:
        return time_s > self.time_s + 1e-6

    def check_reached(self, last_s: float, last_duration: int | None) -> None:
        """Raise Unusable where the last frame of all ended long before: not a still shown on, but a file cut off."""
        shown_until_s = last_s + (last_duration or 0) * self.tick_s
        if self.is_told and self.time_s - shown_until_s > 1:
            raise Unusable(f"breaks off at {shown_until_s:.1f} s, before its frame at {self.time_s:.1f} s")


def _span_by_seeking(
    container: av.container.InputContainer, stream: av.VideoStream, budget: Budget
) -> tuple[float, float] | None:
    """When the first frame starts and the last one ends, in a file that tells only how long all of it is, as Matroska
    does; None where a seek to its end finds nothing.
    """
    if not container.duration or not stream.time_base:
        return None
    tick_s = float(stream.time_base)

    def times() -> Iterator[tuple[float, float]]:
        for frame in _decoded(container, stream, budget):
            if frame.pts is not None:
                yield frame.time, frame.time + (frame.duration or 0) * tick_s

    first = next(times(), None)
    try:
        container.seek((container.start_time or 0) + container.duration, backward=True)
    except av.FFmpegError:
        return None
    last = max(times(), default=None)
    return None if first is None or last is None else (first[0], last[1])


def _frame_by_seeking(
    container: av.container.InputContainer, stream: av.VideoStream, target: _Target, budget: Budget
) -> av.VideoFrame | None:
    """The last frame that starts no later than the target; None where the seek leads nowhere, or too far."""
    try:
        container.seek(math.floor(target.time_s / target.tick_s), stream=stream, backward=True)
    except av.FFmpegError:
        return None
    last = None
    for frame in _decoded(container, stream, budget):
        if frame.pts is None:
            continue
        if target.is_before(frame.time):
            return last
        last = frame
    if last is not None:
        target.check_reached(last.time, last.duration)
    return last


def _frame_by_decoding_all(path: Path, position: float, target: _Target | None, budget: Budget) -> av.VideoFrame:
    """The same by two passes; without a target, at a position of the time or count of the decoded frames."""
    with _opened(path) as container:
        stream = _video_stream(container)
        tick_s = float(stream.time_base or 0)
        times = [
            (None if frame.pts is None else frame.time, frame.duration) for frame in _decoded(container, stream, budget)
        ]
    known = sorted((time_s, i) for i, (time_s, _) in enumerate(times) if time_s is not None)
    if not times:
        raise Unusable("breaks off: no frame of its video can be decoded")
    if not known:
        index = round(position * (len(times) - 1))
    else:
        first_s, last_s = known[0][0], known[-1][0]
        last_duration = times[known[-1][1]][1]
        if target is None:
            end_s = last_s + (last_duration or 0) * tick_s
            target = _Target(first_s + position * (end_s - first_s), tick_s, is_told=False)
        target.check_reached(last_s, last_duration)
        index = max((pair for pair in known if not target.is_before(pair[0])), default=known[0])[1]
    with _opened(path) as container:
        return next(itertools.islice(_decoded(container, _video_stream(container), budget), index, None))


def _upright(frame: av.VideoFrame, aspect: float) -> Still:
    pixels = frame.to_ndarray(format="rgb24")
    height, width = pixels.shape[:2]
    size = (height, max(1, round(width * aspect)))
    quarters = round(frame.rotation / 90) if abs(frame.rotation) <= 360 else 0  # beyond: a degenerate matrix
    if quarters % 2:
        size = (size[1], size[0])
    return Still(np.ascontiguousarray(np.rot90(pixels, quarters)), size)


def media_waveform(path: Path, sample_rate: int, seconds: float, limits: Limits, start_s: float = 0) -> Waveform:
    """Seconds of the first sound track, from `start_s` of it on: plain mean of its channels, then resampled; shorter if
    it is.
    """
    with _opened(path) as container:
        if not container.streams.audio:
            raise Unusable("no audio track")
        stream = container.streams.audio[0]
        runs: list[tuple[tuple[int, str, int], list[NDArray[Any]]]] = []  # what a sample is may change within a track
        decoded_s = 0.0
        if start_s:
            _seek_sound(container, stream, start_s)
        for frame in _decoded(container, stream, limits.budget):
            if not frame.sample_rate or not frame.samples:
                continue
            samples = _planes(frame)
            if start_s and not runs:
                samples = samples[:, _samples_before(start_s, frame, stream) :]
                if not samples.shape[1]:
                    continue
            kind = (frame.sample_rate, frame.format.name, frame.layout.nb_channels)
            if not runs or runs[-1][0] != kind:
                runs.append((kind, []))
            runs[-1][1].append(samples)
            decoded_s += samples.shape[1] / frame.sample_rate
            if decoded_s >= seconds + 0.1:  # a little more, so that the resampler's edge lies outside
                break
    if not runs:
        what = f"nothing from {start_s:g} s on" if start_s else "none of its sound"
        raise Unusable(f"no audio track: {what} can be decoded")
    parts = []
    for rate, of_rate in itertools.groupby(runs, key=lambda run: run[0][0]):
        mono = [_mono(np.concatenate(samples, axis=1)) for _, samples in of_rate]
        parts.append(_resampled(np.concatenate(mono), rate, sample_rate))
    return _checked(np.concatenate(parts), sample_rate, seconds)


def _seek_sound(container: av.container.InputContainer, stream: av.AudioStream, start_s: float) -> None:
    """Go to the last packet that begins no later; where a file cannot be sought in, all of it is decoded instead."""
    tick_s = float(stream.time_base or 0)
    if tick_s:
        with suppress(av.FFmpegError):
            container.seek(math.floor((stream.start_time or 0) + start_s / tick_s), stream=stream, backward=True)


def _samples_before(start_s: float, frame: av.AudioFrame, stream: av.AudioStream) -> int:
    """How many samples of a decoded frame come before `start_s` of its track."""
    if frame.pts is None:
        return 0
    begin_s = frame.pts * float(frame.time_base or 0) - (stream.start_time or 0) * float(stream.time_base or 0)
    return max(0, round((start_s - begin_s) * frame.sample_rate))


def still_frame(path: Path, limits: Limits) -> Still:
    """A photograph, turned as its EXIF orientation says."""
    try:
        with Image.open(path) as image:
            _check_size(*image.size, limits)
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise Unusable(f"cannot open: {_first_line(error)}") from error
    return Still(pixels, (pixels.shape[0], pixels.shape[1]))


def sound_file_waveform(path: Path, sample_rate: int, seconds: float, limits: Limits, start_s: float = 0) -> Waveform:
    """Seconds of a sound file, or of the sound of a film, from `start_s` on: plain mean of its channels, then
    resampled; shorter if it is.
    """
    if path.suffix[1:].upper() not in soundfile.available_formats():
        return media_waveform(path, sample_rate, seconds, limits, start_s)
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(min(round(start_s * rate), file.frames))
            samples = file.read(math.ceil((seconds + 0.1) * rate), dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise Unusable(f"cannot open: {_first_line(error)}") from error
    if not len(samples):
        where = f"ends before {start_s:g} s" if start_s else "is empty"
        raise Unusable(f"no audio track: the file {where}")
    return _checked(_resampled(samples.mean(axis=1), rate, sample_rate), sample_rate, seconds)


def _checked(waveform: Waveform, sample_rate: int, seconds: float) -> Waveform:
    if not np.isfinite(waveform).all():
        raise Unusable("sound holds values that are no numbers")
    waveform = np.clip(waveform[: round(seconds * sample_rate)], -1, 1)
    if not np.rint(waveform * 32767).any():
        raise Unusable("digital silence")
    return waveform


def _planes(frame: av.AudioFrame) -> NDArray[Any]:
    """(channels, T) in the type that the codec gives."""
    samples = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(frame.samples, -1).T


def _mono(samples: NDArray[Any]) -> Waveform:
    """The plain mean of (channels, T), in [-1, 1]."""
    if samples.dtype == np.uint8:
        scaled = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        scaled = samples.astype(np.float32) / 2 ** (8 * samples.dtype.itemsize - 1)
    else:
        scaled = samples.astype(np.float32)
    return scaled.mean(axis=0)


def _resampled(waveform: Waveform, rate: int, wanted: int) -> Waveform:
    if rate == wanted:
        return waveform
    made = soxr.resample(waveform, rate, wanted, quality="HQ")  # librosa calls the same, after seconds of importing
    return np.pad(made, (0, max(0, math.ceil(len(waveform) * wanted / rate) - len(made))))


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    """An open media file; whatever FFmpeg says against it becomes Unusable."""
    if not path.is_file():
        raise Unusable("cannot open: no such file")
    try:
        # "file:" and the whitelist: a name with a colon is no address, and a playlist reads nothing from a network. Nor
        # is one without an end read again and again for what may be added to it, for 100 s.
        options = {"protocol_whitelist": "file", "max_reload": "0"}
        container = av.open(f"file:{path}", metadata_errors="ignore", options=options)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise Unusable(f"cannot open: {_first_line(error)}") from error
    with container:
        for stream in (*container.streams.video, *container.streams.audio):
            if stream.codec_context is not None:
                stream.codec_context.thread_count = 1  # the workers are the parallelism
        yield container


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    for stream in container.streams.video:
        if stream.codec_context is None:
            raise Unusable("cannot open: its video has a codec that nobody here knows")
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise Unusable("no video: only a cover picture" if container.streams.video else "no video")


@overload
def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream, budget: Budget
) -> Iterator[av.VideoFrame]: ...
@overload
def _decoded(
    container: av.container.InputContainer, stream: av.AudioStream, budget: Budget
) -> Iterator[av.AudioFrame]: ...
def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream, budget: Budget
) -> Iterator[av.VideoFrame] | Iterator[av.AudioFrame]:
    """All frames of a stream that decode; a damaged packet costs its own frames only."""
    packets = container.demux(stream)
    while True:
        budget.check()
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except av.EOFError:
            return
        except av.FFmpegError:
            continue
        yield from frames  # type: ignore[misc]  # a stream gives frames of its own kind


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise Unusable(
            f"too large: {width} x {height} pixels, over {limits.max_pixels / 1e6:g} million (extract.max_megapixels)"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
