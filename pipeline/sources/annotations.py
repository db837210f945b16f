"""Annotation files as their authors ship them, read so that one item's fault costs that item or box alone.

A file that cannot be parsed at all is a UserError; whatever is wrong with one entry is Unusable, and its reader rejects
the entry by name. Boxes become fractions of the frame, end exclusive, as pipeline/foundation/manifest.py keeps them.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Rejection
from pipeline.sources.reading import Unusable

Corners = tuple[float, float, float, float]
T = TypeVar("T")

ROUNDING = 1e-6  # of a side: what a sum of two fractions may go beyond the edge, and more than boxes.csv rounds away


def read_json(path: Path, kind: type[T]) -> tuple[T, list[Rejection]]:
    """What a JSON file holds, and a rejection for each name that an object of it gives twice: the first one counts.

    Raises UserError where it is missing, is not JSON, or holds another kind of value (dict, list) than wanted.
    """
    repeated: list[Rejection] = []

    def first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                reason = "named twice; its first entry is used, this one is not"
                repeated.append(Rejection(named(name), path.name, reason))
            found.setdefault(name, value)
        return found

    try:
        value = json.loads(path.read_bytes(), object_pairs_hook=first_of_each)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); bring it back or change its rights") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error}); bring it anew") from error
    if not isinstance(value, kind):
        raise UserError(f"{path}: holds a {type(value).__name__}, not a {kind.__name__}; bring it anew")
    return value, repeated


def member(entry: object, name: str, kind: type[T]) -> T:
    """A member of a JSON object; raises Unusable where there is none, it is of another kind, or text that cannot be
    printed.
    """
    if not isinstance(entry, dict):
        raise Unusable(f"is {shown(entry)}, not an object with {name}")
    value = entry.get(name)
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and not value.isprintable()):
        raise Unusable(f"its {name} is {shown(value)}")
    return value


def corners(value: object, size: float = 1) -> Corners:
    """x0, y0, x1, y1 in fractions of the frame, of corners given in a frame of `size` x `size`.

    Raises Unusable where they are not four finite numbers, leave the frame or span no area.
    """
    x0, y0, x1, y1 = (number / size for number in _four_numbers(value))
    return _checked((x0, y0, x1, y1), value)


def corners_of_xywh(value: object) -> Corners:
    """The same of left edge, upper edge, width and height, in fractions of the frame."""
    x, y, width, height = _four_numbers(value)
    return _checked((x, y, x + width, y + height), value)


def _four_numbers(value: object) -> Corners:
    if not isinstance(value, list) or len(value) != 4:
        raise Unusable(f"box {shown(value)} is not four numbers")
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in value):
        raise Unusable(f"box {shown(value)} is not four numbers")
    try:
        x, y, z, w = map(float, value)
    except OverflowError:  # a whole number of more digits than a float can hold
        raise Unusable(f"box {shown(value)} is not four finite numbers") from None
    if not all(map(math.isfinite, (x, y, z, w))):
        raise Unusable(f"box {shown(value)} is not four finite numbers")
    return x, y, z, w


def _checked(box: Corners, value: object) -> Corners:
    if min(box) < -ROUNDING or max(box) > 1 + ROUNDING:
        raise Unusable(f"box {shown(value)} leaves the frame")
    x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in box)
    if x1 - x0 < ROUNDING or y1 - y0 < ROUNDING:
        raise Unusable(f"box {shown(value)} has no area, or its edges in the wrong order")
    return x0, y0, x1, y1


def file_name(path: str) -> str:
    """The last part of a path; raises Unusable where that can be no file's name."""
    name = path.rpartition("/")[2]
    if name in ("", ".", "..") or not name.isprintable() or len(name.encode()) > 200:
        raise Unusable(f"{shown(path)} ends in no file's name")
    return name


def named(text: str) -> str:
    """A name for rejected.csv: the text itself where that can be printed in one line."""
    return text if text.isprintable() and 0 < len(text) <= 120 else shown(text)


def shown(value: object) -> str:
    """A value in a few words of one line."""
    try:
        text = repr(value)
    except ValueError:  # a whole number too long to print
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def first_there(root: Path, paths: Iterable[str]) -> str:
    """The first of these relative paths that is a file below the root; nothing where none is."""
    return next((path for path in paths if (root / path).is_file()), "")
