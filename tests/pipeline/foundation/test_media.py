import csv
import math
import socket
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from pipeline.foundation import media
from pipeline.foundation.media import Budget, Limits, Unusable
from tests.samples import greys, real, tone, write_media

LIMITS = Limits(Budget(3000), max_pixels=1e6)
RATE = 22_050


def grey_of(still: media.Still) -> int:
    """The number of a frame of `greys`."""
    return round(float(still.frame.mean()) / 10) - 1


def reason(function, *arguments) -> str:
    with pytest.raises(Unusable) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(("position", "index"), [(0, 0), (0.05, 0), (0.1, 1), (0.5, 5), (0.55, 5), (0.95, 9), (1, 9)])
def test_the_frame_shown_at_a_position(tmp_path, position, index):
    path = write_media(tmp_path / "a.mp4", greys(10), tone(1))
    assert grey_of(media.video_frame(path, position, LIMITS)) == index


def test_at_a_variable_frame_rate_time_counts_and_not_the_index(tmp_path):
    times = [0, 100, 200, 300, 400, 500, 600, 700, 3000, 4000]
    path = write_media(tmp_path / "a.mp4", greys(10), times_ms=times)
    middle = media.video_frame(path, 0.5, LIMITS)
    assert grey_of(middle) == 7  # shown from .7 s to 3 s; the middle by index would be 5


@pytest.mark.parametrize("ending", ["mkv", "avi", "mov", "ts"])
def test_other_containers(tmp_path, ending):
    path = write_media(tmp_path / f"a.{ending}", greys(10), tone(1))
    assert abs(grey_of(media.video_frame(path, 0.5, LIMITS)) - 5) <= 1  # a transport stream begins with its sound
    assert len(media.media_waveform(path, RATE, 20, LIMITS)) == pytest.approx(RATE, rel=0.1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_frame_is_turned_upright(tmp_path, degrees):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:24, :32] = 255  # white in the upper left
    stored = np.ascontiguousarray(np.rot90(upright, -degrees // 90))
    path = write_media(tmp_path / "a.mp4", [stored] * 3, rotation=degrees)
    still = media.video_frame(path, 0.5, LIMITS)
    assert still.frame.shape == (48, 64, 3)
    assert still.size_hw == (48, 64)
    assert still.frame[:20, :28].min() > 200
    assert still.frame[28:, 36:].max() < 50


def test_the_size_counts_pixels_that_are_not_square(tmp_path):
    path = write_media(tmp_path / "a.mp4", greys(3), aspect=Fraction(3, 2))
    still = media.video_frame(path, 0.5, LIMITS)
    assert still.frame.shape == (48, 64, 3)
    assert still.size_hw == (48, 96)


def test_sound_is_the_plain_mean_of_its_channels_resampled(tmp_path):
    both = np.stack([tone(2, level=0.6), tone(2, level=0.2)], axis=1)
    path = write_media(tmp_path / "a.mp4", None, both)
    waveform = media.media_waveform(path, RATE, 20, LIMITS)
    inner = waveform[2000:40_000]
    assert waveform.dtype == np.float32
    assert len(waveform) == pytest.approx(2 * RATE, abs=1024)
    assert np.sqrt(2 * np.mean(inner**2)) == pytest.approx(0.4, abs=0.01)
    crossings = np.count_nonzero(np.diff(np.signbit(inner)))
    assert crossings / 2 / (len(inner) / RATE) == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_any_rate_becomes_the_wanted_one(tmp_path, rate):
    path = write_media(tmp_path / "a.mp4", None, tone(1, rate), rate=rate)
    assert len(media.media_waveform(path, RATE, 20, LIMITS)) == pytest.approx(RATE, rel=0.2)  # AAC adds a frame


def test_sound_is_cut_to_its_first_seconds(tmp_path):
    path = write_media(tmp_path / "a.mp4", greys(30), tone(3))
    assert len(media.media_waveform(path, RATE, 1.5, LIMITS)) == 1.5 * RATE


def test_one_second_of_sound_is_the_same_in_a_longer_file(tmp_path):
    sound = tone(3, hz=700)
    short = write_media(tmp_path / "a.mkv", None, sound)
    long = write_media(tmp_path / "b.mkv", None, np.concatenate([sound, tone(5, hz=100)]))
    a, b = (media.media_waveform(path, RATE, 1, LIMITS) for path in (short, long))
    assert a == pytest.approx(b, abs=1e-3)


def test_reasons_why_not(tmp_path):
    silent = write_media(tmp_path / "silent.mp4", greys(3), np.zeros(44_100, np.float32))
    no_sound = write_media(tmp_path / "no_sound.mp4", greys(3))
    no_video = write_media(tmp_path / "no_video.mp4", None, tone(1))
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert reason(media.media_waveform, silent, RATE, 20, LIMITS) == "digital silence"
    assert reason(media.media_waveform, no_sound, RATE, 20, LIMITS) == "no audio track"
    assert reason(media.video_frame, no_video, 0.5, LIMITS) == "no video"
    for path in (text, empty, tmp_path / "missing.mp4", tmp_path):
        assert reason(media.video_frame, path, 0.5, LIMITS).startswith("cannot open: ")


def test_a_file_that_breaks_off_is_told(tmp_path):
    noise = [np.random.default_rng(i).integers(0, 256, (48, 64, 3)).astype(np.uint8) for i in range(40)]
    whole = write_media(tmp_path / "whole.mp4", noise, options={"movflags": "+faststart"}).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    assert media.video_frame(cut, 0.1, LIMITS).frame.shape == (48, 64, 3)
    assert reason(media.video_frame, cut, 0.9, LIMITS).startswith("breaks off at ")
    cut.write_bytes(whole[:3000])  # the index alone
    assert reason(media.video_frame, cut, 0.5, LIMITS) == "breaks off: no frame of its video can be decoded"


def test_a_frame_that_is_too_large_is_refused_before_it_is_decoded(tmp_path):
    path = write_media(tmp_path / "a.mp4", greys(3))
    told = reason(media.video_frame, path, 0.5, Limits(Budget(30), 64 * 48 - 1))
    assert told == "too large: 64 x 48 pixels, over 0.003071 million (extract.max_megapixels)"


def test_a_file_that_takes_too_long_is_refused(tmp_path):
    path = write_media(tmp_path / "a.mp4", greys(3), tone(1))
    assert reason(media.video_frame, path, 0.5, Limits(Budget(0), 1e6)).startswith(
        "too slow: not decoded within 0 CPU seconds"
    )
    assert reason(media.media_waveform, path, RATE, 1, Limits(Budget(0), 1e6)).startswith("too slow")


@pytest.mark.parametrize("name", ["-dash.mp4", "a:b.mp4", "te[s]t '%d'.mp4", "ünï.mp4", "pipe:0.mp4"])
def test_awkward_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_media(tmp_path / "plain.mp4", greys(3)).rename(tmp_path / name)
    assert grey_of(media.video_frame(Path(name), 0, LIMITS)) == 0


def test_a_playlist_reads_no_network_and_is_not_waited_for(tmp_path):
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        for name in ("a.m3u8", "a.mp4"):
            (tmp_path / name).write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n")
            assert reason(media.video_frame, tmp_path / name, 0.5, LIMITS)
        with pytest.raises(TimeoutError):
            server.accept()
    assert time.monotonic() - began < 50  # it has no end: FFmpeg would look 100 times, a second apart, for more


@pytest.mark.parametrize(("first_ms", "expected"), [(0, 5), (5000, 5)])
def test_a_container_that_tells_only_its_own_length_is_asked_for_the_video_s(tmp_path, first_ms, expected):
    times = [first_ms + 100 * i for i in range(10)]
    write_media(tmp_path / "a.mkv", greys(10), tone(9), times_ms=times)
    assert grey_of(media.video_frame(tmp_path / "a.mkv", 0.5, LIMITS)) == expected


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_samples_of_every_width_are_as_loud(tmp_path, subtype):
    sound = np.stack([tone(1, RATE), np.zeros(RATE, np.float32)], axis=1)  # packed, left and right
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype=subtype)
    heard = media.media_waveform(tmp_path / "a.wav", RATE, 1, LIMITS)
    assert np.abs(heard - sound.mean(axis=1)).max() < 0.01


def test_a_photograph_is_turned_as_its_exif_says(tmp_path):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32] = 255
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(tmp_path / "a.png", exif=exif)
    still = media.still_frame(tmp_path / "a.png", LIMITS)
    assert still.frame.tolist() == pixels.tolist()
    assert still.size_hw == (48, 64)


def test_photographs_that_cannot_be_used(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff no")
    assert reason(media.still_frame, tmp_path / "a.jpg", LIMITS).startswith("cannot open: ")
    Image.new("RGB", (2000, 1000)).save(tmp_path / "b.png")
    assert reason(media.still_frame, tmp_path / "b.png", LIMITS).startswith("too large: 2000 x 1000")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3)).astype(np.uint8)).save(tmp_path / "c.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:500])
    assert reason(media.still_frame, tmp_path / "c.png", LIMITS).startswith("cannot open: ")


def test_sound_files(tmp_path):
    stereo = np.stack([tone(1, level=0.6), tone(1, level=0.2)], axis=1)
    soundfile.write(tmp_path / "a.flac", stereo, 44_100)
    waveform = media.sound_file_waveform(tmp_path / "a.flac", RATE, 0.5, LIMITS)
    assert len(waveform) == RATE // 2
    assert math.sqrt(2 * float(np.mean(waveform[1000:-1000] ** 2))) == pytest.approx(0.4, abs=0.01)


def test_sound_files_that_cannot_be_used(tmp_path):
    (tmp_path / "a.wav").write_text("no")
    assert reason(media.sound_file_waveform, tmp_path / "a.wav", RATE, 1, LIMITS).startswith("cannot open: ")
    soundfile.write(tmp_path / "b.wav", np.zeros(100), RATE)
    assert reason(media.sound_file_waveform, tmp_path / "b.wav", RATE, 1, LIMITS) == "digital silence"
    soundfile.write(tmp_path / "c.wav", np.zeros(0), RATE)
    assert reason(media.sound_file_waveform, tmp_path / "c.wav", RATE, 1, LIMITS).startswith("no audio track")
    soundfile.write(tmp_path / "d.wav", np.full(100, np.nan), RATE, subtype="FLOAT")
    assert (
        reason(media.sound_file_waveform, tmp_path / "d.wav", RATE, 1, LIMITS)
        == "sound holds values that are no numbers"
    )


OUTCOMES = {
    "cannot open": "broken",
    "breaks off": "broken",
    "no video": "no video",
    "no audio": "no audio",
    "digital silence": "silent",
}


def outcome(path: Path) -> str:
    """What becomes of a file, in the words of videos.csv."""
    limits = Limits(Budget(60), 64e6)
    try:
        media.video_frame(path, 0.5, limits)
        media.media_waveform(path, RATE, 20, limits)
    except Unusable as error:
        return next(word for told, word in OUTCOMES.items() if str(error).startswith(told))
    return "clip"


@pytest.mark.real
@pytest.mark.slow
def test_every_real_video_has_the_outcome_that_is_known_of_it():
    folder = real("videos")
    with (folder / "videos.csv").open() as file:
        known = list(csv.DictReader(file))
    found = {row["file"]: outcome(folder / row["file"]) for row in known}
    assert len(found) == 152
    assert [row["file"] for row in known if found[row["file"]] not in (row["expected"], row["also_ok"])] == []


def test_a_frame_at_a_second_of_the_video(tmp_path):
    path = write_media(tmp_path / "a.mp4", greys(20), tone(2))  # 10 frames a second
    assert media.video_frame(path, 0.5, LIMITS, 0.31).frame.mean() == pytest.approx(40, abs=1)
    assert media.video_frame(path, 0.5, LIMITS, 0.0).frame.mean() == pytest.approx(10, abs=1)
    assert media.video_frame(path, 0.5, LIMITS, 60.0).frame.mean() == pytest.approx(
        200, abs=1
    )  # it ends before: its last


@pytest.mark.parametrize("ending", ["mp4", "mkv", "wav", "flac"])
def test_sound_from_a_second_on(tmp_path, ending):
    sound = np.concatenate([tone(1, hz=300), tone(1, hz=1000)])
    if ending in ("wav", "flac"):
        path = tmp_path / f"a.{ending}"
        soundfile.write(path, sound, 44_100)
    else:
        path = write_media(tmp_path / f"a.{ending}", greys(20), sound)
    for read in (media.media_waveform, media.sound_file_waveform):
        waveform = read(path, RATE, 0.5, LIMITS, 1.2)
        assert len(waveform) == 0.5 * RATE
        strongest = np.abs(np.fft.rfft(waveform)).argmax() / 0.5
        assert strongest == pytest.approx(1000, abs=4)
        before = read(path, RATE, 20, LIMITS, 0.9)
        assert len(before) == pytest.approx(1.1 * RATE, abs=0.05 * RATE)
        assert np.abs(np.fft.rfft(before[: round(0.09 * RATE)])).argmax() / 0.09 == pytest.approx(300, abs=12)
        assert "9 s" in reason(read, path, RATE, 1, LIMITS, 9.0)
