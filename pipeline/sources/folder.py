"""Any folder of media files, with or without words on what is in it.

Without a `clips.csv` every file with a video, audio or GIF ending, at any depth, is a clip. With one, the clips are its
rows: `clip_id`, `media` (or `frame` and `sound`), and what else is known of `split`, `label`, `hard`, `group`, `mask`,
`negative`, `frame_s`, `sound_s` (pipeline/foundation/manifest.py).
`boxes.csv` (`clip_id, x0, y0, x1, y1`, fractions of the frame; `annotator`, `label`, `sounding`) is for measuring only.
A file of either name whose header has no `clip_id` is somebody else's and ignored with a warning.
"""

import hashlib
import logging
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import (
    SAFE_ID,
    Box,
    Clip,
    Split,
    box_of,
    facts_of,
    header_of,
    read_rows,
)
from pipeline.foundation.params import Source
from pipeline.sources.reading import (
    Reading,
    inside_root,
    named_split,
    root_folder,
    safe_id,
    split_of_group,
    split_up,
)

log = logging.getLogger(__name__)

VIDEO = (
    "3g2 3gp asf avi divx dv f4v flv m2ts m2v m4v mkv mov mp4 mpe mpeg mpg mts mxf nut ogm ogv rm rmvb ts vob webm wmv"
)
AUDIO = "aac ac3 aif aiff amr au caf flac m4a mka mp3 oga ogg opus wav wma"
ENDINGS = frozenset(f".{ending}" for ending in f"{VIDEO} {AUDIO} gif".split())


def read(source: Source) -> Reading:
    """The clips of a folder; raises UserError where there is none, or a manifest is wrong."""
    root = root_folder(source)
    listed = _own_csv(root / "clips.csv")
    clips = list(_listed(listed, source) if listed else _found(root, source))
    if not clips and listed:
        raise UserError(f"{listed}: names no clip; give each a row, or remove the file and all media files are clips")
    if not clips:
        raise UserError(
            f"{root}: no media file below it (accepted endings: {VIDEO}, {AUDIO}, gif); put some there, "
            "or name another source.root"
        )
    boxed = _own_csv(root / "boxes.csv")
    return Reading(split_up(clips, _boxes(boxed) if boxed else []))


def _own_csv(path: Path) -> Path | None:
    """A CSV file that speaks of clips; None where there is none."""
    if not path.is_file():
        return None
    if "clip_id" not in header_of(path):
        log.warning("%s: ignored, its header has no clip_id", path)
        return None
    return path


def _found(root: Path, source: Source) -> Iterator[tuple[str, Split, Clip]]:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts):
            continue
        if path.is_symlink() and path.is_dir():
            log.warning("%s: ignored, a link to a folder; put the folder itself there, or make it a source.root", path)
        if path.suffix.lower() not in ENDINGS or not path.is_file():
            continue
        if (name := os.fsencode(path)) != str(path).encode(errors="replace"):
            raise UserError(f"{name!r}: its name is no UTF-8 text; rename it")
        group = unicodedata.normalize("NFC", relative.with_suffix("").as_posix())  # one film, in two containers
        clip = Clip(clip_id_of(relative), media=relative.as_posix(), group=group)
        yield str(path), split_of_group(source, group), clip


def clip_id_of(relative: Path) -> str:
    """A safe name that follows from the file's own path alone.

    The file name where it is safe and at the top, else the path made safe and eight digits of its hash.
    """
    path = unicodedata.normalize("NFC", relative.as_posix())  # macOS and Linux write the same name in two ways
    if SAFE_ID.fullmatch(path):
        return path
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in path.replace("/", "-"))
    digits = hashlib.blake2b(path.encode(), digest_size=4).hexdigest()
    return f"{slug.lstrip('-.')[:100]}-{digits}"


def _listed(path: Path, source: Source) -> Iterator[tuple[str, Split, Clip]]:
    columns = header_of(path)
    if "media" not in columns and not {"frame", "sound"} <= set(columns):
        raise UserError(f"{path}: no column media, nor frame and sound; its header is: {', '.join(columns)}")
    for line, row in read_rows(path, ["clip_id"]):
        place = f"{path}:{line}"
        files: dict[str, Any] = {
            name: inside_root(row.get(name, ""), place) for name in ("media", "frame", "sound", "mask")
        }
        if not files["media"] and not (files["frame"] and files["sound"]):
            raise UserError(f"{place}: names no media, nor a frame and a sound; fill in the row")
        clip_id = safe_id(row["clip_id"], place)
        group = row.get("group") or clip_id
        clip = Clip(clip_id, **files, label=row.get("label", ""), group=group, **facts_of(row, place))
        split = named_split(row["split"], place) if row.get("split") else split_of_group(source, group)
        yield place, split, clip


def _boxes(path: Path) -> Iterator[tuple[str, Box]]:
    for line, row in read_rows(path, ["clip_id", "x0", "y0", "x1", "y1"]):
        place = f"{path}:{line}"
        yield place, box_of(row, place)
