"""Where the stills, films and sounds of MUSIC lie, in the trees of the repositories that annotated it.

DSOL: films `<video>_0_1000.mp4` (the first 1000 s) in `video/`, sounds `<video>_0_1000.flac`, and stills
`video_frames/<video>_0_1000/frame_<second>/<frame>.jpg`. AVGN: `frames/` and `audio/`, a file a frame.
hxixixh/mix-and-localize: `<solo or duet>/<class>/<video>/` with `audio/audio_clips/*.wav` of a second each and
`frames/*.jpg`, four a second. All of them below the root, or below `solo/` or `duet/` of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.foundation.manifest import Clip
from pipeline.sources.annotations import first_there
from pipeline.sources.folder import clip_id_of
from pipeline.sources.reading import Unusable

FPS = 30  # of the annotated films: frame n is of second n // 30 in all 24 984 entries of DSOL's lists
STILLS_A_SECOND = 4  # in mix-and-localize's tree
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
PLACES = ("", "solo/", "duet/")


@dataclass(frozen=True)
class Moment:
    """A frame of a video."""

    video: str
    second: int
    frame: int

    @property
    def name(self) -> str:
        """As AVGN writes it."""
        return f"{self.video}_{self.second:03d}_{self.frame:05d}"

    @property
    def clip_id(self) -> str:
        """Its name, made safe: an id of YouTube may begin with a hyphen."""
        return clip_id_of(Path(self.name))


@dataclass(frozen=True)
class Video:
    """What lies there of a video, relative to the root."""

    film: str  # or nothing
    track: str  # the film, or else a sound file as long as it, or nothing
    stills: str  # folder of a folder for each second, or nothing
    seconds: tuple[str, ...]  # sound files of a second each
    quarters: tuple[str, ...]  # stills, four a second


class Media:
    """What lies below a root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trees = {
            folder.name: folder
            for place in ("", "MUSIC_raw/")
            for kind in ("solo", "duet")
            for folder in sorted((root / place / kind).glob("*/*"))
            if VIDEO_ID.fullmatch(folder.name)
        }
        self._videos: dict[str, Video] = {}

    def clip(self, moment: Moment, label: str, mask: str) -> Clip:
        """The clip of one frame: the still that lies there, or else its frame of the film; sound of the same second.

        Where neither lies there, the clip names the still, and `extract` says that it is missing. Raises Unusable where
        the film would have to be used and the frame's number is not of its second.
        """
        video = self._video(moment.video)
        own_sound = f"audio/{moment.name}.wav"
        sound, sound_s = video.track or f"{moment.video}_0_1000.mp4", float(moment.second)
        if moment.second < len(video.seconds):
            sound, sound_s = video.seconds[moment.second], 0.0
        elif not video.track and (self.root / own_sound).is_file():
            sound, sound_s = own_sound, 0.0
        still = f"frame_{moment.second:03d}/{moment.frame:05d}.jpg"
        folder = video.stills or f"{moment.video}_0_1000"
        stills = (f"{folder}/{still}", f"frames/{moment.name}.jpg", f"{moment.name}.jpg")
        frame, media, frame_s = first_there(self.root, stills), "", None
        if not frame and video.film:
            if moment.frame // FPS != moment.second:
                raise Unusable(f"has no still, and at {FPS} frames a second its frame of the film is of another second")
            # The middle of the time for which the frame is shown, so that no rounding leads to its neighbour.
            media, sound, frame_s, sound_s = video.film, "", (moment.frame + 0.5) / FPS, float(moment.second)
        elif not frame:
            frame = stills[0]
        return Clip(
            moment.clip_id, media, frame, sound, mask, label, group=moment.video, frame_s=frame_s, sound_s=sound_s
        )

    def clips(self, video: str, label: str) -> Iterator[Clip]:
        """The clips of a video in which nothing is annotated: one for each second of which a still and the sound lie
        there, else one for the whole film.
        """
        there = self._video(video)
        seconds = list(self._seconds(there))
        for second, frame, sound, sound_s in seconds:
            clip_id = clip_id_of(Path(f"{video}_{second:03d}"))
            yield Clip(clip_id, frame=frame, sound=sound, label=label, group=video, sound_s=sound_s)
        if not seconds and there.film:
            yield Clip(clip_id_of(Path(video)), media=there.film, label=label, group=video)

    def _seconds(self, video: Video) -> Iterator[tuple[int, str, str, float]]:
        """Number, middle still, sound and where in it to begin, of each second."""
        if video.stills and video.track:
            for folder in sorted((self.root / video.stills).glob("frame_[0-9][0-9][0-9]")):
                if stills := sorted(folder.glob("*.jpg")):
                    second = int(folder.name.removeprefix("frame_"))
                    yield second, self._relative(stills[len(stills) // 2]), video.track, float(second)
            return
        for second, sound in enumerate(video.seconds):
            middle = STILLS_A_SECOND * second + STILLS_A_SECOND // 2
            if middle < len(video.quarters):
                yield second, video.quarters[middle], sound, 0.0

    def _video(self, video: str) -> Video:
        if video not in self._videos:
            films = (f"{video}_0_1000.mp4", f"{video}.mp4")
            film = self._first(films, ("", "video/", "videos/"))
            tree = self._trees.get(video)
            self._videos[video] = Video(
                film,
                film or self._first((f"{video}_0_1000.flac",), ("", "audio/")),
                self._folder_of_stills(video),
                tuple(map(self._relative, sorted(tree.glob("audio/audio_clips/*.wav")))) if tree else (),
                tuple(map(self._relative, sorted(tree.glob("frames/*.jpg")))) if tree else (),
            )
        return self._videos[video]

    def _first(self, names: tuple[str, ...], folders: tuple[str, ...]) -> str:
        return first_there(self.root, (f"{p}{folder}{name}" for p in PLACES for folder in folders for name in names))

    def _folder_of_stills(self, video: str) -> str:
        folders = (f"{place}{folder}{video}_0_1000" for place in PLACES for folder in ("", "video_frames/"))
        return next((folder for folder in folders if (self.root / folder).is_dir()), "")

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
