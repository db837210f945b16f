import json

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from model import fingerprints
from pipeline import extract
from pipeline.foundation import duplicates, leaks, manifest, shards
from pipeline.foundation.leaks import Leak
from pipeline.foundation.manifest import Clip, read_rejected
from pipeline.foundation.media import Unusable
from pipeline.foundation.params import Extract
from pipeline.foundation.shards import Shard
from tests.samples import greys, real, tone, write_media

SETTINGS = Extract(
    frame_position=0.5, frame_size=32, sample_rate=22_050, seconds=1, cpu_limit=30, max_megapixels=1, shard_clips=4
)


@pytest.fixture
def root(tmp_path):
    write_media(tmp_path / "good.mp4", greys(10), tone(3))
    write_media(tmp_path / "short.mp4", greys(10), tone(0.5))
    write_media(tmp_path / "mute.mp4", greys(10))
    write_media(tmp_path / "silent.mp4", greys(10), np.zeros(44_100, np.float32))
    (tmp_path / "text.mp4").write_text("no video")
    return tmp_path


def clips(*names: str) -> list[Clip]:
    return [Clip(name, media=f"{name}.mp4") for name in names]


def test_a_shard_holds_what_can_be_used_and_names_the_rest(root, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    names = ("good", "mute", "short", "silent", "text")
    assert extract.extract_shard(out, root, clips(*names), SETTINGS) == 3
    frames, waveforms = Shard(out / "frames.h5"), Shard(out / "waveforms.h5")
    assert frames.clip_ids == waveforms.clip_ids == ["good", "short"]
    assert frames.read("good", "frame").shape == (32, 32, 3)
    assert frames.read("good", "size").tolist() == [48, 64]
    assert waveforms.read("good", "waveform").shape == (22_050,)
    assert waveforms.read("good", "waveform").dtype == np.int16
    assert 10_000 < len(waveforms.read("short", "waveform")) < 13_000  # as long as it is, not repeated
    assert (waveforms.attributes["sample_rate"], waveforms.attributes["seconds"]) == (22_050, 1)
    reasons = {r.clip_id: r.reason for r in manifest.read_rejected(out)}
    assert reasons["mute"] == "no audio track"
    assert reasons["silent"] == "digital silence"
    assert reasons["text"].startswith("cannot open")


def test_a_clip_is_the_same_alone_and_in_company(root, tmp_path):
    for name, members in (("alone", ["short"]), ("company", ["good", "mute", "short"])):
        (tmp_path / name).mkdir()
        extract.extract_shard(tmp_path / name, root, clips(*members), SETTINGS)
    for file, dataset in (("frames.h5", "frame"), ("waveforms.h5", "waveform")):
        alone, company = (Shard(tmp_path / name / file).read("short", dataset) for name in ("alone", "company"))
        assert alone.tolist() == company.tolist()


def test_a_photograph_with_a_sound_file(tmp_path):
    Image.fromarray(greys(5, 60, 90)[4]).save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", tone(2), 44_100)
    sample = extract.sample_of(Clip("a", frame="a.png", sound="a.wav"), tmp_path, SETTINGS)
    assert sample.frame.shape == (32, 32, 3)
    assert (sample.frame == 50).all()
    assert sample.size_hw == (60, 90)
    assert len(sample.waveform) == 22_050
    assert np.abs(sample.waveform).max() == pytest.approx(0.5 * 32_767, rel=0.02)


def test_a_photograph_without_a_sound_file(tmp_path):
    Image.fromarray(greys(1)[0]).save(tmp_path / "a.png")
    assert len(extract.sample_of(Clip("a", frame="a.png"), tmp_path, SETTINGS).waveform) == 0  # the source has a vector


def test_a_photograph_with_a_second_of_a_film(tmp_path):
    Image.fromarray(greys(1)[0]).save(tmp_path / "a.png")
    write_media(tmp_path / "film.mp4", greys(3), tone(3))
    clip = Clip("a", frame="a.png", sound="film.mp4", sound_s=1.5)
    assert len(extract.sample_of(clip, tmp_path, SETTINGS).waveform) == 22_050


def test_a_film_with_the_sound_of_another_file(tmp_path):
    write_media(tmp_path / "mute.mp4", greys(20))
    write_media(tmp_path / "loud.mp4", greys(3), tone(3))
    soundfile.write(tmp_path / "low.wav", tone(2, level=0.25), 44_100)
    of_film = extract.sample_of(Clip("a", media="mute.mp4", sound="loud.mp4", frame_s=1.5), tmp_path, SETTINGS)
    assert of_film.frame.mean() == pytest.approx(160, abs=1)
    assert len(of_film.waveform) == 22_050
    of_file = extract.sample_of(Clip("a", media="loud.mp4", sound="low.wav"), tmp_path, SETTINGS)
    assert np.abs(of_file.waveform).max() == pytest.approx(0.25 * 32_767, rel=0.02)


def test_a_clip_says_at_which_second_its_frame_stands(tmp_path):
    write_media(tmp_path / "a.mp4", greys(20), tone(2))
    frame = extract.sample_of(Clip("a", media="a.mp4", frame_s=1.5, sound_s=1), tmp_path, SETTINGS).frame
    assert frame.mean() == pytest.approx(160, abs=1)


def test_limits_come_from_the_parameters(root):
    (clip,) = clips("good")
    with pytest.raises(Unusable, match="extract.max_megapixels"):
        extract.sample_of(clip, root, SETTINGS.model_copy(update={"max_megapixels": 0.001}))
    with pytest.raises(Unusable, match="extract.cpu_limit"):
        extract.sample_of(clip, root, SETTINGS.model_copy(update={"cpu_limit": 0.0}))


def test_small_frames_grow_and_large_ones_are_averaged(tmp_path):
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "fine.png")
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "tiny.png")
    soundfile.write(tmp_path / "a.wav", tone(1), 44_100)
    fine = extract.sample_of(Clip("f", frame="fine.png", sound="a.wav"), tmp_path, SETTINGS).frame
    assert abs(fine.astype(int) - 128).max() <= 1
    tiny = extract.sample_of(Clip("t", frame="tiny.png", sound="a.wav"), tmp_path, SETTINGS).frame
    assert tiny[0, 0, 0] == 0
    assert tiny[0, -1, 0] == 255


def test_nothing_usable_at_all_is_told(project):
    root = project.folder / "videos"
    root.mkdir()
    for i in range(8):
        write_media(root / f"{i}.mp4", greys(3))
    project.set({"worlds": {}, "source": {"root": "videos", "watch": "videos"}})
    project.stage("source")
    done = project.run("python", "-m", "pipeline.extract")
    assert done.returncode == 1
    assert "videos: none of its 8 clips can be used; 0.mp4: no audio track" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_new_clips_touch_no_old_shard(prepared):
    before = prepared.bytes_of("data/frames")
    scratch = prepared.folder / ".scratch/extract"
    finished = {folder: folder.stat().st_mtime_ns for folder in scratch.iterdir()}
    world = prepared.folder / "data/worlds/default"
    write_media(world / "media" / "aaa.mp4", greys(3), tone(1))
    with (world / "clips.csv").open("a") as file:
        file.write("aaa,media/aaa.mp4,train,,drum,0\n")
    prepared.stage("source")
    prepared.stage("extract")
    after = prepared.bytes_of("data/frames")
    full = [name for name in before if name != max(before)]
    assert {name: after[name] for name in full} == {name: before[name] for name in full}
    assert {folder: folder.stat().st_mtime_ns for folder in finished} == finished
    assert len(list(scratch.iterdir())) == len(finished) + 1
    assert Shard(prepared.folder / "data/frames" / max(after)).clip_ids[-1] == "aaa"


def test_a_file_that_changed_is_read_again(prepared):
    shard = prepared.folder / "data/frames/shard-00000.h5"
    first = Shard(shard).clip_ids[0]
    before = Shard(shard).read(first, "frame").tolist()
    write_media(prepared.folder / f"data/worlds/default/media/{first}.mp4", greys(3), tone(1))
    prepared.stage("extract")
    assert Shard(shard).read(first, "frame").tolist() != before


def test_a_listed_file_that_is_not_there_is_rejected(prepared):
    (prepared.folder / "data/worlds/default/media/test-0000.mp4").unlink()
    prepared.stage("extract")
    (rejection,) = read_rejected(prepared.folder / "data/rejected")
    assert (rejection.clip_id, rejection.reason) == ("test-0000", "cannot open: media/test-0000.mp4 is not there")


def with_copy_in_test(project, again: bytes) -> None:
    """Put another encoding of a train clip into test."""
    world = project.folder / "data/worlds/default"
    (world / "media/again.mp4").write_bytes(again)
    with (world / "clips.csv").open("a") as file:
        file.write("again,media/again.mp4,test,,drum,0\n")
    project.stage("source")


def encoded_again(path) -> bytes:
    """A film of half the size, at a worse quality, with its sound encoded anew."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24", width=80, height=80) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])
    out = path.with_name("smaller.mp4")
    write_media(out, frames, 0.5 * sound)
    content = out.read_bytes()
    out.unlink()
    return content


def test_a_film_encoded_again_in_another_split_stops_with_the_list(prepared):
    with_copy_in_test(prepared, encoded_again(prepared.folder / "data/worlds/default/media/train-0001.mp4"))
    done = prepared.run("python", "-m", "pipeline.extract")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "data/worlds/default: 1 clip in two splits at once, 1 by frame, 1 by sound" in done.stderr
    assert "test again is train train-0001 (frame); test again is train train-0001 (sound); " in done.stderr
    expected = {Leak("again", "test", "train-0001", "train", by) for by in ("frame", "sound")}
    assert set(leaks.read(prepared.folder / "data/rejected")) == expected


def test_accepted_leaks_are_counted_in_the_figures(trained):
    with_copy_in_test(trained, encoded_again(trained.folder / "data/worlds/default/media/train-0001.mp4"))
    trained.set({"source": {"accept_leaks": True}})
    for name in ("source", "extract", "propose selective_search", "attend", "listen", "evaluate"):
        done = trained.stage(*name.split())
        assert ("source.accept_leaks" in done.stderr) == (name == "extract")
    figures = json.loads((trained.folder / "data/metrics/eval.json").read_text())
    assert figures["leaks"] == {"id": 0, "video": 0, "frame": 1, "sound": 1}


def test_the_small_world_has_no_leak(prepared):
    assert leaks.read(prepared.folder / "data/source") == leaks.read(prepared.folder / "data/rejected") == []


def test_a_jingle_of_many_clips_names_each_and_compares_few(in_tmp, monkeypatch):
    rng = np.random.default_rng(0)
    jingle = (3000 * rng.normal(size=22_050)).astype(np.int16)
    names = [f"{split}{i}" for split in ("test", "train") for i in range(12)]
    frames = rng.integers(0, 256, (24, 32, 32, 3), np.uint8)
    for folder in ("marks", "sounds"):
        (in_tmp / folder).mkdir()
    duplicates.write(in_tmp / "marks/shard-00000.h5", names, frames, [jingle] * 24, 22_050, 1)
    shards.write_flat(
        in_tmp / "sounds/shard-00000.h5", "extract", names, {"waveform": [jingle] * 24}, sample_rate=22_050
    )
    compared = []
    exact = fingerprints.waveform_correlation
    monkeypatch.setattr(fingerprints, "waveform_correlation", lambda *a: compared.append(1) or exact(*a))
    found = duplicates.leaks(in_tmp / "marks", in_tmp / "sounds", {name: name.rstrip("0123456789") for name in names})
    assert {leak.clip_id for leak in found} | {leak.other_clip_id for leak in found} == set(names)
    assert {leak.by for leak in found} == {"sound"}
    assert len(compared) == 12 + 11


@pytest.mark.real
def test_real_pairs_hold_one_recording_in_two_splits_and_no_photograph(project):
    assert project.run("usol", "preset", "pairs", "--root", str(real("pairs"))).returncode == 0
    project.set({"extract": {"frame_size": 160, "seconds": 5, "shard_clips": 128}, "runtime": {"workers": 2}})
    project.stage("source")
    project.stage("extract")
    assert leaks.read(project.folder / "data/source") == []
    # The same bark, from ESC-10 and from another collection: their waveforms correlate at .98.
    assert {(leak.clip_id, leak.other_clip_id, leak.by) for leak in leaks.read(project.folder / "data/rejected")} == {
        ("003479_dog", "005241_dog", "sound"),
        ("009276_dog", "005241_dog", "sound"),
    }
