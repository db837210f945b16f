"""The manifest: which clips there are, what is boxed in them, and what was rejected. Four kinds of CSV files.

`clips.csv`     clip_id, media, frame, sound, mask, label, hard, group, negative, frame_s, sound_s. A clip has `media`
                (a video; with `sound` beside it, that file is heard in place of its own) or `frame` and `sound` (two
                files; `frame` alone where the source brings a vector of the sound), relative to the source's root;
                `group` names what must never be split (the source video, the photograph); `hard` is 1 where something
                else in sight could make a sound and does not; `negative` is 1 where what is heard is not in sight.
                `frame_s`, `sound_s`: seconds into the file at which the frame is taken and the sound begins; empty: as
                `extract` says, and at its start.
`boxes.csv`     clip_id, annotator, x0, y0, x1, y1, label, sounding. Fractions of the upright frame, end exclusive.
`rejected.csv`  clip_id, path, reason.
`missing.csv`   likewise, of one split: what the data set or a list names for it and is not there, or cannot be read.
"""

import codecs
import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.foundation.errors import UserError
from pipeline.foundation.files import write_whole

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,119}")


@dataclass(frozen=True)
class Clip:
    """One video sample with its sound."""

    clip_id: str
    media: str = ""
    frame: str = ""
    sound: str = ""
    mask: str = ""
    label: str = ""
    hard: bool = False
    group: str = ""
    negative: bool = False
    frame_s: float | None = None
    sound_s: float | None = None

    @property
    def path(self) -> str:
        """The file that a message about this clip should name."""
        return self.media or self.frame


@dataclass(frozen=True)
class Box:
    """One rectangle of one annotator round one thing."""

    clip_id: str
    annotator: str
    x0: float
    y0: float
    x1: float
    y1: float
    label: str = ""
    sounding: bool = True


@dataclass(frozen=True)
class Rejection:
    """A clip that cannot be used, and why."""

    clip_id: str
    path: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """The clips of one split with their boxes, and what should be among them and is not there."""

    clips: tuple[Clip, ...]
    boxes: tuple[Box, ...]
    missing: tuple[Rejection, ...] = ()

    def boxes_of(self) -> dict[str, list[Box]]:
        """Boxes by clip_id."""
        by_clip: dict[str, list[Box]] = {clip.clip_id: [] for clip in self.clips}
        for box in self.boxes:
            by_clip[box.clip_id].append(box)
        return by_clip


def write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file whole."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    write_whole(path, text.getvalue())


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.10g}" if isinstance(value, float) else value


def read_rows(path: Path, needed: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row of a CSV file.

    Raises UserError where the file cannot be read as text, lacks a needed column, or has a row of another width.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from rows_of(file, needed, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); bring it back or change its rights") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a UTF-8 CSV file ({error}); save it as one") from error


def rows_of(lines: Iterable[str], needed: Iterable[str], place: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of the lines of a CSV file that messages call `place`."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        missing = [name for name in needed if name not in header]
        if missing:
            raise UserError(f"{place}: no column {', '.join(missing)}; its header is: {', '.join(header)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise UserError(
                    f"{place}:{reader.line_num}: {len(cells)} cells under a header of {len(header)}; mend that row"
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{place}: not a UTF-8 CSV file ({error}); save it as one") from error


def header_of(path: Path) -> list[str]:
    """Column names of a CSV file, as far as its first line can be read as text."""
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16).removeprefix(codecs.BOM_UTF8).replace(b"\0", b"")  # UTF-16 has a 0 a letter
        line = next(iter(start.decode(errors="replace").lstrip("\ufffd").splitlines()), "")
        return next(csv.reader([line]), [])
    except csv.Error:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); bring it back or change its rights") from error


def truth_of(text: str, place: str) -> bool:
    """A cell that says yes or no: 1, 0 or nothing (no)."""
    if text not in ("", "0", "1"):
        raise UserError(f"{place}: got {text!r}; accepted: 1, 0 or nothing")
    return text == "1"


def _seconds_of(text: str, place: str) -> float | None:
    """A cell that holds seconds, or nothing."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{place}: got {text!r}; accepted: seconds, 0 and up, or nothing")
    return seconds


def numbers(row: dict[str, str], names: Iterable[str], place: str) -> list[float]:
    """The cells of these columns as numbers."""
    try:
        return [float(row[name]) for name in names]
    except ValueError as error:
        raise UserError(f"{place}: {', '.join(names)} are not all numbers ({error}); mend that row") from error


def checked(box: Box, place: str) -> Box:
    """The same box; raises UserError where it leaves the frame or has no area."""
    if not (0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1):
        raise UserError(
            f"{place}: box x0={box.x0:g} y0={box.y0:g} x1={box.x1:g} y1={box.y1:g} leaves the frame or has no area; "
            "accepted: fractions of the frame, 0 <= x0 < x1 <= 1, 0 <= y0 < y1 <= 1"
        )
    return box


def box_of(row: dict[str, str], place: str) -> Box:
    """The checked box of a row of boxes.csv."""
    x0, y0, x1, y1 = numbers(row, ("x0", "y0", "x1", "y1"), place)
    sounding = truth_of(row.get("sounding", "1"), f"{place}: sounding")
    box = Box(row["clip_id"], row.get("annotator", ""), x0, y0, x1, y1, row.get("label", ""), sounding)
    return checked(box, place)


def write(folder: Path, manifest: Manifest) -> None:
    """Write clips.csv and boxes.csv of one split, and missing.csv where anything is."""
    write_rows(folder / "clips.csv", _names(Clip), map(astuple, manifest.clips))
    write_rows(folder / "boxes.csv", _names(Box), map(astuple, manifest.boxes))
    if manifest.missing:
        write_rejections(folder / "missing.csv", manifest.missing)


def read(folder: Path) -> Manifest:
    """Read what `write` wrote."""
    path = folder / "clips.csv"
    clips = tuple(_clip_of(row, f"{path}:{line}") for line, row in read_rows(path, _names(Clip)))
    boxes = tuple(
        box_of(row, f"{folder / 'boxes.csv'}:{line}") for line, row in read_rows(folder / "boxes.csv", _names(Box))
    )
    missing = folder / "missing.csv"
    return Manifest(clips, boxes, tuple(_rejections(missing)) if missing.exists() else ())


def _clip_of(row: dict[str, str], place: str) -> Clip:
    return Clip(**(row | facts_of(row, place)))


def facts_of(row: dict[str, str], place: str) -> dict[str, Any]:
    """What a row says of a clip that is no text; a column that is missing says nothing."""
    truths = {name: truth_of(row.get(name, ""), f"{place}: {name}") for name in ("hard", "negative")}
    times = {name: _seconds_of(row.get(name, ""), f"{place}: {name}") for name in ("frame_s", "sound_s")}
    return {**truths, **times}


def write_rejected(folder: Path, rejections: Iterable[Rejection]) -> None:
    """Write rejected.csv, ordered by clip."""
    write_rejections(folder / "rejected.csv", rejections)


def read_rejected(folder: Path) -> list[Rejection]:
    """Read what `write_rejected` wrote."""
    return _rejections(folder / "rejected.csv")


def write_rejections(path: Path, rejections: Iterable[Rejection]) -> None:
    write_rows(path, _names(Rejection), sorted(map(astuple, rejections)))


def _rejections(path: Path) -> list[Rejection]:
    return [Rejection(**row) for _, row in read_rows(path, _names(Rejection))]


def read_order(path: Path) -> list[str]:
    """Clip ids in shard order; none where there is no such file yet."""
    return [row["clip_id"] for _, row in read_rows(path, ["clip_id"])] if path.exists() else []


def write_order(path: Path, clip_ids: Iterable[str]) -> None:
    """Write clip ids in shard order."""
    write_rows(path, ["clip_id"], ([clip_id] for clip_id in clip_ids))


def _names(record: type) -> list[str]:
    return [field.name for field in fields(record)]
