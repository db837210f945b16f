"""AVSBench S4 and MS3: clips of five seconds, a frame and a mask of what sounds for each (OpenNLPLab/AVSBench).

`s4_meta_data.csv` or `ms3_meta_data.csv` (first column the clip, of S4 the third its class, "split"), beside it
`visual_frames`, `audio_wav` and `gt_masks`, in the same folder or in `s4_data`, `ms3_data`. Each second of a clip is a
clip: its frame, and the sound from that second on, since that is what the mask is of; `extract.seconds: 1` gives that
second alone, as AVSBench's own networks hear it. In training S4 has a mask for the first second only.
A mask without a white pixel says that nothing in sight sounds in that second: negative, without a mask.
`s4_box.json`, `ms3_box.json` (kaistmm/SSLalignment; pixels of 224) give boxes where they lie there.
"""

import csv
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Box, Clip, Rejection, Split
from pipeline.foundation.params import Source
from pipeline.sources.annotations import Corners, corners, file_name, first_there, member, named, read_json, shown
from pipeline.sources.folder import clip_id_of
from pipeline.sources.reading import Reading, Unusable, named_split, root_folder, split_up

log = logging.getLogger(__name__)

SECONDS = 5
SIZE = 224  # of the frames, and of the pixels in which boxes are given
VIDEO_ID = re.compile(r"([A-Za-z0-9_-]{11})(_[0-9]+)*")  # MS3 and later versions add a number, or times


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    name: str
    label: str  # S4 only
    split: Split

    def clip_id(self, second: int) -> str:
        """The clip of one second, 1 to 5."""
        return clip_id_of(Path(f"{self.name}_{second}"))

    @property
    def group(self) -> str:
        """The video that it is cut from."""
        found = VIDEO_ID.fullmatch(self.name)
        return found[1] if found else self.name


@dataclass(frozen=True)
class Subset:
    """Where S4 or MS3 has its files."""

    folder: str
    is_s4: bool

    def frame(self, row: Row, second: int) -> str:
        """The still of a second."""
        if self.is_s4:
            return f"{self.folder}visual_frames/{row.split}/{row.label}/{row.name}/{row.name}_{second}.png"
        return f"{self.folder}visual_frames/{row.name}/{row.name}.mp4_{second}.png"

    def sound(self, row: Row) -> str:
        """The sound of all seconds."""
        return f"{self.folder}audio_wav/{row.split}/{self._class(row)}{row.name}.wav"

    def mask(self, row: Row, second: int) -> str:
        """The mask of a second, whether or not it lies there."""
        return f"{self.folder}gt_masks/{row.split}/{self._class(row)}{row.name}/{row.name}_{second}.png"

    @property
    def boxes(self) -> str:
        """The list of boxes, whether or not it lies there."""
        return "s4_box.json" if self.is_s4 else "ms3_box.json"

    def _class(self, row: Row) -> str:
        return f"{row.label}/" if self.is_s4 else ""


def read(source: Source) -> Reading:
    """The seconds of the clips; raises UserError where there is no list, or both."""
    root = root_folder(source)
    path, subset = _list(root)
    rejections: list[Rejection] = []
    rows = list(_rows(path, subset, rejections))
    if not rows:
        raise UserError(f"{path}: names no clip that can be used; bring it anew")
    boxes, silent = _boxes(root, subset, rejections)
    clips: list[tuple[str, Split, Clip]] = []
    boxed: list[tuple[str, Box]] = []
    unused = {*boxes, *silent}
    for row in rows:
        for second in range(1, SECONDS + 1):
            name = f"{row.name}_{second}"
            unused.discard(name)
            clip = _clip(root, subset, row, second, name in silent)
            clips.append((path.name, row.split, clip))
            if name in boxes and not clip.negative:
                boxed.append((path.name, Box(clip.clip_id, "", *boxes[name], row.label)))
    for name in sorted(unused):
        rejections.append(Rejection(named(name), subset.boxes, f"box of no clip of {path.name}"))
    if n_silent := sum(clip.negative for _, _, clip in clips):
        words = "source: in %d of %d seconds nothing in sight sounds: negative, without mask and box"
        log.info(words, n_silent, len(clips))
    return Reading(split_up(clips, boxed), rejections)


def _list(root: Path) -> tuple[Path, Subset]:
    found = []
    for name in ("s4", "ms3"):
        data = f"{name}_data/" if (root / f"{name}_data").is_dir() else ""
        if path := first_there(root, (f"{name}_meta_data.csv", f"{data}{name}_meta_data.csv")):
            found.append((root / path, Subset(data, is_s4=name == "s4")))
    if len(found) != 1:
        what = "both" if found else "none"
        raise UserError(
            f"{root}: holds {what} of s4_meta_data.csv, ms3_meta_data.csv; name a root that holds one of them"
        )
    return found[0]


def _rows(path: Path, subset: Subset, rejections: list[Rejection]) -> Iterator[Row]:
    known: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if "split" not in header or len(header) < (3 if subset.is_s4 else 2):
                raise UserError(f"{path}: no column split beside clip and class; its header is: {', '.join(header)}")
            for cells in filter(None, reader):
                try:
                    row = _row(cells, header, subset)
                    if row.clip_id(1) in known:
                        raise Unusable("named twice; its first line is used, this one is not")
                except (Unusable, UserError) as fault:
                    rejections.append(Rejection(named(cells[0]), f"{path.name}:{reader.line_num}", str(fault)))
                    continue
                known.add(row.clip_id(1))
                yield row
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); bring it back or change its rights") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a UTF-8 CSV file ({error}); save it as one") from error


def _row(cells: list[str], header: list[str], subset: Subset) -> Row:
    if len(cells) != len(header):
        raise Unusable(f"{len(cells)} cells under a header of {len(header)}")
    label = cells[2] if subset.is_s4 else ""
    for text in (cells[0], label) if subset.is_s4 else (cells[0],):
        if file_name(text) != text:
            raise Unusable(f"{shown(text)} is no plain name of a folder")
    return Row(cells[0], label, named_split(cells[header.index("split")], "its line"))


def _clip(root: Path, subset: Subset, row: Row, second: int, box_is_empty: bool) -> Clip:
    mask = first_there(root, [subset.mask(row, second)])
    is_negative = _is_black(root / mask) if mask else box_is_empty
    return Clip(
        row.clip_id(second),
        frame=subset.frame(row, second),
        sound=subset.sound(row),
        mask="" if is_negative else mask,
        label=row.label,
        group=row.group,
        negative=is_negative,
        sound_s=float(second - 1),
    )


def _is_black(path: Path) -> bool:
    """Whether a mask has no pixel that is not black; one that cannot be read is no finding here: the stage names it."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB").getbbox() is None
    except (OSError, Image.DecompressionBombError, SyntaxError, ValueError):
        return False


def _boxes(root: Path, subset: Subset, rejections: list[Rejection]) -> tuple[dict[str, Corners], set[str]]:
    """The box of each `<clip>_<second>` of the list of boxes, and those of all zeros: nothing sounds."""
    boxes: dict[str, Corners] = {}
    silent: set[str] = set()
    path = root / subset.boxes
    if not path.is_file():
        return boxes, silent
    values, repeated = read_json(path, list)
    rejections += repeated
    for place, value in enumerate(values):
        name = f"entry {place}"
        try:
            name = PurePosixPath(file_name(member(value, "image", str))).stem.replace(".mp4_", "_")
            if name in boxes or name in silent:
                raise Unusable("named twice; its first entry is used, this one is not")
            given = member(value, "gt_box", list)
            if given == [0, 0, 0, 0]:
                silent.add(name)
            else:
                boxes[name] = corners(given, SIZE)
        except Unusable as fault:
            rejections.append(Rejection(named(name), path.name, f"{fault}; the clip is kept, this box is not"))
    return boxes, silent
