import pickle
import warnings

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipeline.foundation import weights
from pipeline.foundation.errors import UserError


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("run",))


def save_npy(path, content) -> None:
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


def test_every_kind_of_file_gives_its_tensors(tmp_path):
    tensors = {"a": torch.arange(4.0).reshape(2, 2), "b": torch.ones(1)}
    save_file(tensors, tmp_path / "w.safetensors")
    torch.save(tensors, tmp_path / "w.pth")
    save_npy(tmp_path / "w.npy", {"layer": {"a": tensors["a"].numpy()}})
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layer/a:0"] = tensors["a"].numpy()
    assert (weights.read(tmp_path / "w.h5", "x")["layer/a:0"] == tensors["a"].numpy()).all()
    for name in ("w.safetensors", "w.pth"):
        read = weights.read(tmp_path / name, "x")
        assert sorted(read) == ["a", "b"]
        assert torch.equal(read["a"], tensors["a"])
    assert (weights.read(tmp_path / "w.npy", "x")["layer"]["a"] == tensors["a"].numpy()).all()


def test_an_npy_file_of_python_2_is_read(tmp_path):
    """Protocol 2 with numpy's module names of that time, the array's numbers as a text of latin1."""
    array = np.array([1.5, -2.0], np.float32)
    pickled = pickle.dumps(np.array({"conv1": {"biases": array}}, dtype=object), protocol=3)
    pickled = pickled.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
    (tmp_path / "w.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + pickled)
    assert (weights.read(tmp_path / "w.npy", "x")["conv1"]["biases"] == array).all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"a": Evil()}, r"holds no plain tensors \(it asks for builtins.print\)"),
        ([1, 2], "is no state dict"),
        ({"a": "text"}, "is no state dict"),
        ({"a": {"b": np.array([1, 2])}}, "is no state dict"),
        ({1: np.ones(2)}, "is no state dict"),
    ],
)
def test_an_npy_file_of_anything_but_arrays_is_refused_and_runs_nothing(tmp_path, content, told, capsys):
    holder = np.empty((), dtype=object)
    holder[()] = content
    np.save(tmp_path / "w.npy", holder, allow_pickle=True)
    with pytest.raises(UserError, match=f"^the place {told}"):
        weights.read(tmp_path / "w.npy", "the place")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["w.npy", "w.pth", "w.safetensors", "w.h5"])
def test_a_damaged_or_missing_file_is_told(tmp_path, name):
    with pytest.raises(UserError, match="^the place does not exist; put the file there, or name another"):
        weights.read(tmp_path / name, "the place")
    for content in (b"", b"no weights", b"\x93NUMPY\x01\x00"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"^the place holds no plain tensors \(.+\); bring the file anew"):
            weights.read(tmp_path / name, "the place")


def test_an_npy_file_of_one_array_is_told(tmp_path):
    np.save(tmp_path / "w.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"an array of shape \(3,\), not a dict of arrays"):
        weights.read(tmp_path / "w.npy", "the place")


def test_code_hidden_in_a_pth_file_does_not_run(tmp_path, capsys):
    torch.save({"a": Evil()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no plain tensors"):
        weights.read(tmp_path / "w.pth", "the place")
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # numpy's own, as it gives up
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_npy_file_with_a_byte_changed_or_cut_off_ends_in_arrays_or_in_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npy") / "w.npy"
    save_npy(path, {"conv1": {"weights": np.ones((2, 1, 1, 3), np.float32)}})
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2, len(content) - 2]))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            weights.read(path, "x")
        except UserError as error:
            assert "\n" not in str(error)
