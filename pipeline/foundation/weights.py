"""Files of weights, read without running anything that one may hold: safetensors, what torch.save wrote, npy, HDF5.

An npy file of nested arrays is a pickle; it is read by an unpickler that knows arrays and plain containers alone.
"""

import pickle
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pipeline.foundation.errors import UserError


def read(path: Path, place: str) -> dict[str, Any]:
    """The tensors of a file by name; of an npy file arrays, nested in dicts as they are there; of HDF5 arrays
    by their paths.

    place: what messages call the file. Raises UserError where it is missing, damaged, or holds anything else.
    """
    if not path.is_file():
        raise UserError(f"{place} does not exist; put the file there, or name another")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npy":
            with path.open("rb") as file:
                weights: object = _arrays_of(file)
        elif path.suffix == ".h5":
            weights = _datasets_of(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{place} holds no plain tensors ({first_line}); bring the file anew") from error
    if not isinstance(weights, dict) or not _is_plain(weights):
        raise UserError(f"{place} is no state dict: a mapping of names to tensors is accepted")
    return weights


def _datasets_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def keep(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()])

    with h5py.File(path, "r", locking=False) as file:
        file.visititems(keep)
    return found


def _is_plain(weights: object) -> bool:
    """Whether it is a mapping of names to tensors or float arrays, at any depth."""
    if not isinstance(weights, Mapping):
        return False
    for name, value in weights.items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        if not isinstance(name, str) or not (isinstance(value, torch.Tensor) or is_array or _is_plain(value)):
            return False
    return True


# What a head or a pickle that was cut or altered may raise beside UnpicklingError, EOFError and ValueError.
DAMAGED = (
    tokenize.TokenError,
    SyntaxError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    SystemError,
    TypeError,
)


class _ArraysAlone(pickle.Unpickler):
    """Reads arrays, dicts, lists, numbers and texts; whatever else a pickle asks for ends it."""

    _reconstruct = staticmethod(np._core.multiarray._reconstruct)  # type: ignore[attr-defined]
    KNOWN = {  # noqa: RUF012  never changed
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # before numpy 2
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self.KNOWN[module, name]


def _arrays_of(file: BinaryIO) -> object:
    """What np.save wrote of a dict: an array of one object, pickled."""
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if shape != () or dtype != np.dtype(object):
            raise ValueError(f"an array of shape {shape}, not a dict of arrays")
        # Python 2 wrote it, whose texts are bytes: latin1 keeps them as they are.
        holder = _ArraysAlone(file, encoding="latin1").load()
    except DAMAGED as error:
        raise ValueError(f"damaged: {error}") from error
    if not isinstance(holder, np.ndarray) or holder.shape != ():
        raise ValueError("not the array of one object that its head announces")
    return holder.item()
