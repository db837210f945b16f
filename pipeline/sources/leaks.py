"""Leaks by id: the same item, or the same video, in two splits or in two of the lists that a data set brings.

Ids are compared in the form that the data set uses. Most are whole: a Flickr photo, a clip of a folder. Those of films
from YouTube begin with the eleven characters of the film, and the second at which a clip starts follows: two clips may
share the film alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.foundation.leaks import Leak, between
from pipeline.foundation.manifest import SPLITS, Split
from pipeline.sources.reading import Form, Reading, same


@dataclass(frozen=True)
class Shared:
    """What two lists of ids have in common, sorted: whole ids, and videos whatever their start."""

    ids: tuple[str, ...]
    videos: tuple[str, ...]


def shared(train: Iterable[str], test: Iterable[str], form: Form) -> Shared:
    """What is in both lists; no videos where an id is whole."""
    one, other = set(train), set(test)
    films = {_film(item, form) for item in one} & {_film(item, form) for item in other} - {""}
    return Shared(tuple(sorted(one & other)), tuple(sorted(films)))


def _film(item: str, form: Form) -> str:
    return "" if form.part_of is same else form.part_of(item)


def of_reading(reading: Reading) -> set[Leak]:
    """The leaks of a data set: groups in two splits, and ids in two of its lists."""
    clips: dict[str, set[tuple[str, Split]]] = defaultdict(set)
    for split, part in reading.splits.items():
        for clip in part.clips:
            clips[clip.group].add((clip.clip_id, split))
    by_group = {leak for together in clips.values() for leak in between("video", together)}
    return by_group | set(_of_lists(reading.listed, reading.form))


def _of_lists(listed: dict[Split, list[str]], form: Form) -> Iterator[Leak]:
    ids: dict[str, set[tuple[str, Split]]] = defaultdict(set)
    films: dict[str, set[tuple[str, Split]]] = defaultdict(set)
    for split in SPLITS:
        for item in listed.get(split, []):
            entry = form.clip_id_of(item), split
            ids[item].add(entry)
            films[_film(item, form)].add(entry)
    films.pop("", None)
    for entries in ids.values():
        yield from between("id", entries)
    for entries in films.values():
        yield from between("video", entries)
