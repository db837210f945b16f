"""The vectors of SoundNet (conv8 averaged over time, 1000 numbers) that come as MATLAB files beside the frames.

The key differs by who made them: `x` (USOL), `a_feature` (liyidi), the field `values` of the struct `data_1` (ATT).
"""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import error as StructError  # noqa: N812

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from pipeline.sources.reading import Unusable

LENGTH = 1000  # the classes of ImageNet, which conv8 predicts
KEYS = (("x",), ("a_feature",), ("data_1", "values"))
LIMIT = 1_000_000  # numbers: no file of a vector holds more
# What SciPy raises on a file that is none, is cut off, or lies about its sizes.
DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError),
    *(NotImplementedError, AttributeError, UnicodeError, MatReadError, StructError, zlib.error),
)


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
