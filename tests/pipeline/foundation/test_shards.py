import h5py
import numpy as np
import pytest

from pipeline.foundation import shards
from pipeline.foundation.errors import UserError

FRAMES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
SOUNDS = [np.arange(5, dtype=np.int16), np.zeros(0, np.int16), np.arange(100_000, dtype=np.int16)]


def test_stacked_clips_are_read_as_they_were_written(tmp_path):
    shards.write(tmp_path / "shard-00000.h5", "extract", ["a", "b"], {"frame": FRAMES}, unit=0.5)
    shard = shards.Shard(tmp_path / "shard-00000.h5")
    assert shard.clip_ids == ["a", "b"]
    assert shard.read("b", "frame").tolist() == FRAMES[1].tolist()
    assert (shard.attributes["stage"], shard.attributes["unit"]) == ("extract", 0.5)
    shard.verify()


def test_flat_clips_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "shard-00000.h5"
    shards.write_flat(path, "extract", ["a", "b", "c"], {"waveform": SOUNDS})
    shard = shards.Shard(path)
    for clip_id, sound in zip(shard.clip_ids, SOUNDS, strict=True):
        assert shard.read(clip_id, "waveform").tolist() == sound.tolist()
    shard.verify()


def test_a_shard_without_clips(tmp_path):
    shards.write_flat(tmp_path / "shard-00000.h5", "x", [], {"waveform": []})
    shards.write(tmp_path / "shard-00001.h5", "x", [], {"frame": FRAMES[:0]})
    assert shards.Shards(tmp_path).clip_ids == []


def test_equal_work_gives_equal_bytes(tmp_path):
    for name in ("one", "two"):
        shards.write(tmp_path / name, "x", ["a", "b"], {"frame": FRAMES, "box": np.ones((2, 4), np.int16)}, unit=1.0)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("clip_ids", "arrays", "attributes"),
    [
        (["a", "c"], {"frame": FRAMES}, {"unit": 1.0}),
        (["a", "b"], {"frame": FRAMES + 1}, {"unit": 1.0}),
        (["a", "b"], {"other": FRAMES}, {"unit": 1.0}),
        (["a", "b"], {"frame": FRAMES.astype(np.int16)}, {"unit": 1.0}),
        (["a", "b"], {"frame": FRAMES}, {"unit": 2.0}),
    ],
)
def test_the_checksum_sees_every_change(tmp_path, clip_ids, arrays, attributes):
    shards.write(tmp_path / "a.h5", "x", ["a", "b"], {"frame": FRAMES}, unit=1.0)
    shards.write(tmp_path / "b.h5", "x", clip_ids, arrays, **attributes)
    assert shards.Shard(tmp_path / "a.h5").checksum != shards.Shard(tmp_path / "b.h5").checksum


def test_a_folder_is_one_mapping_in_shard_order(tmp_path):
    shards.write(tmp_path / shards.shard_name(1), "x", ["a"], {"frame": FRAMES[:1]})
    shards.write(tmp_path / shards.shard_name(0), "x", ["c", "b"], {"frame": FRAMES})
    folder = shards.Shards(tmp_path)
    assert folder.clip_ids == ["c", "b", "a"]
    assert "b" in folder
    assert "x" not in folder
    assert folder.stack(["a", "b"], "frame").tolist() == [FRAMES[0].tolist(), FRAMES[1].tolist()]


def test_many_shards_need_few_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_OPEN", 2)
    for i in range(5):
        shards.write(tmp_path / shards.shard_name(i), "x", [f"c{i}"], {"n": np.array([i])})
    folder = shards.Shards(tmp_path)
    for _ in range(2):
        assert [int(folder.read(f"c{i}", "n")) for i in range(5)] == [0, 1, 2, 3, 4]
    assert sum(shard._file is not None for shard in folder.shards) == 2


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no shards here; run `dvc repro`"):
        shards.Shards(tmp_path)


def test_damage_is_found_when_it_is_read(tmp_path):
    path = tmp_path / "shard-00000.h5"
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    shards.write(path, "x", ["a", "b"], {"frame": noise})
    content = bytearray(path.read_bytes())
    place = content.find(noise[1].tobytes()[:64])
    content[place + 10] ^= 1
    path.write_bytes(content)
    shard = shards.Shard(path)
    assert shard.read("a", "frame").tolist() == noise[0].tolist()
    with pytest.raises(UserError, match=r"shard-00000\.h5: missing or damaged .*frame of b"):
        shard.read("b", "frame")


def test_a_changed_attribute_is_found_when_all_is_verified(tmp_path):
    path = tmp_path / "shard-00000.h5"
    shards.write(path, "x", ["a", "b"], {"frame": FRAMES}, unit=1.0)
    with h5py.File(path, "a") as file:
        file.attrs["unit"] = 2.0
    with pytest.raises(UserError, match="does not match its checksum"):
        shards.Shard(path).verify()


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all"])
def test_a_file_that_is_no_shard_is_named(tmp_path, content):
    (tmp_path / "shard-00000.h5").write_bytes(content)
    with pytest.raises(UserError, match=r"shard-00000\.h5: missing or damaged"):
        shards.Shard(tmp_path / "shard-00000.h5")


def test_a_truncated_shard_is_named(tmp_path):
    path = tmp_path / "shard-00000.h5"
    shards.write(path, "x", ["a", "b"], {"frame": FRAMES})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="missing or damaged"):
        shards.Shard(path).verify()


def test_fingerprints_differ_with_every_part():
    assert shards.fingerprint("a", {"x": 1, "y": 2}) == shards.fingerprint("a", {"y": 2, "x": 1})
    assert len({shards.fingerprint(*parts) for parts in (["a", 1], ["a", "1"], ["a1"], [["a"], 1])}) == 4


def test_publishing_links_and_removes_what_is_not_named(tmp_path):
    finished, out = tmp_path / "finished.h5", tmp_path / "out"
    finished.write_text("x")
    (out / "old").mkdir(parents=True)
    (out / "old" / "gone.h5").write_text("y")
    shards.publish({"a/shard.h5": finished}, out)
    shards.publish({"a/shard.h5": finished}, out)
    assert [p.relative_to(out).as_posix() for p in out.rglob("*")] == ["a", "a/shard.h5"]
    assert (out / "a" / "shard.h5").samefile(finished)


def test_publishing_replaces_a_file_without_touching_the_old_one(tmp_path):
    old, new, out = tmp_path / "old", tmp_path / "new", tmp_path / "out"
    old.write_text("old")
    new.write_text("new")
    shards.publish({"s": old}, out)
    old.chmod(0o444)  # as DVC leaves it
    shards.publish({"s": new}, out)
    assert (old.read_text(), (out / "s").read_text()) == ("old", "new")


def test_publishing_copies_where_linking_fails(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("another file system")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "a").write_text("x")
    shards.publish({"a": tmp_path / "a"}, tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "x"


def test_a_closed_shard_is_opened_again_when_it_is_read(tmp_path):
    shards.write(tmp_path / "shard-00000.h5", "x", ["a", "b"], {"frame": FRAMES})
    shard = shards.Shard(tmp_path / "shard-00000.h5")
    shard.read("a", "frame")
    shard.close()
    assert shard.read("a", "frame").tolist() == FRAMES[0].tolist()
