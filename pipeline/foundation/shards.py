"""HDF5 shards: a fixed number of clips each, written once and whole, read one clip at a time.

A shard has `clip_id` and either stacked datasets (first axis: clips) or, where clips differ in length, flat ones that
share `offsets` (clip i owns rows offsets[i] to offsets[i + 1]). Attributes: `schema`, `stage`, `checksum`, and what
the numbers mean; nothing that changes without the data, so that equal work gives equal bytes. Every chunk carries
HDF5's Fletcher 32 sum: a damaged one fails when it is read.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.foundation.errors import UserError

SCHEMA = 1
FLAT_CHUNK = 1 << 16  # rows; 128 kB of 16-bit samples
PACKED = frozenset(
    {"box", "level", "grouping", "score", "label", "mask"}
)  # these shrink threefold; frames and sounds do not
MAX_OPEN = 64  # files that one reader keeps open
Array = NDArray[Any]
Attributes = Mapping[str, str | int | float]


def write(path: Path, stage: str, clip_ids: Sequence[str], arrays: Mapping[str, Array], **attributes: Any) -> None:
    """Write one shard of stacked arrays, each with one entry per clip on its first axis.

    The caller owns the folder: nobody else sees the file before the folder is renamed.
    """
    content = {"clip_id": np.array([clip_id.encode("ascii") for clip_id in clip_ids], dtype="S120"), **arrays}
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["stage"] = stage
        for name, value in sorted(attributes.items()):
            file.attrs[name] = value
        file.attrs["checksum"] = _checksum(content, attributes)
        for name, array in sorted(content.items()):
            _create(file, name, array, rows=FLAT_CHUNK if "offsets" in content or name == "clip_id" else 1)


def write_flat(
    path: Path, stage: str, clip_ids: Sequence[str], rows: Mapping[str, Sequence[Array]], **attributes: Any
) -> None:
    """Write one shard of clips that differ in length: `rows` gives each dataset as one array per clip.

    A shard without any clip has offsets alone.
    """
    lengths = [len(array) for array in next(iter(rows.values()))]
    arrays = {name: np.concatenate(parts) for name, parts in rows.items() if parts}
    arrays["offsets"] = np.cumsum([0, *lengths], dtype=np.int64)
    write(path, stage, clip_ids, arrays, **attributes)


def _create(file: h5py.File, name: str, array: Array, rows: int) -> None:
    if not array.size:
        file.create_dataset(name, data=array)
        return
    chunks = (min(rows, len(array)), *array.shape[1:])
    packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if name in PACKED else {}
    dataset = file.create_dataset(name, data=array, chunks=chunks, fletcher32=True, **packed)
    # HDF5 places a chunk when its dataset is closed, which another thread that looks at this one (Dask's profiler) may
    # put off: placed now, the same data are the same bytes.
    dataset.flush()


def _checksum(content: Mapping[str, Array], attributes: Attributes) -> str:
    digest = hashlib.blake2b(json.dumps([SCHEMA, sorted(attributes.items())]).encode(), digest_size=16)
    for name, array in sorted(content.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Shard:
    """One finished shard, opened when first read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: h5py.File | None = None
        self._datasets: dict[str, h5py.Dataset] = {}
        with self._opened() as file:
            if file.attrs.get("schema") != SCHEMA:
                raise self._damaged(f"its schema is {file.attrs.get('schema')}, not {SCHEMA}")
            self.attributes: dict[str, Any] = dict(file.attrs)
            self.names = frozenset(file)
            self.clip_ids = [clip_id.decode("ascii") for clip_id in self._all(file, "clip_id")]
            self._offsets = self._all(file, "offsets") if "offsets" in file else None
        self._row = {clip_id: row for row, clip_id in enumerate(self.clip_ids)}

    @property
    def checksum(self) -> str:
        """What this shard says its content hashes to."""
        return str(self.attributes["checksum"])

    def read(self, clip_id: str, name: str) -> Array:
        """The rows of one clip in one dataset."""
        row = self._row[clip_id]
        if self._file is None:
            self._file = self._opened()
        if name not in self._datasets:
            self._datasets[name] = self._file[name]
        where = row if self._offsets is None else slice(*self._offsets[row : row + 2])
        try:
            return np.asarray(self._datasets[name][where])
        except OSError as error:
            raise self._damaged(f"{name} of {clip_id}: {error}") from error

    def read_all(self, name: str) -> Array:
        """One dataset of all its clips."""
        with self._opened() as file:
            return self._all(file, name)

    def close(self) -> None:
        """Let go of the file; the next read opens it again."""
        self._datasets.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def verify(self) -> None:
        """Read everything; raises UserError where it is not what was written."""
        with self._opened() as file:
            content = {name: self._all(file, name) for name in file}
        ours = {"schema", "stage", "checksum"}
        attributes = {name: _plain(value) for name, value in self.attributes.items() if name not in ours}
        if _checksum(content, attributes) != self.checksum:
            raise self._damaged("its content does not match its checksum")

    def _opened(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r", locking=False)  # a finished shard is never written to again
        except OSError as error:
            raise self._damaged(str(error)) from error

    def _all(self, file: h5py.File, name: str) -> Array:
        try:
            return np.asarray(file[name][()])
        except OSError as error:
            raise self._damaged(f"{name}: {error}") from error

    def _damaged(self, what: str) -> UserError:
        return UserError(
            f"{self.path}: missing or damaged ({what}); all its copies are one file: `make clean`, then run again"
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class Shards:
    """A folder of shards as one mapping from clip_id to rows; not for sharing between processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = [Shard(path) for path in shard_paths(folder)]
        self._of = {clip_id: shard for shard in self.shards for clip_id in shard.clip_ids}
        self._open: dict[Shard, None] = {}

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._of

    @property
    def clip_ids(self) -> list[str]:
        """All clips, in shard order."""
        return list(self._of)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the numbers mean: the same in all shards."""
        return self.shards[0].attributes

    @property
    def checksum(self) -> str:
        """A hash of what all shards hold."""
        return fingerprint([shard.checksum for shard in self.shards])

    def read(self, clip_id: str, name: str) -> Array:
        """The rows of one clip in one dataset."""
        shard = self._of[clip_id]
        self._open.pop(shard, None)
        self._open[shard] = None  # most recent last
        if len(self._open) > MAX_OPEN:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()
        return shard.read(clip_id, name)

    def stack(self, clip_ids: Iterable[str], name: str) -> Array:
        """The rows of several clips, stacked."""
        return np.stack([self.read(clip_id, name) for clip_id in clip_ids])


def shard_name(index: int) -> str:
    """File name of the shard at a place in the order."""
    return f"shard-{index:05d}.h5"


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder in order; raises UserError where there is none."""
    paths = sorted(folder.glob("shard-*.h5"))
    if not paths:
        raise UserError(f"{folder}: no shards here; run `dvc repro`, which makes them")
    return paths


def fingerprint(*parts: object) -> str:
    """The name of a piece of work: a hash of all that its result follows from."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def publish(files: Mapping[str, Path], out: Path) -> None:
    """Make `out` hold exactly these finished files (name in out -> where it lies), hard-linked where the disk allows.

    Scratch, out and DVC's cache are then one inode.
    """
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(out.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(out)) not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for name, source in files.items():
        target = out / name
        if target.exists() and target.samefile(source):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
