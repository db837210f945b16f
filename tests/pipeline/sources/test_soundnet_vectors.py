from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources.reading import Unusable
from pipeline.sources.soundnet_vectors import VectorReader, vector_of
from tests.samples import real

VECTOR = np.arange(1000, dtype=np.float32) / 7


def saved(path: Path, content: dict, **options: bool) -> Path:
    scipy.io.savemat(path, content, **options)
    return path


@pytest.mark.parametrize(
    "content",
    [
        {"x": VECTOR},
        {"a_feature": VECTOR.reshape(1, 1000, 1, 1)},
        {"data_1": {"values": VECTOR, "other": np.zeros(3)}},
        {"conv8": VECTOR[:, None], "names": "text", "n": 3.0, "gt20": np.zeros((20, 20, 3))},
        {"x": VECTOR, "y": VECTOR + 1},
    ],
)
@pytest.mark.parametrize("do_compression", [False, True])
def test_a_vector_is_found_by_its_key_or_as_the_only_one_of_1000_numbers(tmp_path, content, do_compression):
    vector = vector_of(saved(tmp_path / "a.mat", content, do_compression=do_compression))
    assert vector.dtype == np.float32
    assert vector.tolist() == VECTOR.tolist()


def test_maps_of_annotators_are_no_vector(tmp_path):
    assert vector_of(saved(tmp_path / "a.mat", {"gt_box20": np.zeros((20, 20, 3))})) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"x": VECTOR[:999]}, "x holds 999 numbers; accepted: 1000"),
        ({"x": np.where(VECTOR == 0, np.nan, VECTOR)}, "x holds values that are no numbers"),
        ({"a": VECTOR, "b": VECTOR}, "2 arrays of 1000 numbers and no key"),
        ({"x": np.zeros(1_000_001, np.uint8)}, "it holds 1000001 numbers"),
    ],
)
def test_what_is_no_vector_is_told(tmp_path, content, reason):
    with pytest.raises(Unusable, match=reason):
        vector_of(saved(tmp_path / "a.mat", content))


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(600), bytes(200), b"MATLAB 7.3 MAT-file"]
)
def test_a_file_that_is_none_is_told(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(Unusable, match="not a MATLAB file that can be read"):
        vector_of(tmp_path / "a.mat")


@pytest.fixture(scope="module")
def reader():
    with VectorReader() as reader:
        yield reader


def test_a_file_that_crashes_its_reader_is_told_and_the_next_one_is_read(tmp_path, reader):
    content = saved(tmp_path / "a.mat", {"cells": np.array(["a", VECTOR], dtype=object)}).read_bytes()
    name = content.index(b"\x10\x00\x01\x00a\x00\x00\x00")  # a small data element: its type, its size, its value
    (tmp_path / "b.mat").write_bytes(content[:name] + b"\xa7" + content[name + 1 :])
    saved(tmp_path / "c.mat", {"x": VECTOR})
    with pytest.raises(Unusable, match=r"not a MATLAB file that can be read \(its reader crashes on it\)"):
        reader.vector_of(tmp_path / "b.mat")
    assert reader.vector_of(tmp_path / "c.mat").tolist() == VECTOR.tolist()
    assert reader.vector_of(saved(tmp_path / "d.mat", {"gt20": np.zeros((20, 20, 3))})) is None
    with pytest.raises(Unusable, match="x holds 3 numbers"):
        reader.vector_of(saved(tmp_path / "e.mat", {"x": np.zeros(3)}))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), do_compression=st.booleans())
def test_a_damaged_file_is_told_and_raises_nothing_else(tmp_path, reader, data, do_compression):
    content = saved(tmp_path / "a.mat", {"data_1": {"values": VECTOR}}, do_compression=do_compression).read_bytes()
    changed = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if changed:
            changed[data.draw(st.integers(0, min(len(changed), 400) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "b.mat").write_bytes(changed)
    try:
        vector = reader.vector_of(tmp_path / "b.mat")
    except Unusable as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert vector is None or vector.shape == (1000,)


@pytest.mark.real
def test_the_real_vectors_are_read():
    folder = real("annotations") / "liyidi__soundnet_localize_sound_source" / "mydata"
    vectors = [vector_of(path) for path in sorted(folder.glob("*.mat"))]
    assert [vector.shape for vector in vectors] == [(1000,), (1000,)]
    assert not np.array_equal(*vectors)
