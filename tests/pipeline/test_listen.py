import numpy as np
import pytest

from pipeline import listen
from pipeline.foundation import probe_sounds, shards


def wave(hz: float, seconds: float, level: float = 1.0, rate: int = 22_050) -> np.ndarray:
    return np.rint(level * 32_767 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def test_a_short_sound_is_repeated_in_whole_copies_and_cut():
    assert listen.filled(np.array([1, 2, 3], np.int16), 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert listen.filled(np.array([1, 2, 3], np.int16), 2).tolist() == [1, 2]


def test_a_tone_stands_in_its_band():
    low, high = (listen.logmel(wave(hz, 1), 22_050) for hz in (200, 5000))
    assert low.shape == (64, 44)
    assert low.dtype == np.float16
    assert low.mean(axis=1).argmax() < 10
    assert high.mean(axis=1).argmax() > 40


def test_decibels():
    loud, soft = (listen.logmel(wave(1000, 1, level), 22_050).astype(float) for level in (1.0, 0.1))
    band = loud.mean(axis=1).argmax()
    assert (loud - soft)[band].mean() == pytest.approx(20, abs=0.1)
    assert listen.logmel(np.zeros(22_050, np.int16), 22_050).max() == -100


def test_every_clip_of_a_shard_has_as_many_columns(tmp_path):
    sounds = {"waveform": [wave(300, 0.2), wave(300, 1.0)]}
    shards.write_flat(tmp_path / "w.h5", "extract", ["a", "b"], sounds, sample_rate=22_050, seconds=1.0)
    listen.logmel_shard(tmp_path, tmp_path / "w.h5")
    shard = shards.Shard(tmp_path / "sounds.h5")
    assert shard.read("a", "logmel").shape == shard.read("b", "logmel").shape == (64, 44)


def test_silence_and_noise_go_through_the_same_front_end(tmp_path):
    listen.probe_shard(tmp_path, 22_050, 1.0)
    shard = shards.Shard(tmp_path / "sounds.h5")
    assert shard.clip_ids == [probe_sounds.SILENCE, *probe_sounds.NOISES]
    silence, noise, other = (shard.read(name, "logmel") for name in ("silence", "noise-00", "noise-01"))
    assert silence.shape == noise.shape == (64, 44)
    assert (silence == -100).all()
    assert noise.mean(axis=1).min() > 0  # louder than a full-scale sine in any band
    assert (noise != other).any()
    again = tmp_path / "again"
    again.mkdir()
    listen.probe_shard(again, 22_050, 1.0)
    assert (again / "sounds.h5").read_bytes() == (tmp_path / "sounds.h5").read_bytes()


def test_a_clip_always_gets_the_same_noise():
    assert probe_sounds.noise_for("a") == probe_sounds.noise_for("a")
    assert {probe_sounds.noise_for(str(i)) for i in range(200)} == set(probe_sounds.NOISES)


def test_the_source_s_vectors_are_joined_by_clip(tmp_path):
    sounds = {"waveform": [wave(300, 0.2)] * 2}
    shards.write_flat(tmp_path / "w.h5", "extract", ["b", "a"], sounds, sample_rate=22_050, seconds=1.0)
    vectors = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    shards.write(tmp_path / "vectors.h5", "source", ["a", "b", "c"], {"vector": vectors})
    listen.vector_shard(tmp_path, tmp_path / "w.h5", tmp_path / "vectors.h5")
    shard = shards.Shard(tmp_path / "sounds.h5")
    assert shard.clip_ids == ["b", "a"]
    assert shard.read("b", "vector").tolist() == [3, 4]


def test_shards_without_clips(tmp_path):
    shards.write_flat(tmp_path / "w.h5", "extract", [], {"waveform": []}, sample_rate=22_050, seconds=1.0)
    listen.logmel_shard(tmp_path, tmp_path / "w.h5")
    assert shards.Shard(tmp_path / "sounds.h5").clip_ids == []


def test_vectors_that_the_source_does_not_bring_are_told(prepared):
    prepared.set({"source": {"name": "pairs"}, "listen": {"features": "vectors"}, "train": {"audio": "vectors"}})
    done = prepared.run("python", "-m", "pipeline.listen")
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: listen.features: 'vectors', but the source brought none")
