"""The lists that a user names: ids of clips, and the pairs of frame and sound of the extended test sets.

`train_list`, `test_list`: one id a line, or CSV with the id first; with a header or none. Folders in front and media
endings are stripped; an id is text, never a number.
`silent_list` (the extended sets of Mo and Morgado, NeurIPS 2022): rows `video,audio,label`, all labelled non-sounding:
the frame of one item with a sound of which nothing is in sight.
"""

import csv
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Rejection
from pipeline.sources.layout import bare
from pipeline.sources.reading import Form

log = logging.getLogger(__name__)

HEADERS = frozenset({"id", "clip_id", "video", "video_id", "youtube_id", "ytid", "vid", "file", "filename", "name"})
NON_SOUNDING = "non-sounding"


@dataclass(frozen=True)
class SilentRow:
    """A frame and a sound of which nothing is in it, as two items in the data set's form and as they are written."""

    video: str
    audio: str
    written: tuple[str, str]


def ids_of(path: Path, form: Form) -> dict[str, str]:
    """The ids that a list names, in the data set's form and in the list's order, each with how it is written there.

    An id that is named twice counts once, and is told. Raises UserError where the list cannot be read, or names none.
    """
    ids: dict[str, str] = {}
    twice: list[str] = []
    for number, (_, cells) in enumerate(_rows(path)):
        if number == 0 and cells[0].lower() in HEADERS:
            continue
        item = item_of(cells[0], form)
        if form.respelt and bare(cells[0]) in form.respelt:
            log.warning("%s: %s is a known misspelling and read as %s", path, cells[0], item)
        if item in ids:
            twice.append(item)
        ids.setdefault(item, cells[0])
    if not ids:
        raise UserError(f"{path}: names no id; fill it, or set its parameter to null")
    if twice:
        log.warning("%s: %d ids are named again and count once, among them %s", path, len(twice), twice[0])
    return ids


def silent_rows_of(path: Path, form: Form, rejections: list[Rejection]) -> list[SilentRow]:
    """The rows of a silent list; one that cannot be used, or is there twice, is added to `rejections`.

    Raises UserError where the list cannot be read, or no row of it can be used.
    """
    rows: dict[tuple[str, str], SilentRow] = {}
    for number, (line, cells) in enumerate(_rows(path)):
        if number == 0 and [cell.lower() for cell in cells[:2]] == ["video", "audio"]:
            continue
        reason = None
        if len(cells) != 3 or not all(cells):
            reason = f"{len(cells)} cells {cells!a:.80}; accepted: video,audio,label"
        elif cells[2] != NON_SOUNDING:
            reason = f"label {cells[2]!a}; accepted: {NON_SOUNDING}"
        elif (pair := (item_of(cells[0], form), item_of(cells[1], form))) in rows:
            reason = f"{cells[0]} with the sound of {cells[1]} is named before"
        else:
            rows[pair] = SilentRow(*pair, (cells[0], cells[1]))
        if reason is not None:
            rejections.append(Rejection("", path.name, f"line {line}: {reason}"))
    if not rows:
        raise UserError(f"{path}: no row video,audio,{NON_SOUNDING}; fill it, or set source.silent_list to null")
    return list(rows.values())


def item_of(written: str, form: Form) -> str:
    """The id in the data set's form of what a list writes."""
    name = bare(written)
    return form.item_of(form.respelt.get(name, name))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of every row in which anything stands; comma or tab, any line end."""
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            for line, text in enumerate(file, 1):
                separator = "\t" if "\t" in text else ","
                cells = next(csv.reader([text], delimiter=separator), []) if '"' in text else text.split(separator)
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    yield line, cells
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); bring it back or change its rights") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a list of ids as UTF-8 text ({error}); save it as one") from error
