"""The vectors of SoundNet (conv8 averaged over time, 1000 numbers) that come as MATLAB files beside the frames.

The key differs by who made them: `x` (USOL), `a_feature` (liyidi), the field `values` of the struct `data_1` (ATT).
"""

import multiprocessing
import zlib
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from struct import error as StructError  # noqa: N812
from types import TracebackType
from typing import Self

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from pipeline.sources.reading import Unusable

LENGTH = 1000  # the classes of ImageNet, which conv8 predicts
KEYS = (("x",), ("a_feature",), ("data_1", "values"))
LIMIT = 1_000_000  # numbers: no file of a vector holds more
LIMIT_S = 60
# What SciPy raises on a file that is none, is cut off, or lies about its sizes.
DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, MemoryError, NameError),
    *(RuntimeError, AttributeError, SystemError, MatReadError, StructError, zlib.error),
)


class VectorReader:
    """Reads vectors in a process of its own, for SciPy's reader may take its process with it on a damaged file."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def vector_of(self, path: Path) -> NDArray[np.float32] | None:
        """As the function of this name; Unusable also where the file crashes its reader, or takes over a minute."""
        pipe = self._pipe or self._start()
        try:
            pipe.send(path)
            if not pipe.poll(LIMIT_S):
                self._stop()
                raise Unusable(f"not a MATLAB file that can be read (not within {LIMIT_S} s)")
            answer = pipe.recv()
        except (EOFError, OSError) as error:
            self._stop()
            raise Unusable("not a MATLAB file that can be read (its reader crashes on it)") from error
        if isinstance(answer, Unusable):
            raise answer
        return answer

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self._pipe

    def _stop(self) -> None:
        if self._pipe is not None and self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
            self._process.close()
        self._pipe = self._process = None


def _serve(pipe: Connection) -> None:
    """Answer each path with its vector, or with why there is none, until the other end is closed."""
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(vector_of(path))
        except Unusable as error:
            pipe.send(error)


def vector_of(path: Path) -> NDArray[np.float32] | None:
    """(1000,) float32, the vector of a MATLAB file; None where it holds other things only, as maps of annotators.

    Raises Unusable where it cannot be read, or where what its key holds is no vector.
    """
    values = dict(_arrays(_content(path)))
    named = [key for key in KEYS if key in values]
    others = [key for key, array in values.items() if array.size == LENGTH]
    if not named and len(others) > 1:
        raise Unusable(f"{len(others)} arrays of {LENGTH} numbers and no key x, a_feature or data_1.values")
    if not (keys := named or others):
        return None
    key, vector = ".".join(keys[0]), values[keys[0]].reshape(-1).astype(np.float32)
    if len(vector) != LENGTH:
        raise Unusable(f"{key} holds {len(vector)} numbers; accepted: {LENGTH}")
    if not np.isfinite(vector).all():
        raise Unusable(f"{key} holds values that are no numbers")
    return vector


def _content(path: Path) -> Mapping[str, object]:
    try:
        sizes = [int(np.prod(shape, dtype=float)) for _, shape, _ in scipy.io.whosmat(path, appendmat=False)]
        if sum(sizes) > LIMIT:
            raise Unusable(f"not a MATLAB file of a vector: it holds {sum(sizes)} numbers")
        return scipy.io.loadmat(path, appendmat=False, simplify_cells=True)
    except DAMAGE as error:
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unusable(f"not a MATLAB file that can be read ({what}); accepted: versions 4 to 7.2") from error


def _arrays(
    content: Mapping[str, object], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], NDArray[np.generic]]]:
    """Real numeric arrays and the keys that lead to them, also inside structs."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _arrays(value, (*above, key))
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            yield (*above, key), value
