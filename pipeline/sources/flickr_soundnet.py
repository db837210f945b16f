"""Flickr-SoundNet (Senocak et al., CVPR 2018; Aytar et al., NeurIPS 2016), in any of the folders in which it is found.

An item is a photo id of Flickr, 9 to 12 digits. Pictures, sounds, films and vectors are found by name at any depth
(layout.py): the annotated archive, SoundNet's own tree, the flat folders of later papers, the tree with `.mat` vectors.
Truth is `<id>.xml`, or a table of boxes; without a list, items that have none are never test.
"""

import csv
import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as Xml
from numpy.typing import NDArray

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, Clip, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.sources.layout import Files, files_by_item, still_of
from pipeline.sources.reading import Form, Reading, Unusable, fraction_box, root_folder, split_of_group, split_up
from pipeline.sources.soundnet_vectors import VectorReader

log = logging.getLogger(__name__)

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1

SIDE = 256  # pixels of the annotated pictures, in which boxes are given: 1 to 256, 256 the right or lower edge
ID = re.compile(r"[0-9]{9,12}")
FORM = Form(respelt={"3908875357": "3908875350"})  # line 184 of the list of 250 test items of Senocak et al.
NAMES = ("xmin", "ymin", "xmax", "ymax")
TABLES = ("flickr_soundnet_boxes*.csv", "flickr_soundnet_boxes*.csv.gz")


def read(source: Source) -> Reading:
    """The items below a folder; raises UserError where there is none, or a table of boxes is none."""
    root = root_folder(source)
    files = files_by_item(root, _item_of)
    rejections: list[Rejection] = []
    boxes = {item: list(_boxes(root, item, found, rejections)) for item, found in sorted(files.items())}
    for path in sorted({path for pattern in TABLES for path in root.glob(pattern)}):
        for item, of_item in boxes_of_table(path).items():
            if not boxes.get(item) and item in files:
                boxes[item] = list(checked_boxes(item, path.name, of_item, rejections))
    vectors = dict(_vectors(root, files, rejections))
    clips = list(_clips(files, vectors, rejections))
    if not clips:
        raise UserError(
            f"{root}: no picture with a sound or a vector below it is called by a photo id of Flickr; "
            "see docs/datasets.md for the folders that are read, or name another source.root"
        )
    clips, kept = _of_one_kind(clips, vectors, rejections)
    present = {clip.clip_id for clip in clips}
    is_annotated = {item for item in present if boxes.get(item)}

    def split_of(item: str) -> Split:
        split = split_of_group(source, item)
        return "train" if split == "test" and is_annotated and item not in is_annotated else split

    listed = ((root.as_posix(), split_of(clip.clip_id), clip) for clip in clips)
    of_clips = ((root.as_posix(), box) for item in sorted(present) for box in boxes.get(item, []))
    log.info("source: flickr_soundnet: %d items, %d of them with boxes", len(clips), len(is_annotated))
    return Reading(split_up(listed, of_clips), rejections, kept, FORM, {item: item for item in present})


def _item_of(folder: str, name: str) -> str | None:
    """A folder's own name comes first: what lies in `<id>.mp4/` are frames of that clip."""
    return next((text for text in (folder, name) if ID.fullmatch(text)), None)


def boxes_of_xml(path: Path) -> list[Corners | str]:
    """Every `bbox` of an annotation, at any depth and in its order: corners in pixels of 256, or why it is none.

    Its values are children named xmin, ymin, xmax, ymax in any order, or else its second to fifth child.
    Raises Unusable where the file cannot be parsed or holds none; entities are not expanded.
    """
    try:
        root = Xml.parse(path).getroot()
    except DefusedXmlException as error:
        raise Unusable(f"not an annotation: it declares entities ({type(error).__name__})") from error
    except (ParseError, OSError, ValueError, LookupError) as error:
        raise Unusable(f"not an XML file that can be read ({error})") from error
    boxes = [_corners(element) for element in root.iter() if _tag(element) == "bbox"]
    if not boxes:
        raise Unusable("no bbox in it")
    return boxes


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _corners(bbox: Element) -> Corners | str:
    named = {_tag(child): child for child in bbox}
    values = [named[name] for name in NAMES] if named.keys() >= set(NAMES) else list(bbox)[1:5]
    try:
        x0, y0, x1, y1 = (float(value.text or "") for value in values)
    except ValueError:
        return f"no four numbers but {[value.text for value in values]!a}"
    return x0, y0, x1, y1


def boxes_of_table(path: Path) -> dict[str, list[Corners | str]]:
    """Boxes by item of a table `id, ..., x0, y0, x1, y1` in pixels of 256, gzipped or not.

    Raises UserError where it cannot be read as such a table.
    """
    boxes: dict[str, list[Corners | str]] = {}
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := {"id", "x0", "y0", "x1", "y1"} - set(reader.fieldnames or []):
                raise UserError(f"{path}: no column {', '.join(sorted(missing))}; mend its header, or remove it")
            for row in reader:
                texts = [row[name] or "" for name in ("x0", "y0", "x1", "y1")]
                try:
                    x0, y0, x1, y1 = map(float, texts)
                    boxes.setdefault(row["id"], []).append((x0, y0, x1, y1))
                except ValueError:
                    boxes.setdefault(row["id"], []).append(f"no four numbers but {texts!a}")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise UserError(
            f"{path}: not a table of boxes that can be read ({error}); bring it anew, or remove it"
        ) from error
    return boxes


def checked_boxes(
    item: str, path: str, boxes: list[Corners | str], rejections: list[Rejection], side: float = SIDE
) -> Iterator[Box]:
    """Boxes in fractions of the frame, each a vote of its own, as in the field.

    What is no box is added to `rejections` by its number.
    """
    for number, box in enumerate(boxes):
        try:
            if isinstance(box, str):
                raise Unusable(box)
            yield fraction_box(item, str(number), box, side)
        except Unusable as error:
            rejections.append(Rejection(item, path, f"the clip is kept without box {number}: {error}"))


def _boxes(root: Path, item: str, files: Files, rejections: list[Rejection]) -> Iterator[Box]:
    for path in files.annotations[:1]:
        try:
            yield from checked_boxes(item, path, boxes_of_xml(root / path), rejections)
        except Unusable as error:
            rejections.append(Rejection(item, path, f"the clip is kept without its boxes: {error}"))
    for path in files.annotations[1:]:
        rejections.append(Rejection(item, path, f"a second annotation of {item}; {files.annotations[0]} is used"))


def _vectors(
    root: Path, files: dict[str, Files], rejections: list[Rejection]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The vector of each item that has one. Maps of annotators (20 x 20) lie in files of the same form: no boxes."""
    n_others = 0
    path_of: dict[str, str] = {}
    with VectorReader() as reader:
        for item, path in ((item, path) for item, found in sorted(files.items()) for path in found.arrays):
            try:
                vector = reader.vector_of(root / path)
            except Unusable as error:
                rejections.append(Rejection(item, path, str(error)))
                continue
            if vector is None:
                n_others += 1
            elif item in path_of:
                rejections.append(Rejection(item, path, f"a second vector of {item}; that of {path_of[item]} is used"))
            else:
                path_of[item] = path
                yield item, vector
    if n_others:
        log.info("source: flickr_soundnet: %d .mat files hold no vector of 1000 numbers and are left out", n_others)


def _is_archive(folder: str) -> bool:
    """Whether a folder is one of the annotated archive's ten: boxes belong to the pictures in it."""
    parts = PurePosixPath(folder).parts
    return len(parts) >= 2 and parts[-2] == "Data" and re.fullmatch("[0-9]", parts[-1]) is not None


def _clips(
    files: dict[str, Files], vectors: dict[str, NDArray[np.float32]], rejections: list[Rejection]
) -> Iterator[Clip]:
    for item, found in sorted(files.items()):
        sounds = sorted(found.sounds, key=lambda path: (not _is_archive(PurePosixPath(path).parent.as_posix()), path))
        sound = next(iter(sounds), "")
        film = next(iter(found.films), "")
        if found.stills and (sound or film or item in vectors):
            yield Clip(item, frame=still_of(found.stills, _is_archive), sound=sound or film, group=item)
        elif film:
            yield Clip(item, media=film, sound=sound, group=item)
        else:
            what = "sound and no vector" if found.stills else "picture"
            rejections.append(Rejection(item, found.any(), f"no {what} of this item lies below the root"))


def _of_one_kind(
    clips: list[Clip], vectors: dict[str, NDArray[np.float32]], rejections: list[Rejection]
) -> tuple[list[Clip], dict[str, NDArray[np.float32]] | None]:
    """Clips that can be used together, and their vectors where all have one.

    Where some have only a vector and others only a sound, the more numerous kind is kept (sounds, of as many).
    """
    with_vector = [clip for clip in clips if clip.clip_id in vectors]
    with_sound = [clip for clip in clips if clip.sound or clip.media]
    if len(with_vector) < len(clips) and len(with_sound) < len(clips):
        kept, what = (with_sound, "sound") if len(with_sound) >= len(with_vector) else (with_vector, "vector")
        ids = {clip.clip_id for clip in kept}
        for clip in clips:
            if clip.clip_id not in ids:
                rejections.append(Rejection(clip.clip_id, clip.path, f"no {what}, which {len(kept)} other items have"))
        clips = kept
    if all(clip.clip_id in vectors for clip in clips):
        return clips, {clip.clip_id: vectors[clip.clip_id] for clip in clips}
    return clips, None
