"""The files of a data set by the item to which they belong, in whatever folders its authors or its users keep them.

What a file is follows from its ending, whose it is from its name or its folder's: `Data/3/<id>.jpg`, `frames/<id>.jpg`,
`frames/videos/1/2/3/<id>.mp4/00000008.jpg`, `mp3/videos/1/2/3/<id>.mp4.mp3`, `<id>.mp4/<id>.mat`, `videos/<id>.mp4`.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.foundation.errors import UserError

log = logging.getLogger(__name__)

KIND_OF_ENDING = {
    **dict.fromkeys(("jpg", "jpeg", "png"), "stills"),
    **dict.fromkeys(("wav", "mp3", "flac", "ogg", "m4a"), "sounds"),
    **dict.fromkeys(("mp4", "webm", "mkv", "avi", "mov"), "films"),
    "mat": "arrays",
    "xml": "annotations",
}
# Pictures in them show something else than the frame: optical flow, ground truth, a result.
NO_FRAMES = frozenset({"flow", "masks", "gt", "gt_masks", "gt_segmentation", "heatmaps", "overlays"})


@dataclass
class Files:
    """What belongs to one item: paths below the root, by kind, in the order of their names."""

    stills: list[str] = field(default_factory=list)
    sounds: list[str] = field(default_factory=list)
    films: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    annotations: list[str] = field(default_factory=list)

    def any(self) -> str:
        """One of them, for a message about the item."""
        return (self.films + self.stills + self.sounds + self.arrays + self.annotations)[0]


def bare(name: str) -> str:
    """The name of an item: a file's name without folders and without its media endings.

    `a/b/1.mp4.mp3` is `1`; `X_40.000.mp4` is `X_40.000`.
    """
    name = name.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
    while kind_of(name):
        name = name.rpartition(".")[0]
    return name


def kind_of(name: str) -> str | None:
    """What a file is by its ending: a field of Files, or nothing that is known."""
    return KIND_OF_ENDING.get(name.rpartition(".")[2].lower()) if "." in name else None


def files_by_item(root: Path, item_of: Callable[[str, str], str | None]) -> dict[str, Files]:
    """All files below a root by item; `item_of` tells it from the bare names of a file's folder and of the file.

    Raises UserError where a name is no text.
    """
    found: dict[str, Files] = {}
    for folder, names in _walked(root):
        of_folder = bare(folder.name)
        below = folder.relative_to(root)
        for name in names:
            item = item_of(of_folder, bare(name))
            if item is not None and (kind := kind_of(name)):
                getattr(found.setdefault(item, Files()), kind).append((below / name).as_posix())
    for files in found.values():
        for paths in (files.stills, files.sounds, files.films, files.arrays, files.annotations):
            paths.sort()
    return found


def _walked(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder with its files of a known ending, but for hidden ones, links to folders and NO_FRAMES."""
    for path, folders, files in os.walk(root):
        folder = Path(path)
        for inner in folders:
            if (folder / inner).is_symlink():
                log.warning("%s: ignored, a link to a folder; put the folder itself there", folder / inner)
        folders[:] = [inner for inner in folders if not inner.startswith(".") and inner.lower() not in NO_FRAMES]
        kept = [name for name in files if kind_of(name) and not name.startswith(".")]
        for name in kept:
            if (raw := os.fsencode(folder / name)) != str(folder / name).encode(errors="replace"):
                raise UserError(f"{raw!r}: its name is no UTF-8 text; rename it")
        yield folder, [name for name in kept if (folder / name).is_file()]


def still_of(stills: Iterable[str], first: Callable[[str], bool] = lambda _: False) -> str:
    """The picture to use of an item: of the folder that `first` prefers, or the first by name, the middle one by name.

    The lower of two middle ones: `125.jpg` of 250 frames and `image_050.jpg` of 100, which are those at 5 s of 10.
    """
    by_folder: dict[str, list[str]] = {}
    for path in stills:
        by_folder.setdefault(PurePosixPath(path).parent.as_posix(), []).append(path)
    folder = min(by_folder, key=lambda name: (not first(name), name))
    return by_folder[folder][(len(by_folder[folder]) - 1) // 2]
