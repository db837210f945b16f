import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model.networks.soundnet import SoundNet
from model.networks.yamnet import YAMNet
from pipeline import listen
from pipeline.foundation import probe_sounds, shards
from pipeline.foundation.errors import UserError
from pipeline.foundation.hearing import FrontEnd, front_end_of, hear, network_of
from pipeline.foundation.params import Listen, Runtime
from tests.samples import ROOT
from tests.weights import random_weights, soundnet_npy


def wave(hz: float, seconds: float, level: float = 1.0, rate: int = 22_050) -> np.ndarray:
    return np.rint(level * 32_767 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


LOGMEL = FrontEnd("logmel", 22_050, 1.0, None, None)


def written(path: Path, sounds: dict[str, np.ndarray], seconds: float = 1.0) -> Path:
    """A shard of waveforms at 22 050 Hz."""
    rows = {"waveform": list(sounds.values())}
    shards.write_flat(path, "extract", list(sounds), rows, sample_rate=22_050, seconds=seconds)
    return path


def test_every_clip_of_a_shard_has_as_many_columns(tmp_path):
    waveforms = written(tmp_path / "w.h5", {"a": wave(300, 0.2), "b": wave(300, 1.0)})
    listen.sound_shard(tmp_path, waveforms, LOGMEL, None)
    shard = shards.Shard(tmp_path / "sounds.h5")
    assert shard.read("a", "logmel").shape == shard.read("b", "logmel").shape == (64, 44)


def test_a_shard_names_its_front_end(tmp_path):
    listen.sound_shard(tmp_path, written(tmp_path / "w.h5", {"a": wave(300, 1)}), LOGMEL, None)
    named = json.loads(shards.Shard(tmp_path / "sounds.h5").attributes["front_end"])
    assert FrontEnd(**named) == LOGMEL


def test_silence_and_noise_go_through_the_same_front_end(tmp_path):
    listen.probe_shard(tmp_path, LOGMEL, None)
    shard = shards.Shard(tmp_path / "sounds.h5")
    assert shard.clip_ids == [probe_sounds.SILENCE, *probe_sounds.NOISES]
    silence, noise, other = (shard.read(name, "logmel") for name in ("silence", "noise-00", "noise-01"))
    assert silence.shape == noise.shape == (64, 44)
    assert (silence == -100).all()
    assert noise.mean(axis=1).min() > 0  # louder than a full-scale sine in any band
    assert (noise != other).any()
    again = tmp_path / "again"
    again.mkdir()
    listen.probe_shard(again, LOGMEL, None)
    assert (again / "sounds.h5").read_bytes() == (tmp_path / "sounds.h5").read_bytes()


def test_a_clip_always_gets_the_same_noise():
    assert probe_sounds.noise_for("a") == probe_sounds.noise_for("a")
    assert {probe_sounds.noise_for(str(i)) for i in range(200)} == set(probe_sounds.NOISES)


def test_the_source_s_vectors_are_joined_by_clip(tmp_path):
    waveforms = written(tmp_path / "w.h5", {"b": wave(300, 0.2), "a": wave(300, 0.2)})
    vectors = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    shards.write(tmp_path / "vectors.h5", "source", ["a", "b", "c"], {"vector": vectors})
    listen.vector_shard(tmp_path, waveforms, tmp_path / "vectors.h5", replace(LOGMEL, features="vectors"))
    shard = shards.Shard(tmp_path / "sounds.h5")
    assert shard.clip_ids == ["b", "a"]
    assert shard.read("b", "vector").tolist() == [3, 4]


def test_shards_without_clips(tmp_path):
    listen.sound_shard(tmp_path, written(tmp_path / "w.h5", {}), LOGMEL, None)
    assert shards.Shard(tmp_path / "sounds.h5").clip_ids == []


def test_vectors_that_the_source_does_not_bring_are_told(prepared):
    prepared.set({"source": {"name": "pairs"}, "listen": {"features": "vectors"}, "train": {"audio": "vectors"}})
    done = prepared.run("python", "-m", "pipeline.listen")
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: listen.features: 'vectors', but the source brought none")


ALONE = Runtime(engine="joblib", workers=1, scheduler=None, device="cpu")


@pytest.mark.parametrize(("features", "size"), [("yamnet_scores", 521), ("yamnet_embedding", 1024)])
def test_clips_silence_and_noise_are_heard_through_yamnet(in_tmp, features, size):
    save_file(random_weights(YAMNet()), "yamnet.safetensors")
    waveforms = in_tmp / "waveforms"
    waveforms.mkdir()
    sounds = {"a": wave(300, 0.4), "b": wave(900, 2.0)}
    written(waveforms / "shard-00000.h5", sounds, 2.0)
    settings = Listen(features=features, weights="yamnet.safetensors", peak=None)
    listen.listen(settings, waveforms, in_tmp / "sounds", ALONE)
    stored = shards.Shards(in_tmp / "sounds")
    front_end = FrontEnd(**json.loads(stored.attributes["front_end"]))
    network = network_of(front_end, Path("yamnet.safetensors"))
    for clip_id, sound in sounds.items():
        assert (stored.read(clip_id, "vector") == hear(sound, front_end, network)).all()
    probes = shards.Shard(in_tmp / "sounds" / probe_sounds.FILE)
    assert probes.read_all("vector").shape == (17, size)
    assert probes.read_all("vector").dtype == np.float32
    assert (probes.read("noise-00", "vector") != probes.read("noise-01", "vector")).any()


def test_a_clip_is_heard_through_soundnet_as_its_layers_say(in_tmp):
    weights = random_weights(SoundNet())
    np.save("sound8.npy", np.array(soundnet_npy(weights), dtype=object), allow_pickle=True)
    settings = Listen(features="soundnet", weights="sound8.npy", peak=None)
    front_end = front_end_of(settings, 22_050, 9.5)
    heard = hear(sound := wave(440, 4), front_end, network_of(front_end, Path("sound8.npy")))
    network = SoundNet()
    network.load_state_dict(weights)
    filled = np.concatenate([sound] * 3)[: round(9.5 * 22_050)] / np.float32(32_767)
    with torch.inference_mode():
        expected = network(torch.from_numpy(filled)[None]).mean(dim=2)[0].numpy()
    assert np.allclose(heard, expected, atol=1e-4 * np.abs(expected).max())
    converted = next(Path(".scratch/weights").iterdir())
    assert converted.name.startswith("SoundNet-")
    before = converted.stat().st_mtime_ns
    network_of(front_end, Path("sound8.npy"))
    assert converted.stat().st_mtime_ns == before


@pytest.mark.parametrize("what", ["missing", "another"])
def test_weights_that_are_no_yamnet_are_told(in_tmp, what):
    if what == "another":
        save_file({"a": torch.zeros(1)}, "w.safetensors")
    settings = Listen(features="yamnet_scores", weights="w.safetensors", peak=None)
    told = {"missing": "does not exist; put the file there", "another": r"is no YAMNet \(no tensor layer1.conv.weight"}
    with pytest.raises(UserError, match=f"params.yaml: listen.weights: w.safetensors {told[what]}"):
        network_of(front_end_of(settings, 22_050, 3), Path("w.safetensors"))


def test_listening_to_logmel_does_without_torch():
    code = (
        "import sys, numpy as np; from pipeline import listen; from pipeline.foundation import hearing; "
        "hearing.hear(np.ones(22050, np.int16), hearing.FrontEnd('logmel', 22050, 1.0, None, None), None); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
