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
    **dict.fromkeys((".jpg", ".jpeg", ".png"), "stills"),
    **dict.fromkeys((".wav", ".mp3", ".flac", ".ogg", ".m4a"), "sounds"),
    **dict.fromkeys((".mp4", ".webm", ".mkv", ".avi", ".mov"), "films"),
    ".mat": "arrays",
    ".xml": "annotations",
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
    name = PurePosixPath(name.strip().replace("\\", "/")).name
    while (ending := PurePosixPath(name).suffix).lower() in KIND_OF_ENDING:
        name = name.removesuffix(ending)
    return name


def files_by_item(root: Path, item_of: Callable[[str, str], str | None]) -> dict[str, Files]:
    """All files below a root by item; `item_of` tells it from the bare names of a file's folder and of the file.

    Raises UserError where a name is no text.
    """
    found: dict[str, Files] = {}
    for folder, path in sorted(_walked(root)):
        item = item_of(bare(folder.name), bare(path.name))
        if item is not None:
            kind = KIND_OF_ENDING[path.suffix.lower()]
            getattr(found.setdefault(item, Files()), kind).append(path.relative_to(root).as_posix())
    return found


def _walked(root: Path) -> Iterator[tuple[Path, Path]]:
    """Folder and path of every file with a known ending, but for hidden ones, links to folders and NO_FRAMES."""
    for name, folders, files in os.walk(root):
        folder = Path(name)
        for inner in folders:
            if (folder / inner).is_symlink():
                log.warning("%s: ignored, a link to a folder; put the folder itself there", folder / inner)
        folders[:] = [inner for inner in folders if not inner.startswith(".") and inner.lower() not in NO_FRAMES]
        for file in files:
            path = folder / file
            if file.startswith(".") or path.suffix.lower() not in KIND_OF_ENDING or not path.is_file():
                continue
            if (raw := os.fsencode(path)) != str(path).encode(errors="replace"):
                raise UserError(f"{raw!r}: its name is no UTF-8 text; rename it")
            yield folder, path


def still_of(stills: Iterable[str], first: Callable[[str], bool] = lambda _: False) -> str:
    """The picture to use of an item: of the folder that `first` prefers, or the first by name, the middle one by name.

    The lower of two middle ones: `125.jpg` of 250 frames and `image_050.jpg` of 100, which are those at 5 s of 10.
    """
    by_folder: dict[str, list[str]] = {}
    for path in stills:
        by_folder.setdefault(PurePosixPath(path).parent.as_posix(), []).append(path)
    folder = min(by_folder, key=lambda name: (not first(name), name))
    return by_folder[folder][(len(by_folder[folder]) - 1) // 2]
